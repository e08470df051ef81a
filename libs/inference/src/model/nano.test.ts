/** Tests the shipped model with its real weights. If files and manifest disagree, run scripts/write-manifest.ts. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chunkLengths, graphManifest, qualityTier, qualityTiers } from '@talkmesh/contracts';
import { PictureDecoderEngine } from '../decoder/picture-decoder.js';
import type { Executor, TensorHandle } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { MatchedScoreEngine } from '../score/matched-engine.js';
import { WholeDenoiser } from '../score/whole-denoiser.js';
import { type GraphModel, loadGraphModel } from './model.js';

const NANO = fileURLToPath(new URL('../../../../models/nano', import.meta.url));

let model: GraphModel;
let executor: Executor;
let score: MatchedScoreEngine;
let decoder: PictureDecoderEngine;
before(async () => {
  model = await loadGraphModel(NANO);
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

test('every length of a chunk has all qualities: latents stay bounded, and a drawn avatar and a person speak them', async () => {
  const sound = voice();
  for (const chunkLatentFrames of chunkLengths(model.manifest)) {
    const chosen = await loadGraphModel(NANO, { chunkLatentFrames });
    await using generator = await MatchedScoreEngine.load(chosen, executor);
    await using pictures = await PictureDecoderEngine.load(chosen, executor);
    const { samplesPerChunk, framesPerChunk } = chosen.geometry;
    const pcm = new Int16Array(samplesPerChunk).map((_, i) => sound[i % sound.length] as number);
    const people = await Promise.all(
      ['mia', 'george'].map((avatar) => pictures.openSession({ avatar, keepChunks: 1 })),
    );
    for (const tier of qualityTiers(chosen.manifest)) {
      assert.equal(tier.size, `${chunkLatentFrames}x${tier.schedule.length}`);
      const session = await generator.openSession({ avatar: 'mia', seed: 2, keepChunks: 1, tier });
      for (const chunk of [0, 1, 2]) {
        const { values, steps } = (await session.generate(chunk, pcm)) ?? { values: new Float32Array(0), steps: 0 };
        assert.equal(steps, tier.schedule.length);
        assert.equal(values.length, chosen.geometry.latentValues);
        assert.ok(values.every((value) => Math.abs(value) < 8));
        for (const person of people) {
          person.rollback(chunk);
          assert.equal((await person.decode(chunk, values))?.frames.length, framesPerChunk);
        }
      }
      session.dispose();
    }
  }
});

test('the graphs for another length of a chunk, whose weights lie in the files of the own length, give the same numbers', async () => {
  const text = await readFile(join(NANO, 'chunk-lengths.json'), 'utf8');
  const lengths = graphManifest.shape.chunkLengths.parse(JSON.parse(text)) ?? [];
  assert.deepEqual(
    lengths.map(({ latentFrames }) => latentFrames),
    [7],
  );
  const own = model.manifest.chunk.latentFrames;
  const { width, height, latent, decoder: shapes } = model.manifest;
  const upload = (values: Float32Array, dims: readonly number[]): TensorHandle =>
    executor.upload(values, 'float32', dims);
  const picture = {
    image: executor.upload(model.avatarImage('mia'), 'uint8', [height, width, 3]),
    landmarks: upload(Float32Array.from(model.avatar('mia').landmarks?.flat() ?? []), [3, 2]),
  };
  for (const { latentFrames, graphs } of lengths) {
    /** Everything that a pair of graphs gives for this many latent frames, in chunks of `frames`. */
    const run = async (reference: string, decoder: string, frames: number): Promise<Record<string, Buffer>> => {
      const features = await executor.load(join(NANO, reference), 'reference');
      const names = features.outputs.map(({ name }) => name);
      const inputs = await executor.run(features, { inputs: picture, outputs: names });
      const segment = await executor.load(join(NANO, decoder), 'decoder');
      const taken = segment.inputs.map(({ name }) => name);
      const each = frames * latent.channels * latent.height * latent.width;
      const made: Record<string, Buffer[]> = {};
      let state = upload(new Float32Array(9 * 4), shapes.stateShape);
      for (let at = 0; at < own * latentFrames; at += frames) {
        const values = Float32Array.from({ length: each }, (_, i) => 0.8 * Math.sin(1.7 * (i + (at / frames) * each)));
        const all = {
          ...inputs,
          latent: upload(values, [frames, latent.channels, latent.height, latent.width]),
          state,
        };
        const given = Object.fromEntries(Object.entries(all).filter(([name]) => taken.includes(name)));
        const outputs = segment.outputs.map(({ name }) => name);
        const { state_out: next, ...parts } = await executor.run(segment, { inputs: given, outputs });
        state = next as TensorHandle;
        for (const [name, part] of Object.entries(parts)) {
          const { buffer, byteOffset, byteLength } = await executor.download(part);
          made[name] = [...(made[name] ?? []), Buffer.from(buffer, byteOffset, byteLength)];
        }
      }
      const c0 = (await executor.download(inputs['c0'] as TensorHandle)) as Float32Array;
      const still = c0.subarray(0, c0.length / frames);
      for (let frame = 0; frame < frames; frame++)
        assert.deepEqual(c0.subarray(frame * still.length, (frame + 1) * still.length), still, 'c_0 stands still');
      const joined = Object.entries(made).map(([name, parts]) => [name, Buffer.concat(parts)] as const);
      return { c0: Buffer.from(still.slice().buffer), ...Object.fromEntries(joined) };
    };
    for (const name of ['decoder', 'decoderInt8'] as const) {
      const file = graphs[name];
      assert.ok(file !== undefined && graphs.decoderInt8 !== undefined);
      const expected = await run(model.manifest.graphs.reference, model.manifest.graphs[name] as string, own);
      const found = await run(graphs.reference, file, latentFrames);
      assert.deepEqual(Object.keys(found), Object.keys(expected));
      for (const [part, bytes] of Object.entries(expected))
        assert.ok(bytes.length > 0 && bytes.equals(found[part] as Buffer), `${part} of ${file}`);
    }
  }
});
