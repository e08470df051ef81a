/** One chunk of LiveTalk, part by part: time, what is computed, and what closed formulas say of it. Random weights. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createOrtExecutor,
  decoderParts,
  type Executor,
  graphCost,
  LIVETALK_SIZES,
  type LiveTalkSizes,
  liveTalkSizes,
  loadCompiled,
  NoiseSource,
  openCheckpoint,
  parseProvider,
  type TensorHandle,
  type VideoNetwork,
  type VideoPart,
  type VideoSizes,
  videoParts,
  type Weights,
} from '@talkmesh/inference';
import { FIXTURE_VIDEO_SIZES, VIDEO_FORMULAS } from '@talkmesh/inference/testing';
import { median } from '../support/statistics.js';
import { createRandomCheckpoint } from './random-checkpoint.js';
import type { Row } from './table.js';

export const VIDEO_WIDTHS = ['full', 'small'] as const;
const SIZES = [128, 256, 512];
/** Runs of a part: at most this many, and no more begin after this time. The first does not count if there are others. */
const MOST_RUNS = 6;
const BUDGET_MS = 10_000;
const GIGA = 1e9;

export interface VideoModelOptions {
  /** Pixels of a side. */
  readonly size: number;
  /** `full`: the published widths, 3.3 GB of weights in a temporary folder and up to 16 GB of memory. `small`: those of the tests. */
  readonly width: (typeof VIDEO_WIDTHS)[number];
  /** As TALKMESH_INFERENCE_PROVIDER writes it. */
  readonly provider: string;
  readonly say: (line: string) => void;
}

interface Timed {
  readonly part: VideoPart;
  readonly sizes: VideoSizes;
  readonly seconds: number;
  /** Time of all threads of this process. */
  readonly cpuSeconds: number;
  readonly runs: number;
}

/** @throws RangeError for another size */
export async function measureVideoModel(options: VideoModelOptions): Promise<Record<string, readonly Row[]>> {
  const { size, width, provider, say } = options;
  if (!SIZES.includes(size)) throw new RangeError(`--size is one of ${SIZES.join(', ')}, not ${size}`);
  const described = width === 'full' ? LIVETALK_SIZES : FIXTURE_VIDEO_SIZES;
  const side = size / described.scale;
  const sizes: LiveTalkSizes = { ...described, grid: { height: side, width: side } };
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-bench-'));
  try {
    const { model, bytes, writeMs, importMs } = await createRandomCheckpoint(folder, sizes);
    say(
      `${(bytes / GIGA).toFixed(2)} GB written in ${Math.round(writeMs / 1000)} s, imported in ${Math.round(importMs / 1000)} s`,
    );
    const opened = await openCheckpoint(model.folder);
    const weightsOf = (network: VideoNetwork): Weights => opened[network] as Weights;
    const small = liveTalkSizes('taehv', sizes);
    const parts = [
      ...videoParts(model.manifest, weightsOf).map((part) => ({ part, sizes: model.manifest })),
      ...decoderParts(small, weightsOf).map((part) => ({ part, sizes: small })),
    ];
    const loadBefore = loadavg()[0] as number;
    const timed: Timed[] = [];
    // One graph at a time is in memory; steps and clean pass are one.
    for (const name of new Set(parts.map(({ part }) => part.segment.name)))
      timed.push(
        ...(await measureGraph(
          provider,
          parts.filter(({ part }) => part.segment.name === name),
          say,
        )),
      );
    return {
      videoModel: rowsOf(timed),
      videoMachine: [
        {
          size: `${size} x ${size}`,
          width,
          provider,
          'weights GB': bytes / GIGA,
          'import s': importMs / 1000,
          'peak memory GB': (1024 * process.resourceUsage().maxRSS) / GIGA,
          threads: availableParallelism(),
          'load before': loadBefore,
          'load after': loadavg()[0] as number,
        },
      ],
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Loads a graph once and runs it for each part that uses it. */
async function measureGraph(
  provider: string,
  parts: readonly { readonly part: VideoPart; readonly sizes: VideoSizes }[],
  say: (line: string) => void,
): Promise<Timed[]> {
  const { part: first } = parts[0] as { part: VideoPart };
  await using executor = createOrtExecutor({ threads: availableParallelism(), provider: parseProvider(provider) });
  const segment = await loadCompiled(executor, first.segment);
  const inputs = randomInputs(executor, first);
  const timed: Timed[] = [];
  for (const { part, sizes } of parts) {
    const read = smallestOutput(part);
    const outputs = [...new Set([...part.outputs, read])];
    const times: number[] = [];
    const cpuTimes: number[] = [];
    const begin = performance.now();
    while (times.length < MOST_RUNS && (times.length === 0 || performance.now() - begin < BUDGET_MS)) {
      const [start, cpu] = [performance.now(), process.cpuUsage()];
      const { [read]: small, ...others } = await executor.run(segment, { inputs, outputs });
      // A device computes on after the call: values that are read are there.
      await executor.take(small as TensorHandle);
      executor.release(...Object.values(others));
      times.push((performance.now() - start) / 1000);
      const { user, system } = process.cpuUsage(cpu);
      cpuTimes.push((user + system) / 1e6);
    }
    const counted = times.length === 1 ? times : times.slice(1);
    const cpuSeconds = median(cpuTimes.length === 1 ? cpuTimes : cpuTimes.slice(1));
    timed.push({ part, sizes, seconds: median(counted), cpuSeconds, runs: counted.length });
    say(`${part.name}: ${median(counted).toFixed(3)} s, ${counted.length} runs`);
  }
  return timed;
}

/** Name of the output with the fewest numbers. */
function smallestOutput({ segment }: VideoPart): string {
  const size = (dims: readonly (number | string)[]): number =>
    dims.reduce<number>((all, dim) => all * (typeof dim === 'number' ? dim : Number.POSITIVE_INFINITY), 1);
  const [smallest] = [...segment.outputs].sort((a, b) => size(a.dims) - size(b.dims));
  return (smallest as { name: string }).name;
}

function randomInputs(executor: Executor, { segment, free }: VideoPart): Record<string, TensorHandle> {
  const noise = new NoiseSource(2).noise(0, 0, 65_521);
  const inputs = segment.inputs.map(({ name, dims }) => {
    const sized = dims.map((dim) => (typeof dim === 'number' ? dim : (free[dim] as number)));
    const values = new Float32Array(sized.reduce((product, dim) => product * dim, 1));
    for (let at = 0; at < values.length; at += noise.length) values.set(noise.subarray(0, values.length - at), at);
    return [name, executor.upload(values, 'float32', sized)] as const;
  });
  return Object.fromEntries(inputs);
}

/** Seconds and operations of one run, or of a whole chunk. */
interface Sums {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly counted: number;
  readonly formula: number;
}

/** One row a part, then the whole chunk with each decoder. Shares are those of the chunk with Wan's decoder. */
function rowsOf(timed: readonly Timed[]): Row[] {
  const costs = timed.map((one) => ({ ...one, ...operationsOf(one) }));
  const chunkWith = (decoder: VideoNetwork): Sums => {
    const other = decoder === 'codec' ? 'small-decoder' : 'codec';
    const used = costs.filter(({ part }) => part.network !== other);
    const sum = (value: (one: Sums) => number): number =>
      used.reduce((all, one) => all + one.part.runs * value(one), 0);
    return {
      seconds: sum((one) => one.seconds),
      cpuSeconds: sum((one) => one.cpuSeconds),
      counted: sum((one) => one.counted),
      formula: sum((one) => one.formula),
    };
  };
  const whole = chunkWith('codec');
  return [
    ...costs.map((one) => {
      const { name, runs, network } = one.part;
      const inChunk = runs > 0 && network !== 'small-decoder';
      const share = (of: keyof Sums): number | string => (inChunk ? (100 * runs * one[of]) / whole[of] : '-');
      return row(name, runs === 0 ? 'once' : runs, one.runs, one, share('cpuSeconds'), share('counted'));
    }),
    row('chunk', '-', '-', whole, 100, 100),
    row('chunk, small decoder', '-', '-', chunkWith('small-decoder'), '-', '-'),
  ];
}

function operationsOf({ part, sizes }: Timed): Pick<Sums, 'counted' | 'formula'> {
  const formula = VIDEO_FORMULAS[part.name];
  if (formula === undefined) throw new Error(`there is no formula for ${part.name}; add one`);
  return { counted: graphCost(part.segment, part.free).operations, formula: formula(sizes) };
}

function row(
  part: string,
  runs: number | string,
  measured: number | string,
  { seconds, cpuSeconds, counted, formula }: Sums,
  timeShare: number | string,
  operationsShare: number | string,
): Row {
  return {
    part,
    'runs a chunk': runs,
    measured,
    's a run': seconds,
    'CPU s a run': cpuSeconds,
    GFLOP: counted / GIGA,
    'GFLOP by formula': formula / GIGA,
    'differ %': (100 * (counted - formula)) / formula,
    'GFLOP/s': counted / GIGA / seconds,
    'GFLOP per CPU s': counted / GIGA / cpuSeconds,
    "% of the chunk's CPU s": timeShare,
    '% of its GFLOP': operationsShare,
  };
}
