import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { OrtProvider } from './ort-protocol.js';
import type { ExchangeKind, ParallelPlan } from './plan/plan.js';

/** Settings of a service that runs a model; spread into its config shape. */
export const inferenceConfigShape = {
  /** Model folder. */
  model: z
    .string()
    .min(1)
    .default(fileURLToPath(new URL('../../../models/nano', import.meta.url))),
  /** Threads of one run; 1 leaves the other cores to the other services. */
  inferenceThreads: z.coerce.number().int().min(1).max(256).default(1),
  /** `cpu`, or `cuda:<device>` where the CUDA provider is installed. */
  inferenceProvider: z
    .string()
    .regex(/^(cpu|cuda:\d{1,3})$/, 'is cpu or cuda:<device number>')
    .default('cpu'),
} as const;

/** Settings of the score worker's parallel plan, see plan/plan.ts. */
export const planConfigShape = {
  /** Ranks that share the tokens of one pass; each is a thread with its own device. */
  sequenceRanks: z.coerce.number().int().min(1).max(64).default(1),
  /** Groups of ranks that share the denoising steps; chunks follow each other through them. */
  stepRanks: z.coerce.number().int().min(1).max(64).default(1),
  /** How ranks of a group swap keys and values. */
  sequenceExchange: z.enum(['all-gather', 'ulysses']).default('all-gather'),
  /** Devices of the ranks, group by group, separated by commas; used again from the first when there are more ranks. Empty: inferenceProvider. */
  rankDevices: z
    .string()
    .regex(/^((cpu|cuda:\d{1,3})(,(cpu|cuda:\d{1,3}))*)?$/, 'is a list of cpu or cuda:<device number>, with commas')
    .default(''),
} as const;

/** Settings of the decoder's worker. */
export const decoderConfigShape = {
  /** `auto`: 8-bit convolutions where the model has them and the processor is fast at them; the others insist. */
  decoderPrecision: z.enum(['auto', 'float32', 'int8']).default('auto'),
} as const;

export const timelineConfigShape = {
  /** File that gets a trace of what runs when, for chrome://tracing; several services may share it. Empty: none. */
  timeline: z.string().default(''),
} as const;

/** @param text as checked by `inferenceConfigShape` */
export function parseProvider(text: string): OrtProvider {
  return text === 'cpu' ? 'cpu' : { cuda: Number(text.slice('cuda:'.length)) };
}

/** The plan and its devices, from settings as checked by `planConfigShape` and `inferenceConfigShape`. */
export function parsePlan(config: {
  readonly sequenceRanks: number;
  readonly stepRanks: number;
  readonly sequenceExchange: ExchangeKind;
  readonly rankDevices: string;
  readonly inferenceProvider: string;
}): { readonly plan: ParallelPlan; readonly devices: readonly OrtProvider[] } {
  const { sequenceRanks: sequence, stepRanks: steps, sequenceExchange: exchange } = config;
  const list = config.rankDevices === '' ? config.inferenceProvider : config.rankDevices;
  return { plan: { sequence, steps, exchange }, devices: list.split(',').map(parseProvider) };
}
