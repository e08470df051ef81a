import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { OrtProvider } from './ort-protocol.js';

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

/** @param text as checked by `inferenceConfigShape` */
export function parseProvider(text: string): OrtProvider {
  return text === 'cpu' ? 'cpu' : { cuda: Number(text.slice('cuda:'.length)) };
}
