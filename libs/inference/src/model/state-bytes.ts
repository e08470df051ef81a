import { chunkGeometry, type GraphManifest } from '@talkmesh/contracts';
import { VALUE_BYTES } from '../executor/executor.js';
import { keyValueCopies, ONE_DEVICE, type ParallelPlan } from '../parallel/plan.js';

export interface SessionStateOptions {
  /** Number of chunks that can be rolled back, as passed to `openSession`. */
  readonly keepChunks: number;
  /** Denoising steps of a chunk. Default: those of `balanced`. */
  readonly steps?: number;
  readonly plan?: ParallelPlan;
}

/** Upper bounds of the bytes that a session holds on a worker, independent of its duration. */
export interface SessionStateBytes {
  /** Keys and values of c_0 and of the kept chunks, for every layer and step, on all ranks together. */
  readonly kv: number;
  /** Audio history of each of those chunks. */
  readonly audio: number;
  /** Bytes of the session alone: `kv` + `audio`. */
  readonly total: number;
  /** Reference features; sessions of the same avatar share them. */
  readonly reference: number;
}

/**
 * Computes the state size of one score session from the manifest. While chunks are generated, each pipeline stage adds at
 * most the keys and values of one chunk.
 */
export function sessionStateBytes(manifest: GraphManifest, options: SessionStateOptions): SessionStateBytes {
  const { dit, schedule } = manifest.score;
  const { steps = schedule.length } = options;
  const { tokens } = chunkGeometry(manifest);
  const chunks = 1 + Math.max(1, options.keepChunks);
  const kv =
    chunks *
    steps *
    2 *
    dit.layers *
    tokens *
    dit.dim *
    VALUE_BYTES.float32 *
    keyValueCopies(options.plan ?? ONE_DEVICE);
  const audio = chunks * manifest.audio.historySamples * VALUE_BYTES.float32;
  return { kv, audio, total: kv + audio, reference: referenceBytes(manifest) };
}

/** Computes the state size of one decoder session: one causal state per kept chunk, and the initial one. */
export function decoderStateBytes(
  manifest: GraphManifest,
  options: { readonly keepChunks: number },
): { readonly state: number; readonly total: number; readonly reference: number } {
  const state = (1 + Math.max(1, options.keepChunks)) * floats(manifest.decoder.stateShape);
  return { state, total: state, reference: referenceBytes(manifest) };
}

function referenceBytes(manifest: GraphManifest): number {
  const outputs = Object.values(manifest.decoder.referenceOutputs);
  return [[chunkGeometry(manifest).latentValues], ...outputs].reduce((sum, shape) => sum + floats(shape), 0);
}

const floats = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, VALUE_BYTES.float32);
