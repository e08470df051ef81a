/** The rendered people among nano's avatars, judged by MediaPipe's face mesh; no code of the decoder takes part in that. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { GraphManifest } from '@talkmesh/contracts';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { type GraphModel, loadGraphModel } from '../model/model.js';
import { PortraitFinder } from '../portrait/portrait.js';
import { eyeHeight, FaceJudge, lipGap } from '../testing/face-judge.js';
import { FACES, type Face, StillFaces } from '../testing/mesh-poses.js';
import { PictureDecoderEngine } from './picture-decoder.js';

const NANO = fileURLToPath(new URL('../../../../models/nano', import.meta.url));
/** Listed landmarks are computed from the render's camera, found ones from pixels. */
const NEAR_PX = 4;
/** MediaPipe's mesh reads a closed eye as two thirds to four fifths of an open one. */
const BLINK = 0.85;
/** Gap of closed lips: zuri's are parted in her picture, which the judge reads as .03 from their colours. */
const CLOSED = 0.033;
/** Gap of an open mouth; a moustache hides a part of it. */
const OPEN = 0.12;

let executor: Executor;
let model: GraphModel;
let engine: PictureDecoderEngine;
let finder: PortraitFinder;
let faces: StillFaces;
let judge: FaceJudge;
let people: GraphManifest['avatars'];
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  model = await loadGraphModel(NANO);
  engine = await PictureDecoderEngine.load(model, executor);
  finder = (await PortraitFinder.load(model, executor)) as PortraitFinder;
  faces = await StillFaces.load(model);
  judge = await FaceJudge.load(
    model.photographPaths() as NonNullable<ReturnType<GraphModel['photographPaths']>>,
    executor,
  );
  people = model.manifest.avatars.filter(({ decoder }) => decoder === 'mesh');
});
after(async () => {
  await engine[Symbol.asyncDispose]();
  await executor[Symbol.asyncDispose]();
});

test('a third of the gallery are people, which the mesh animates; the graph animates the drawn avatars', async () => {
  assert.ok(3 * people.length >= model.manifest.avatars.length, people.map(({ id }) => id).join());
  for (const { id, decoder } of model.manifest.avatars) {
    const session = await engine.openSession({ avatar: id, keepChunks: 1 });
    session.dispose();
    assert.equal(session.kind, decoder ?? 'graph', id);
  }
});

test('each is found as a photographed face without any fault, where the manifest says', async () => {
  for (const { id, landmarks } of people) {
    const found = await finder.find(model.avatarImage(id));
    assert.deepEqual(finder.assess(found), { found: true, fits: true, reasons: [] }, id);
    assert.ok(found.points !== undefined, `${id} is not taken for a photograph`);
    for (const [i, [x, y]] of landmarks.entries()) {
      const [foundX, foundY] = found.landmarks[i] as [number, number];
      const away = Math.hypot(x - foundX, y - foundY);
      assert.ok(away < NEAR_PX, `${id}: landmark ${i} is ${away.toFixed(1)} px from the found one`);
    }
  }
});

test('lips meet for m, b and p, open for vowels, and lids close', async () => {
  const { width, height } = model.manifest;
  const read = async (id: string, face: Face) => {
    const points = await judge.read(await faces.frame(engine, id, face), width, height);
    assert.ok(points, `${id}: no face in the frame`);
    return { lips: lipGap(points), eyes: eyeHeight(points) };
  };
  for (const { id } of people) {
    const [closed, vowel, blink] = [
      await read(id, FACES.closed),
      await read(id, FACES.ah),
      await read(id, FACES.blink),
    ];
    assert.ok(closed.lips < CLOSED, `${id}, closed lips: gap ${closed.lips.toFixed(3)} of the eyes’ distance`);
    assert.ok(vowel.lips > OPEN, `${id}, open mouth: gap ${vowel.lips.toFixed(3)} of the eyes’ distance`);
    assert.ok(blink.eyes < BLINK * closed.eyes, `${id}, blink: ${blink.eyes.toFixed(3)} of ${closed.eyes.toFixed(3)}`);
  }
});

test('a drawn face for the mesh, and the mesh without its constants, are errors that say what to change', async () => {
  const refused = async (change: (manifest: GraphManifest) => GraphManifest): Promise<unknown> => {
    const folder = await mkdtemp(join(tmpdir(), 'talkmesh-model-'));
    try {
      for (const name of await readdir(NANO))
        if (name !== 'model.json') await symlink(join(NANO, name), join(folder, name));
      const manifest = JSON.parse(await readFile(join(NANO, 'model.json'), 'utf8')) as GraphManifest;
      await writeFile(join(folder, 'model.json'), JSON.stringify(change(manifest)));
      await using changed = await PictureDecoderEngine.load(await loadGraphModel(folder), executor);
      return await changed.openSession({ avatar: 'mia', keepChunks: 1 }).catch((error: unknown) => error);
    } finally {
      await rm(folder, { recursive: true });
    }
  };
  const asked = (manifest: GraphManifest): GraphManifest => ({
    ...manifest,
    avatars: manifest.avatars.map((avatar) => ({ ...avatar, decoder: 'mesh' })),
  });
  const drawn = await refused(asked);
  assert.match(String(drawn), /no photographed face was found for the picture of mia .* remove its "decoder"/);
  const without = await refused((manifest) => {
    const { mesh: _, ...decoder } = manifest.decoder;
    return { ...asked(manifest), decoder };
  });
  assert.match(String(without), /there is no mesh decoder for the picture of mia/);
});
