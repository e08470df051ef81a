/** The mesh decoder on photographs in the public domain (test/fixtures/README.md). MediaPipe's face mesh judges the decoded pixels; no code of the decoder takes part in that. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { type GraphModel, loadGraphModel } from '../model/model.js';
import { decodePng } from '../model/png.js';
import { eyeHeight, FaceJudge, lipGap } from '../testing/face-judge.js';
import { FACES, type Face, StillFaces } from '../testing/mesh-poses.js';
import { rgbOf } from '../testing/rig-latents.js';
import { PictureDecoderEngine, type PictureDecoderSession } from './picture-decoder.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const PICTURES: Readonly<Record<string, string>> = {
  'own-0000000000000001': 'grace-hopper-face',
  'own-0000000000000002': 'eileen-collins-face',
};
const [HOPPER, COLLINS] = Object.keys(PICTURES) as [string, string];
const FRAMES = 12;
/** Landmarks differ in the last bits from processor to processor; a lip that is a pixel off costs 10 dB. */
const GOLDEN_DB = 42;

let executor: Executor;
let model: GraphModel;
let engine: PictureDecoderEngine;
let faces: StillFaces;
let judge: FaceJudge;
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  model = await loadGraphModel(`${ROOT}models/nano`, {
    ownPictures: async (id) => ({
      png: readFileSync(`${ROOT}test/fixtures/${PICTURES[id]}.png`),
      landmarks: [
        [128, 170],
        [99, 121],
        [157, 121],
      ],
    }),
  });
  engine = await PictureDecoderEngine.load(model, executor);
  faces = await StillFaces.load(model);
  const paths = model.photographPaths();
  assert.ok(paths);
  judge = await FaceJudge.load(paths, executor);
});
after(async () => {
  await engine[Symbol.asyncDispose]();
  await executor[Symbol.asyncDispose]();
});

const open = (avatar: string): Promise<PictureDecoderSession> => engine.openSession({ avatar, keepChunks: 4 });

const show = (avatar: string, face: Face): Promise<Uint8Array> => faces.frame(engine, avatar, face);

/** Gap between the lips and height of the narrower eye, read by MediaPipe. */
async function read(i420: Uint8Array): Promise<{ lips: number; eyes: number }> {
  const points = await judge.read(i420, model.manifest.width, model.manifest.height);
  assert.ok(points, 'no face in the frame');
  return { lips: lipGap(points), eyes: eyeHeight(points) };
}

test('a photograph of a person is animated by the mesh, a drawn avatar by the graph', async () => {
  const kinds: string[] = [];
  for (const avatar of [HOPPER, 'mia']) {
    const session = await open(avatar);
    kinds.push(session.kind);
    session.dispose();
  }
  assert.deepEqual(kinds, ['mesh', 'graph']);
});

for (const [name, avatar] of [
  ['closed lips in the photograph', () => HOPPER],
  ['teeth in the photograph', () => COLLINS],
] as const)
  test(`lips meet for m, b and p, open for vowels, and lids close: ${name}`, async () => {
    const closed = await read(await show(avatar(), FACES.closed));
    const vowel = await read(await show(avatar(), FACES.ah));
    const blink = await read(await show(avatar(), FACES.blink));
    assert.ok(closed.lips < 0.03, `closed lips: gap ${closed.lips.toFixed(3)} of the eyes’ distance`);
    assert.ok(vowel.lips > 0.15, `open mouth: gap ${vowel.lips.toFixed(3)} of the eyes’ distance`);
    assert.ok(blink.eyes < 0.8 * closed.eyes, `blink: ${blink.eyes.toFixed(3)}, open eyes: ${closed.eyes.toFixed(3)}`);
  });

test('a blink that stops at .85 looks closed, and a gaze that goes down with lids a third closed does not', async () => {
  for (const avatar of [HOPPER, COLLINS]) {
    const height = async (face: Face): Promise<number> => (await read(await show(avatar, face))).eyes;
    const [open, closed] = [await height({}), await height({ blink: 1 })];
    const [short, down] = [await height({ blink: 0.85 }), await height({ blink: 0.33, gazeY: 0.45 })];
    assert.ok(short - closed < 0.1 * (open - closed), `open ${open}, at .85 ${short}, closed ${closed}`);
    assert.ok(down - closed > 0.5 * (open - closed), `open ${open}, looking down ${down}, closed ${closed}`);
  }
});

test('a takeover and a rollback give the same frames, bit for bit', async () => {
  const chunk = (i: number): Float32Array =>
    faces.latents({ open: 0.2 * i, yaw: Math.sin(i), blink: 0.3 * (i % 3), gazeX: 0.2 * i, roll: -0.3 });
  const first = await open(HOPPER);
  const truth: Uint8Array[] = [];
  for (let i = 0; i < 4; i++) truth.push(...((await first.decode(i, chunk(i)))?.frames ?? []));
  first.rollback(2);
  const again = (await first.decode(2, chunk(2)))?.frames;
  const taken = await open(HOPPER);
  await taken.decode(1, chunk(1));
  const continued = [
    ...((await taken.decode(2, chunk(2)))?.frames ?? []),
    ...((await taken.decode(3, chunk(3)))?.frames ?? []),
  ];
  assert.deepEqual(again, truth.slice(2 * FRAMES, 3 * FRAMES));
  assert.deepEqual(continued, truth.slice(2 * FRAMES));
  first.dispose();
  taken.dispose();
});

test('only the surroundings of the face change: the border of the picture is the photograph', async () => {
  const { width, height } = model.manifest;
  const { rgb } = decodePng(readFileSync(`${ROOT}test/fixtures/${PICTURES[COLLINS]}.png`));
  const frame = rgbOf(await show(COLLINS, { open: 0.8, yaw: 1, roll: 1 }), width, height);
  let worst = 0;
  for (let row = height - 8; row < height; row++)
    for (let i = row * width * 3; i < (row + 1) * width * 3; i++)
      worst += Math.abs((frame[i] as number) - (rgb[i] as number));
  assert.ok(
    worst / (8 * width * 3) < 4,
    `lowest rows differ by ${(worst / (8 * width * 3)).toFixed(1)} levels on average`,
  );
});

test('frames are those of the golden picture', async () => {
  const golden = decodePng(readFileSync(`${ROOT}test/fixtures/mesh-golden.png`));
  const { rgb, width, height } = await faces.sheet(engine, [COLLINS]);
  assert.deepEqual([width, height], [golden.width, golden.height]);
  const each = width / Object.keys(FACES).length;
  for (const [i, name] of Object.keys(FACES).entries()) {
    let sum = 0;
    for (let y = 0; y < height; y++)
      for (let at = (y * width + i * each) * 3, end = at + each * 3; at < end; at++)
        sum += ((rgb[at] as number) - (golden.rgb[at] as number)) ** 2;
    const psnr = 10 * Math.log10(255 ** 2 / Math.max(1e-9, sum / (each * height * 3)));
    assert.ok(psnr > GOLDEN_DB, `${name}: ${psnr.toFixed(1)} dB`);
  }
});
