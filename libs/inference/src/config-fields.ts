import { fileURLToPath } from 'node:url';
import { chunkLatentFrames } from '@talkmesh/contracts';
import { z } from 'zod';
import type { OrtProvider } from './executor/ort-protocol.js';
import type { ExchangeKind, ParallelPlan } from './parallel/plan.js';

const ONE_PROVIDER = '(cpu|webgpu|cuda(:\\d{1,3})?)';
const PROVIDER = new RegExp(`^${ONE_PROVIDER}$`);
const PROVIDERS = new RegExp(`^(${ONE_PROVIDER}(,${ONE_PROVIDER})*)?$`);

/** Settings of a service that runs a model, to spread into its config shape. */
export const inferenceConfigShape = {
  /** Model folder. */
  model: z
    .string()
    .min(1)
    .default(fileURLToPath(new URL('../../../models/nano', import.meta.url))),
  /** Length of a chunk, latent frames, the same for all services: one that the model has (nano: 3 or 7); 0: the model's own. */
  chunkLatentFrames,
  /** Threads that the runtime uses for one run; 1 leaves the other cores to the other services. */
  inferenceThreads: z.coerce.number().int().min(1).max(256).default(1),
  /**
   * What runs the model: `cpu`, `webgpu` (any GPU with a Vulkan driver), or `cuda:<device>` (not run on a GPU yet). `cuda` is
   * `cuda:0`. `talkmesh doctor` says which are available.
   */
  inferenceProvider: z.string().regex(PROVIDER, 'is cpu, webgpu or cuda:<device number>').default('cpu'),
} as const;

/** Settings of the score worker's parallel plan, see parallel/plan.ts. */
export const planConfigShape = {
  /** Ranks that share the tokens of one pass; each is a thread with its own device. */
  sequenceRanks: z.coerce.number().int().min(1).max(64).default(1),
  /** Groups of ranks that share the denoising steps; the groups form a pipeline of chunks. */
  stepRanks: z.coerce.number().int().min(1).max(64).default(1),
  /** How the ranks of a group exchange keys and values. */
  sequenceExchange: z.enum(['all-gather', 'ulysses']).default('all-gather'),
  /**
   * Devices of the ranks, group by group, separated by commas; with more ranks the list repeats. Empty:
   * inferenceProvider.
   */
  rankDevices: z.string().regex(PROVIDERS, 'is a list of cpu, webgpu or cuda:<device number>, with commas').default(''),
  /** Longest wait for a rank before its group starts again, milliseconds; a whole pass may take twice as long. Large models on processors need minutes. */
  rankDeadlineMs: z.coerce.number().int().min(100).max(3_600_000).default(10_000),
} as const;

/** Settings of the decoder's worker. */
export const decoderConfigShape = {
  /**
   * `auto`: 8-bit convolutions if the model has them and the processor is fast at them. The other values force the
   * decoder.
   */
  decoderPrecision: z.enum(['auto', 'float32', 'int8']).default('auto'),
} as const;

export const timelineConfigShape = {
  /** File for a trace of all operations, for chrome://tracing; several services may share it. Empty: no trace. */
  timeline: z.string().default(''),
} as const;

/** @param text as checked by `inferenceConfigShape` */
export function parseProvider(text: string): OrtProvider {
  return text === 'cpu' || text === 'webgpu' ? text : { cuda: Number(text.split(':')[1] ?? 0) };
}

/** The plan, its devices and its deadline, from settings as checked by `planConfigShape` and `inferenceConfigShape`. */
export function parsePlan(config: {
  readonly sequenceRanks: number;
  readonly stepRanks: number;
  readonly sequenceExchange: ExchangeKind;
  readonly rankDevices: string;
  readonly rankDeadlineMs: number;
  readonly inferenceProvider: string;
}): { readonly plan: ParallelPlan; readonly devices: readonly OrtProvider[]; readonly deadlineMs: number } {
  const { sequenceRanks: sequence, stepRanks: steps, sequenceExchange: exchange, rankDeadlineMs: deadlineMs } = config;
  const list = config.rankDevices === '' ? config.inferenceProvider : config.rankDevices;
  return { plan: { sequence, steps, exchange }, devices: list.split(',').map(parseProvider), deadlineMs };
}
