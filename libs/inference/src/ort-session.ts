/** How this library opens a graph in onnxruntime-node; `run` blocks the thread it is called on, so only worker threads import this. */
import { InferenceSession } from 'onnxruntime-node';
import type { OrtProvider } from './ort-protocol.js';
import { fastInt8, readCpuFacts } from './processor.js';

export interface OrtSessionOptions {
  readonly threads: number;
  readonly provider: OrtProvider;
  /** Where the files lie that a graph from memory takes its weights from. */
  readonly weightsFolder: string | undefined;
}

/** @param source a file's path, or the graph itself */
export function openOrtSession(source: string | Uint8Array, options: OrtSessionOptions): Promise<InferenceSession> {
  const { threads, provider, weightsFolder } = options;
  const all: InferenceSession.SessionOptions = {
    executionProviders: provider === 'cpu' ? ['cpu'] : [{ name: 'cuda', deviceId: provider.cuda }],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: {
      session: {
        // Spinning threads would take the cores from the other services between two chunks.
        intra_op: { allow_spinning: '0' },
        // Elsewhere products of 8-bit numbers are added in 16 bits and cut off; this avoids it, and costs half of what int8 gains.
        ...(fastInt8(readCpuFacts()) === undefined ? { x64quantprecision: '1' } : {}),
        ...(weightsFolder === undefined ? {} : { model_external_initializers_file_folder_path: weightsFolder }),
      },
    },
  };
  return typeof source === 'string' ? InferenceSession.create(source, all) : InferenceSession.create(source, all);
}
