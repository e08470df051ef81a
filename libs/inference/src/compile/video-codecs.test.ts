/** Wan's autoencoder and TAEHV against the published code, whose results training/published wrote. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CachedDecoder, type CachedGraphs } from '../decoder/cached-decoder.js';
import type { Executor, TensorHandle } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { runOnce } from '../testing/compile-cases.js';
import { golden, relativeError, seeded, seededWeights } from '../testing/seeded-weights.js';
import { loadCompiled } from './load.js';
import { neededTensors } from './needed-weights.js';
import { openWeights, readWeight, type Weights } from './safetensors.js';
import { encodeSafetensors } from './safetensors-writer.js';
import { compileTaehvDecoder, TAEHV_TRIM, TAEW_SIZES, taehvReach } from './taehv.js';
import type { CompiledSegment } from './types.js';
import { compileVaeDecoder, compileVaeEncoder, vaeDecoderReach, WAN_VAE_SIZES } from './wan-vae.js';

const TOLERANCE = 1e-4;
/** As in training/published/wan_vae.py and taehv.py. */
const GRID = { height: 2, width: 4 };
const [CHUNKS, LATENTS, CHANNELS, SCALE] = [5, 3, 16, 8];
const VAE = { ...WAN_VAE_SIZES, dim: 8 };
const TAEHV = { ...TAEW_SIZES, widths: [24, 16, 8, 8] } as const;
const [WAN_REACH, TAEHV_REACH] = [vaeDecoderReach(VAE), taehvReach(TAEHV)].map((latents) =>
  Math.ceil(latents / LATENTS),
) as [number, number];
const [ROWS, COLUMNS] = [GRID.height * SCALE, GRID.width * SCALE];

let executor: Executor;
let folder: string;
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-video-'));
});
after(async () => {
  await executor[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function vaeGraphs(weights: Weights): { encoder: CompiledSegment; first: CompiledSegment; steady: CompiledSegment } {
  return {
    encoder: compileVaeEncoder(VAE, weights, GRID),
    first: compileVaeDecoder(VAE, weights, GRID, 'first'),
    steady: compileVaeDecoder(VAE, weights, GRID, 'steady'),
  };
}

async function vae(): Promise<ReturnType<typeof vaeGraphs>> {
  const shapes = new Map(neededTensors(vaeGraphs));
  // The published encoder also has convolutions over time, which a single picture does not need.
  for (const [layer, width] of [
    [5, 16],
    [8, 32],
  ] as const) {
    shapes.set(`encoder.downsamples.${layer}.time_conv.weight`, [width, width, 3, 1, 1]);
    shapes.set(`encoder.downsamples.${layer}.time_conv.bias`, [width]);
  }
  return vaeGraphs(await seededWeights(folder, shapes, 21));
}

async function taehv(): Promise<CachedGraphs> {
  const needed = neededTensors((weights) => compileTaehvDecoder(TAEHV, weights, GRID));
  const weights = await seededWeights(folder, needed, 31);
  return { first: undefined, steady: compileTaehvDecoder(TAEHV, weights, GRID), trim: TAEHV_TRIM, reach: TAEHV_REACH };
}

/** Frames of five chunks of three latents each, every second row and column, as the goldens have them. */
async function decoded(graphs: CachedGraphs, latents: Float32Array): Promise<Float32Array> {
  const steady = await loadCompiled(executor, graphs.steady);
  const first = graphs.first === undefined ? undefined : await loadCompiled(executor, graphs.first);
  const dims = [CHANNELS, GRID.height, GRID.width];
  const each = CHANNELS * GRID.height * GRID.width;
  let caches: Record<string, TensorHandle> = {};
  for (const { name, dims: sizes } of graphs.steady.inputs) {
    const count = sizes.reduce<number>((product, size) => product * Number(size), 1);
    if (name !== 'latent') caches[name] = executor.upload(new Float32Array(count), 'float32', sizes.map(Number));
  }
  const rows: number[] = [];
  const run = async (segment: typeof steady, from: number, to: number): Promise<void> => {
    const latent = executor.upload(latents.slice(from * each, to * each), 'float32', [to - from, ...dims]);
    const outputs = segment.outputs.map(({ name }) => name);
    const inputs = segment === first ? { latent } : { latent, ...caches };
    const { rgb, ...next } = await executor.run(segment, { inputs, outputs });
    for (const [name, handle] of Object.entries(next)) caches = { ...caches, [name.replace('next_', '')]: handle };
    const values = (await executor.take(rgb as TensorHandle)) as Float32Array;
    for (let at = 0; at < values.length; at++)
      if (Math.floor(at / COLUMNS) % 2 === 0 && at % 2 === 0) rows.push(values[at] as number);
  };
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    const [from, to] = [chunk * LATENTS, (chunk + 1) * LATENTS];
    if (chunk === 0 && first !== undefined) await run(first, 0, 1);
    await run(steady, chunk === 0 && first !== undefined ? 1 : from, to);
  }
  return Float32Array.from(rows.slice(graphs.trim * 3 * (ROWS / 2) * (COLUMNS / 2)));
}

test("Wan's encoder of a picture equals the published one", async () => {
  const { values } = await golden('wan_vae', 'encoded');
  const signed = seeded(22, 0, 3 * ROWS * COLUMNS).map((value) => Math.min(1, Math.max(-1, value)));
  const rgb = { values: signed.map((value) => (value + 1) / 2), dims: [1, 3, ROWS, COLUMNS] };
  const { latent } = await runOnce(executor, (await vae()).encoder, { rgb });
  const error = relativeError(latent?.values ?? [], values);
  assert.ok(error < TOLERANCE, `relative error ${error}`);
});

test("Wan's streaming decoder equals the published one over five chunks", async () => {
  const { first, steady } = await vae();
  assert.equal(steady.inputs.filter(({ name }) => name.startsWith('cache_')).length, 32);
  const { values } = await golden('wan_vae', 'frames');
  const made = await decoded(
    { first, steady, trim: 0, reach: WAN_REACH },
    seeded(22, 1, CHUNKS * LATENTS * CHANNELS * 8),
  );
  const error = relativeError(
    made.map((value) => 2 * value - 1),
    values,
  );
  assert.ok(error < TOLERANCE, `relative error ${error}`);
});

test("TAEHV's streaming decoder equals the published one over five chunks", async () => {
  const { values } = await golden('taehv', 'frames');
  const made = await decoded(await taehv(), seeded(32, 0, CHUNKS * LATENTS * CHANNELS * 8));
  const error = relativeError(made, values);
  assert.ok(error < TOLERANCE, `relative error ${error}`);
});

test('of weights that give more frames at once, the last frames are kept', async () => {
  const more = neededTensors((needed) =>
    compileTaehvDecoder({ ...TAEHV, doublesTime: [true, true, true] }, needed, GRID),
  );
  const weights = await seededWeights(folder, more, 31);
  const grown = 'decoder.7.conv.weight';
  const tensors = [...more].map(async ([name, dims]) => {
    const values = await readWeight(weights, name);
    const [rows = 0, ...rest] = dims;
    return name === grown
      ? { name, dims: [rows / 2, ...rest], values: values.slice(values.length / 2) }
      : { name, dims, values };
  });
  await writeFile(join(folder, 'cut.safetensors'), encodeSafetensors(await Promise.all(tensors)));
  const cut = await openWeights(folder, ['cut.safetensors']);
  assert.equal(weights.get(grown).dims[0], 2 * (cut.get(grown).dims[0] as number));
  const latents = seeded(32, 1, LATENTS * CHANNELS * 8 * CHUNKS);
  const frames = (from: Weights): Promise<Float32Array> =>
    decoded(
      { first: undefined, steady: compileTaehvDecoder(TAEHV, from, GRID), trim: TAEHV_TRIM, reach: TAEHV_REACH },
      latents,
    );
  assert.deepEqual(await frames(weights), await frames(cut));
});

for (const [name, graphs] of [
  ['Wan', async () => ({ ...(await vae()), trim: 0, reach: WAN_REACH })],
  ['TAEHV', taehv],
] as const) {
  const dims = [LATENTS, CHANNELS, GRID.height, GRID.width];
  const chunk = (number: number): Float32Array => seeded(22, 2 + number, LATENTS * CHANNELS * 8);

  test(`${name}: chunks are decoded to I420, the first one to fewer frames`, async () => {
    await using decoder = await CachedDecoder.load(executor, await graphs());
    const first = await decoder.decode(chunk(0), dims, undefined);
    const second = await decoder.decode(chunk(1), dims, first.caches);
    const middle = await decoder.decode(chunk(1), dims, decoder.zeros);
    assert.deepEqual(
      [first, second, middle].map(({ frames }) => frames.length),
      [9, 12, 12],
    );
    assert.ok(first.frames.every((frame) => frame.length === (ROWS * COLUMNS * 3) / 2));
    assert.notDeepEqual(second.frames, middle.frames);
    for (const { caches } of [first, second, middle]) decoder.free(caches);
  });

  test(`${name}: the caches depend on the last chunks only, as many as the reach says`, async () => {
    await using decoder = await CachedDecoder.load(executor, await graphs());
    const { reach } = decoder;
    const after = async (begin: number): Promise<Float32Array[]> => {
      let caches = decoder.zeros;
      for (let number = begin; number <= reach; number++) {
        const made = await decoder.decode(chunk(number), dims, caches);
        decoder.free(caches);
        caches = made.caches;
      }
      const values = await Promise.all(Object.values(caches).map((handle) => executor.download(handle)));
      decoder.free(caches);
      return values as Float32Array[];
    };
    const whole = await after(0);
    assert.deepEqual(await after(1), whole);
    assert.notDeepEqual(await after(2), whole);
  });
}
