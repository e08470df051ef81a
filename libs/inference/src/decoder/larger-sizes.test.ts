/** Frames larger than the model's own size, of both decoders of nano: a drawn avatar and a photograph in the public domain. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { type GraphModel, loadGraphModel } from '../model/model.js';
import { resizePicture } from '../model/resize-picture.js';
import { FACES, StillFaces } from '../testing/mesh-poses.js';
import { rgbOf } from '../testing/rig-latents.js';
import { PictureDecoderEngine, type PictureDecoderSession } from './picture-decoder.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const PHOTO = 'own-0000000000000001';
const AVATARS = ['mia', PHOTO] as const;
const SCALE = 2;

let executor: Executor;
let model: GraphModel;
let engine: PictureDecoderEngine;
let faces: StillFaces;
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  model = await loadGraphModel(`${ROOT}models/nano`, {
    ownPictures: async () => ({
      png: readFileSync(`${ROOT}test/fixtures/grace-hopper-face.png`),
      landmarks: [
        [128, 170],
        [99, 121],
        [157, 121],
      ],
    }),
  });
  engine = await PictureDecoderEngine.load(model, executor);
  faces = await StillFaces.load(model);
});
after(async () => {
  await engine[Symbol.asyncDispose]();
  await executor[Symbol.asyncDispose]();
});

const open = (avatar: string, scale = SCALE): Promise<PictureDecoderSession> =>
  engine.openSession({ avatar, scale, keepChunks: 4 });
const speaking = (i: number): Float32Array =>
  faces.latents({ open: 0.2 * i, yaw: Math.sin(i), blink: 0.3 * (i % 3), gazeX: 0.2 * i, roll: -0.3 });

async function show(session: PictureDecoderSession, ...chunks: readonly number[]): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = [];
  for (const chunk of chunks) frames.push(...((await session.decode(chunk, speaking(chunk)))?.frames ?? []));
  return frames;
}

test('a larger frame shows what the smaller one shows', async () => {
  const { width } = model.manifest;
  const side = SCALE * width;
  for (const avatar of AVATARS)
    for (const name of ['ah', 'blink', 'right'] as const) {
      const face = FACES[name];
      const [small, large] = [await open(avatar, 1), await open(avatar)];
      assert.equal(large.kind, avatar === PHOTO ? 'mesh' : 'graph');
      const [before, after] = [await small.decode(0, faces.latents(face)), await large.decode(0, faces.latents(face))];
      const [a, b] = [before?.frames[6] as Uint8Array, after?.frames[6] as Uint8Array];
      assert.equal(b.length, (side * side * 3) / 2);
      const rgb = resizePicture([{ width: side, height: side, rgb: rgbOf(b, side, side) }], width, width);
      const psnr = psnrOf(rgb, rgbOf(a, width, width));
      assert.ok(psnr > 30, `${avatar}, ${name}: ${psnr.toFixed(1)} dB`);
      for (const session of [small, large]) session.dispose();
    }
});

test('a takeover and a rollback give the same frames, bit for bit, also beside a session of the other size', async () => {
  for (const avatar of AVATARS) {
    const [first, other] = [await open(avatar), await open(avatar, 1)];
    const truth: Uint8Array[] = [];
    for (const chunk of [0, 1, 2, 3]) {
      truth.push(...(await show(first, chunk)));
      await show(other, chunk);
    }
    first.rollback(2);
    const frames = model.geometry.framesPerChunk;
    assert.deepEqual(await show(first, 2), truth.slice(2 * frames, 3 * frames));
    const taken = await open(avatar);
    await show(taken, 1);
    assert.deepEqual(await show(taken, 2, 3), truth.slice(2 * frames));
    for (const session of [first, other, taken]) session.dispose();
  }
});

test('a session of a larger size frees all that it holds', async () => {
  const idle = await executor.stats();
  for (const avatar of AVATARS) {
    const session = await open(avatar);
    await show(session, 0, 1);
    assert.ok(engine.stateBytes().reference > SCALE * SCALE * model.manifest.width ** 2 * 4);
    session.dispose();
  }
  assert.deepEqual(engine.stateBytes(), { state: 0, reference: 0 });
  const end = await executor.stats();
  assert.deepEqual([end.handles, end.bytes], [idle.handles, idle.bytes]);
});

test('a size that the model does not make is an error', async () => {
  await assert.rejects(open('mia', 3), { reason: 'ARGUMENT_INVALID', message: /no frames of 3 times its size/ });
});

function psnrOf(a: Uint8Array, b: Uint8Array): number {
  const sum = a.reduce((total, level, i) => total + (level - (b[i] as number)) ** 2, 0);
  return 10 * Math.log10(255 ** 2 / Math.max(1e-9, sum / a.length));
}
