/** The tables of `talkmesh models floor`. */
import { chunkGeometry, MeshError } from '@talkmesh/contracts';
import {
  FLOOR_ASSUMPTIONS,
  FLOOR_KEEP_CHUNKS,
  GPUS,
  type GpuFloor,
  type GpuNumbers,
  gpuFloors,
  keyValueCopies,
  keyValues,
  liveTalkSizes,
  loadModel,
  type ParallelPlan,
  type PartCost,
  partCosts,
  receivedValues,
  VALUE_BYTES,
  type VideoSizes,
} from '@talkmesh/inference';
import { formatTable, type Row } from './table.js';

const DECODERS = ['codec', 'taehv'] as const;
const NUMBERS: readonly GpuNumbers[] = ['bfloat16', 'float32 (TF32)'];
const RANKS = [2, 3, 4, 6];
const EXCHANGES = ['all-gather', 'ulysses'] as const;
const [TERA, GIGA, MILLION] = [1e12, 1e9, 1e6];
/** Whole from 100 on. */
const inMillions = (count: number): number => (count < 100 * MILLION ? count / MILLION : Math.round(count / MILLION));
const percent = (share: number): string => `${Math.round(100 * share)} %`;

/** @param folder of an imported model; undefined: LiveTalk-1.3B with either decoder @throws MeshError MODEL_INVALID */
export async function floorText(folder: string | undefined): Promise<string> {
  const models = folder === undefined ? DECODERS.map((decoder) => liveTalkSizes(decoder)) : [await sizesOf(folder)];
  const costed = models.map((sizes) => ({ sizes, parts: partCosts(sizes) }));
  const [{ sizes, parts }, other] = costed as [(typeof costed)[number], (typeof costed)[number] | undefined];
  const { width, height, fps, score } = sizes;
  const { sink = 0, recent = 0 } = score.dit.context ?? {};
  const { framesPerChunk, chunkMs } = chunkGeometry(sizes);
  const known = new Set(parts.map(({ name }) => name));
  const all = [...parts, ...(other?.parts ?? []).filter(({ name }) => !known.has(name))];
  const { compute, bandwidth, memory, time } = FLOOR_ASSUMPTIONS;
  return [
    `${folder ?? 'LiveTalk-1.3B'}: ${width} x ${height} pixels, ${fps} frames a second, chunks of ${framesPerChunk} frames (${chunkMs} ms), ${score.schedule.length} steps and a clean pass.`,
    'Derived by arithmetic. Nothing ran on a GPU.',
    '',
    formatTable(
      `Counted in the graphs; of a pass's numbers in, ${inMillions((sink + recent) * keyValues(sizes))} million are keys and values of ${sink + recent} chunks`,
      all.map(partRow),
    ),
    ...NUMBERS.flatMap((numbers) => [
      '',
      formatTable(
        `Least time and memory, ${numbers}`,
        costed.flatMap((model) => gpuFloors(model.sizes, model.parts, numbers).map((floor) => row(model.sizes, floor))),
      ),
    ]),
    '',
    formatTable(
      'One pass on ranks that share its tokens, as they exchange rows today: float32, through the memory of the processor',
      planRows(sizes),
    ),
    '',
    `Stated by the maker: ${GPUS.map(gpuText).join('; ')}. Dense, sums in float32.`,
    `Assumed: ${percent(compute)} of the operations and ${percent(bandwidth)} of the bytes a second are reached; weights, inputs and outputs of each graph are read or written once`,
    `a run, and what is between its operators costs nothing. Calls by time: ${percent(time)} of a chunk's time is planned. By memory: ${percent(memory)} of it is used, each call has an`,
    `avatar of its own and ${FLOOR_KEEP_CHUNKS} chunks that can be rolled back, and what a graph needs while it runs is not counted.`,
  ].join('\n');
}

function planRows(sizes: VideoSizes): Row[] {
  const { tokens } = chunkGeometry(sizes);
  const { dim, layers, heads, context } = sizes.score.dit;
  const { sink = 0, recent = 0 } = context ?? {};
  const plans = RANKS.flatMap((sequence) => EXCHANGES.map((exchange) => ({ sequence, steps: 1, exchange })));
  const fits = ({ sequence, exchange }: ParallelPlan): boolean =>
    tokens % sequence === 0 && (exchange === 'all-gather' || heads % sequence === 0);
  const gigabytes = (values: number): number => (VALUE_BYTES.float32 * values) / GIGA;
  return plans.filter(fits).map((plan) => {
    const copies = keyValueCopies(plan) / plan.sequence;
    return {
      ranks: plan.sequence,
      exchange: plan.exchange,
      'GB a rank receives': gigabytes(receivedValues(plan, tokens, dim, layers)),
      'GB of context that a rank reads': gigabytes((sink + recent) * copies * keyValues(sizes)),
      'GB of a chunk that it keeps': gigabytes(copies * keyValues(sizes)),
    };
  });
}

async function sizesOf(folder: string): Promise<VideoSizes> {
  const model = await loadModel(folder);
  if (model.kind === 'video') return model.manifest;
  throw new MeshError(
    'MODEL_INVALID',
    `${folder} is not a video model; name the folder that \`talkmesh models import\` wrote, or leave out --from`,
  );
}

function partRow({ name, runs, cost }: PartCost): Row {
  return {
    part: name,
    'runs a chunk': runs === 0 ? 'once' : runs,
    'TFLOP a run': cost.operations / TERA,
    'weights, million': inMillions(cost.weights),
    'numbers in, million': inMillions(cost.inputs),
    'numbers out, million': inMillions(cost.outputs),
  };
}

function row({ decoder }: VideoSizes, floor: GpuFloor): Row {
  return {
    GPU: floor.gpu,
    decoder: decoder.kind,
    quality: floor.quality,
    'TFLOP a chunk': floor.operations / TERA,
    'GB a chunk': floor.bytes / GIGA,
    'ms, arithmetic': Math.round(floor.computeMs),
    'ms, bytes': Math.round(floor.bytesMs),
    'ms a chunk': Math.round(floor.floorMs),
    'calls by time': floor.callsByTime,
    'weights, GB': floor.weightBytes / GIGA,
    'a call, GB': floor.callBytes / GIGA,
    'calls by memory': floor.callsByMemory,
  };
}

function gpuText({ name, teraflops, bytesPerSecond, bytes }: (typeof GPUS)[number]): string {
  const rates = Object.entries(teraflops).map(([numbers, rate]) => `${numbers} ${rate}`);
  return `${name}: TFLOP/s ${rates.join(', ')}; ${bytesPerSecond / GIGA} GB/s; ${bytes / GIGA} GB`;
}
