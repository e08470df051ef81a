/** The least time that one chunk of a video model can take on a GPU, by arithmetic from what its graphs compute and read and what the maker of the GPU states. */
import { chunkGeometry, qualityTiers } from '@talkmesh/contracts';
import { type GraphCost, graphCost } from '../compile/index.js';
import { type VideoPart, type VideoSizes, videoParts, videoShapes } from './video-graphs.js';

/** Numbers in 16 bits, or in 32 bits of which the tensor cores multiply the first 19. */
export type GpuNumbers = 'bfloat16' | 'float32 (TF32)';

export interface Gpu {
  readonly name: string;
  /** Dense, with sums in float32, 10^12 operations a second. */
  readonly teraflops: Readonly<Record<GpuNumbers, number>>;
  readonly bytesPerSecond: number;
  readonly bytes: number;
}

/** By NVIDIA's data sheets. */
export const GPUS: readonly Gpu[] = [
  {
    name: 'H200 SXM',
    teraflops: { bfloat16: 989, 'float32 (TF32)': 495 },
    bytesPerSecond: 4.8e12,
    bytes: 141e9,
  },
  { name: 'L40S', teraflops: { bfloat16: 362, 'float32 (TF32)': 183 }, bytesPerSecond: 864e9, bytes: 48e9 },
  { name: 'RTX 4090', teraflops: { bfloat16: 165, 'float32 (TF32)': 82.6 }, bytesPerSecond: 1008e9, bytes: 24e9 },
];

/** What is assumed: shares of the stated peaks that are reached, of the memory that state may fill, and of a chunk's time that is planned. */
export const FLOOR_ASSUMPTIONS = { compute: 0.5, bandwidth: 0.8, memory: 0.9, time: 0.8 } as const;
/** Chunks that can be rolled back, as docs/models.md sets them. */
export const FLOOR_KEEP_CHUNKS = 5;

const VALUE: Readonly<Record<GpuNumbers, number>> = { bfloat16: 2, 'float32 (TF32)': 4 };

/** A graph and what one run of it costs. */
export interface PartCost extends VideoPart {
  readonly cost: GraphCost;
}

/** @throws MeshError MODEL_INVALID when the model's sizes do not fit together */
export function partCosts(sizes: VideoSizes): PartCost[] {
  return videoParts(sizes, videoShapes(sizes)).map((part) => ({
    ...part,
    cost: graphCost(part.segment, part.free),
  }));
}

/** One quality of a model on one GPU. */
export interface GpuFloor {
  readonly gpu: string;
  readonly quality: string;
  /** Of one chunk. */
  readonly operations: number;
  /** Weights, inputs and outputs of each run: read or written at least once, whatever is cached between. */
  readonly bytes: number;
  /** Time of the arithmetic alone and of reading and writing alone. */
  readonly computeMs: number;
  readonly bytesMs: number;
  /** The sum over the runs of the longer of both. */
  readonly floorMs: number;
  readonly callsByTime: number;
  /** What the graphs hold, and what a call with an avatar of its own holds. */
  readonly weightBytes: number;
  readonly callBytes: number;
  readonly callsByMemory: number;
}

/** Every quality of a model on every GPU. */
export function gpuFloors(sizes: VideoSizes, parts: readonly PartCost[], numbers: GpuNumbers): GpuFloor[] {
  return GPUS.flatMap((gpu) =>
    tiersOf(sizes).map(({ name, steps }) => floorOf(gpu, name, withSteps(parts, steps), sizes, numbers)),
  );
}

/** Names and numbers of steps. */
function tiersOf(sizes: VideoSizes): { readonly name: string; readonly steps: number }[] {
  return qualityTiers(sizes).map(({ name, schedule }) => ({ name, steps: schedule.length }));
}

const withSteps = (parts: readonly PartCost[], steps: number): PartCost[] =>
  parts.map((part) => (part.name === 'score step' ? { ...part, runs: steps } : part));

function floorOf(
  gpu: Gpu,
  quality: string,
  parts: readonly PartCost[],
  sizes: VideoSizes,
  numbers: GpuNumbers,
): GpuFloor {
  const { compute, bandwidth, memory, time } = FLOOR_ASSUMPTIONS;
  const each = VALUE[numbers];
  let [operations, bytes, computeMs, bytesMs, floorMs] = [0, 0, 0, 0, 0];
  for (const { runs, cost } of parts) {
    const moved = each * (cost.weights + cost.inputs + cost.outputs);
    const computed = cost.operations / (compute * gpu.teraflops[numbers] * 1e9);
    const read = moved / (bandwidth * gpu.bytesPerSecond * 1e-3);
    operations += runs * cost.operations;
    bytes += runs * moved;
    computeMs += runs * computed;
    bytesMs += runs * read;
    floorMs += runs * Math.max(computed, read);
  }
  const weightBytes = each * weightValues(parts);
  const callBytes = each * stateValues(sizes, parts);
  return {
    ...{ gpu: gpu.name, quality, operations, bytes, computeMs, bytesMs, floorMs, weightBytes, callBytes },
    callsByTime: Math.floor((time * chunkGeometry(sizes).chunkMs) / floorMs),
    callsByMemory: Math.max(0, Math.floor((memory * gpu.bytes - weightBytes) / callBytes)),
  };
}

/** Each graph holds its weights; steps and clean pass are one graph. */
function weightValues(parts: readonly PartCost[]): number {
  const graphs = new Map(parts.map(({ segment, cost }) => [segment.name, cost.weights]));
  return [...graphs.values()].reduce((sum, weights) => sum + weights, 0);
}

/** Keys and values of the sink, of the chunks that are seen and of those that can be rolled back; the decoder's caches after each of the latter and after the sink. */
function stateValues(sizes: VideoSizes, parts: readonly PartCost[]): number {
  const { sink = 0, recent = 0 } = sizes.score.dit.context ?? {};
  const caches = parts
    .filter(({ runs }) => runs > 0)
    .flatMap(({ segment }) => segment.inputs.filter(({ name }) => name.startsWith('cache_')))
    .reduce((sum, { dims }) => sum + dims.reduce<number>((product, dim) => product * Number(dim), 1), 0);
  return (sink + recent + FLOOR_KEEP_CHUNKS) * keyValues(sizes) + (1 + FLOOR_KEEP_CHUNKS) * caches;
}

/** Numbers in the keys and values of one chunk. */
export function keyValues(sizes: VideoSizes): number {
  const { layers, dim } = sizes.score.dit;
  return 2 * layers * chunkGeometry(sizes).tokens * dim;
}
