/** The graph compiler: one whole pass against the same pass cut per layer, and against several sessions in one run. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DitDescription } from '@talkmesh/contracts';
import {
  type CompiledSegment,
  compileCondition,
  compileCut,
  compileWhole,
  createOrtExecutor,
  type DitGeometry,
  type Executor,
  encodeSafetensors,
  expectedTensors,
  type GraphModel,
  loadCompiled,
  NoiseSource,
  openWeights,
  type Segment,
  type TensorHandle,
  type Weights,
  wanDescription,
} from '@talkmesh/inference';
import { median } from '../support/statistics.js';
import type { Row } from './table.js';

/** Rounds of a shape: at most 40, and no more begin after this time, yet at least three are counted. */
const MOST_ROUNDS = 40;
const LEAST_ROUNDS = 3;
const BUDGET_MS = 20_000;
const WARM_UP = 1;
const BATCHES = [1, 2, 4, 8] as const;
/** 3 latent frames of 64 tokens; M = 384. */
const LARGE = { latentFrames: 3, channels: 16, height: 16, width: 16, condition: { tokens: 64, dim: 256 } };

interface Shape {
  readonly name: string;
  readonly dit: DitDescription;
  readonly geometry: DitGeometry;
  readonly weights: Weights;
}

/** One row a shape: milliseconds of processor time, medians of rounds that take turns; ratios are against the whole pass. */
export async function measureCompile(model: GraphModel): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-bench-'));
  try {
    const { dit, weights } = model.manifest.score;
    const shapes: Shape[] = [
      {
        name: model.manifest.name,
        dit,
        geometry: model.ditGeometry,
        weights: await openWeights(model.folder, weights),
      },
      await randomShape(folder, 'd384 L8', { dim: 384, heads: 6, mlp: 1536, layers: 8 }),
      await randomShape(folder, 'd1536 L2', { dim: 1536, heads: 12, mlp: 6144, layers: 2 }),
    ];
    const rows: Row[] = [];
    for (const shape of shapes) rows.push(await measureShape(shape));
    return rows;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureShape({ name, dit, geometry, weights }: Shape): Promise<Row> {
  await using executor = createOrtExecutor({ threads: 1 });
  const begin = performance.now();
  const whole = compileWhole(dit, weights, geometry, { condition: 'apart' });
  const compileMs = performance.now() - begin;
  const loadBegin = performance.now();
  await loadCompiled(executor, whole);
  const loadMs = performance.now() - loadBegin;
  const condition = compileCondition(dit, weights, geometry);
  const runs: Record<string, () => Promise<void>> = {
    inside: await repeated(executor, [compileWhole(dit, weights, geometry, { condition: 'inside' })], dit),
    'cut per layer': await repeated(executor, cutSegments(dit, weights, geometry), dit),
  };
  if (condition !== undefined) runs['condition'] = await repeated(executor, [condition], dit);
  for (const batch of BATCHES) {
    const segment = batch === 1 ? whole : compileWhole(dit, weights, geometry, { batch, condition: 'apart' });
    runs[`batch ${batch}`] = await repeated(executor, [segment], dit);
  }
  const times = await takeTurns(runs);
  const one = median(times['batch 1'] ?? []);
  const ratio = (run: string, sessions = 1): number => median(times[run] ?? []) / one / sessions;
  return {
    shape: name,
    'compile ms': compileMs,
    'load ms': loadMs,
    'pass ms (cpu)': one,
    'x conditions inside': ratio('inside'),
    'x condition alone': ratio('condition'),
    'x cut per layer': ratio('cut per layer'),
    ...Object.fromEntries(
      BATCHES.slice(1).map((batch) => [`x ${batch} sessions, each`, ratio(`batch ${batch}`, batch)]),
    ),
  };
}

/** One rank's stages, as if it were alone: what cutting alone costs. */
function cutSegments(dit: DitDescription, weights: Weights, geometry: DitGeometry): CompiledSegment[] {
  const cut = compileCut(dit, weights, geometry, { rank: 0, ranks: 1, exchange: 'gather', fuse: true });
  return cut.stages.map((stage) => stage.segment);
}

/** Loads segments and binds random inputs: free dimensions become two chunks of context. */
async function repeated(
  executor: Executor,
  segments: readonly CompiledSegment[],
  dit: DitDescription,
): Promise<() => Promise<void>> {
  const loaded: { segment: Segment; inputs: Record<string, TensorHandle>; outputs: string[] }[] = [];
  const noise = new NoiseSource(1);
  for (const compiled of segments) {
    const tokens = compiled.inputs.find(({ name }) => name === 'h' || name === 'q')?.dims[0];
    const rows = typeof tokens === 'number' ? tokens : undefined;
    const inputs: Record<string, TensorHandle> = {};
    for (const [i, { name, dims }] of compiled.inputs.entries()) {
      const seen = dims.map((dim) => (typeof dim === 'number' ? dim : freeDimension(dim, compiled, rows, dit)));
      const count = seen.reduce((product, dim) => product * dim, 1);
      inputs[name] = executor.upload(noise.noise(i, 0, count), 'float32', seen);
    }
    const segment = await loadCompiled(executor, compiled);
    loaded.push({ segment, inputs, outputs: compiled.outputs.map((output) => output.name) });
  }
  return async () => {
    for (const { segment, inputs, outputs } of loaded)
      executor.release(...Object.values(await executor.run(segment, { inputs, outputs })));
  };
}

function freeDimension(
  dim: string,
  compiled: CompiledSegment,
  rows: number | undefined,
  { rope }: DitDescription,
): number {
  if (dim === 'S' && rows !== undefined) return (1 + rope.contextChunks) * rows;
  const chunk = compiled.outputs.find((output) => output.name === 'k_chunk')?.dims.at(-2);
  if (dim === 'M' && typeof chunk === 'number') return rope.contextChunks * chunk;
  throw new Error(`${compiled.name} has an unexpected free dimension ${dim}`);
}

/** Processor time of every run, so that what else the machine does matters less. */
async function takeTurns(runs: Readonly<Record<string, () => Promise<void>>>): Promise<Record<string, number[]>> {
  const times: Record<string, number[]> = Object.fromEntries(Object.keys(runs).map((name) => [name, []]));
  const end = performance.now() + BUDGET_MS;
  for (let round = -WARM_UP; round < MOST_ROUNDS; round++) {
    if (round >= LEAST_ROUNDS && performance.now() > end) break;
    for (const [name, run] of Object.entries(runs)) {
      const before = process.cpuUsage();
      await run();
      const { user, system } = process.cpuUsage(before);
      if (round >= 0) times[name]?.push((user + system) / 1000);
    }
  }
  return times;
}

/** A Wan-shaped network of random weights: the time does not depend on their values, so one small noise repeats. */
async function randomShape(
  folder: string,
  name: string,
  sizes: { dim: number; heads: number; mlp: number; layers: number },
): Promise<Shape> {
  const dit = wanDescription({ ...sizes, frequencies: 128, image: false });
  const noise = new NoiseSource(2).noise(0, 0, 65_536);
  const tensors = [...expectedTensors(dit, LARGE)].map(([tensor, { dims }]) => {
    const values = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
    const scale = 1 / Math.sqrt(dims.at(-1) ?? 1);
    for (let i = 0; i < values.length; i++) values[i] = (noise[i & 65_535] as number) * scale;
    return { name: tensor, dims, values };
  });
  const file = `${name.replace(' ', '-')}.safetensors`;
  await writeFile(join(folder, file), encodeSafetensors(tensors));
  return { name, dit, geometry: LARGE, weights: await openWeights(folder, [file]) };
}
