/** Tests the shipped model with its real weights. If files and manifest disagree, run scripts/write-manifest.ts. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { qualityTier, qualityTiers } from '@talkmesh/contracts';
import { PictureDecoderEngine } from '../decoder/picture-decoder.js';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { MatchedScoreEngine } from '../score/matched-engine.js';
import { WholeDenoiser } from '../score/whole-denoiser.js';
import { type GraphModel, loadGraphModel } from './model.js';

let model: GraphModel;
let executor: Executor;
let score: MatchedScoreEngine;
let decoder: PictureDecoderEngine;
before(async () => {
  model = await loadGraphModel(fileURLToPath(new URL('../../../../models/nano', import.meta.url)));
  executor = createOrtExecutor({ threads: 1 });
  score = await MatchedScoreEngine.load(model, executor);
  decoder = await PictureDecoderEngine.load(model, executor);
});
after(async () => {
  for (const part of [score, decoder, executor]) await part?.[Symbol.asyncDispose]();
});

const silence = (): Int16Array => new Int16Array(model.geometry.samplesPerChunk);
const voice = (): Int16Array =>
  silence().map((_, i) => 9000 * Math.sin(i / 25) * Math.max(0, Math.sin(i / 1200)) + 3000 * Math.sin(i / 6));

async function latents(seed: number, chunks: readonly Int16Array[]): Promise<Float32Array[]> {
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const session = await score.openSession({ avatar, seed, keepChunks: 2 });
  const made: Float32Array[] = [];
  for (const [chunk, pcm] of chunks.entries())
    made.push((await session.generate(chunk, pcm))?.values ?? new Float32Array(0));
  session.dispose();
  return made;
}

test('latents depend on audio and seed, are reproducible bit by bit, and stay bounded during a long silence', async () => {
  const speech = [silence(), voice(), voice()];
  const first = await latents(1, speech);
  assert.deepEqual(await latents(1, speech), first);
  assert.notDeepEqual(await latents(2, speech), first);
  assert.notDeepEqual((await latents(1, [silence(), silence(), silence()]))[1], first[1]);
  for (const values of await latents(1, Array.from({ length: 40 }, silence)))
    assert.ok(
      values.every((value) => Math.abs(value) < 8),
      `largest ${Math.max(...values.map(Math.abs))}`,
    );
});

test('every shipped avatar decodes to frames, and no two avatars look the same', async () => {
  const [values] = await latents(1, [silence()]);
  const firstFrames = new Set<string>();
  for (const { id } of model.manifest.avatars) {
    const session = await decoder.openSession({ avatar: id, keepChunks: 1 });
    const decoded = await session.decode(0, values ?? new Float32Array(0));
    session.dispose();
    assert.equal(decoded?.frames.length, model.geometry.framesPerChunk, id);
    const [frame] = decoded?.frames ?? [];
    assert.equal(frame?.length, (model.manifest.width * model.manifest.height * 3) / 2, id);
    firstFrames.add(Buffer.from(frame ?? []).toString('base64'));
  }
  assert.equal(firstFrames.size, model.manifest.avatars.length);
});

test('the frames of the 8-bit decoder have a PSNR above 50 dB against the float32 ones', async () => {
  const speech = [silence(), voice(), voice()];
  const made = await latents(3, speech);
  const decodeWith = async (requested: 'float32' | 'int8'): Promise<Uint8Array> => {
    await using engine = await PictureDecoderEngine.load(model, executor, requested);
    const session = await engine.openSession({ avatar: 'mia', keepChunks: 1 });
    const frames: Uint8Array[] = [];
    for (const [chunk, values] of made.entries()) frames.push(...((await session.decode(chunk, values))?.frames ?? []));
    session.dispose();
    return Buffer.concat(frames);
  };
  const [plain, small] = [await decodeWith('float32'), await decodeWith('int8')];
  assert.equal(small.length, plain.length);
  const squares = plain.reduce((sum, value, i) => sum + (value - (small[i] as number)) ** 2, 0);
  const psnrDb = 10 * Math.log10((255 ** 2 * plain.length) / squares);
  assert.ok(psnrDb > 50, `${psnrDb.toFixed(1)} dB: write decoder-int8.onnx again (talkmesh_nano.decoder.quantize)`);
  assert.ok(Number.isFinite(psnrDb), 'the two decoders are not the same graph');
});

test('best quality takes four steps with a timestep embedding of its own, and leaves balanced as it is', async () => {
  const tiers = qualityTiers(model.manifest);
  assert.deepEqual(
    tiers.map(({ name, size }) => [name, size]),
    [
      ['balanced', '3x2'],
      ['best', '3x4'],
    ],
  );
  const cost = tiers[1]?.cost ?? 0;
  assert.ok(cost > 1 && cost < 2, 'the sound is encoded once, however many steps follow');
  assert.ok(score.denoiser instanceof WholeDenoiser);
  const { steps } = score.denoiser.shared;
  const levels = await Promise.all(
    (['balanced', 'best'] as const).map((name) =>
      Promise.all((steps.get(name)?.modulations ?? []).map((handle) => executor.download(handle))),
    ),
  );
  assert.deepEqual(
    levels.map((modulations) => modulations.length),
    [2, 4],
  );
  assert.notDeepEqual(levels[0]?.[0], levels[1]?.[0], 'both begin at level 1');
  const plain = await latents(1, [voice(), voice()]);
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const [session, balanced] = await Promise.all([
    score.openSession({ avatar, seed: 1, keepChunks: 2, tier: qualityTier(model.manifest, 'best') }),
    score.openSession({ avatar, seed: 1, keepChunks: 2 }),
  ]);
  for (const [chunk, values] of plain.entries()) {
    const [fine, same] = await Promise.all([session.generate(chunk, voice()), balanced.generate(chunk, voice())]);
    assert.equal(fine?.steps, 4);
    assert.ok(fine?.values.every((value) => Math.abs(value) < 8));
    assert.notDeepEqual(fine?.values, values);
    assert.deepEqual(same?.values, values);
  }
  for (const one of [session, balanced]) one.dispose();
});
