import { chunkGeometry, type ModelManifest } from '@talkmesh/contracts';
import { VALUE_BYTES } from './executor.js';
import { ONE_DEVICE, type ParallelPlan } from './plan/plan.js';

export interface SessionStateOptions {
  /** Chunks that can be rolled back, as given to `openSession`. */
  readonly keepChunks: number;
  readonly plan?: ParallelPlan;
}

/** Bytes a session holds on a worker, at most, however long it lasts. */
export interface SessionStateBytes {
  /** Keys and values of c_0 and of the kept chunks, every layer and step, on all ranks together. */
  readonly kv: number;
  /** Sound before each of those chunks. */
  readonly audio: number;
  /** What the session alone costs: `kv` + `audio`. */
  readonly total: number;
  /** Features of an avatar's picture; sessions of the same avatar share them. */
  readonly reference: number;
}

/**
 * The state of one score session, from the manifest alone. The chunk that is being made adds at most the K/V of one
 * chunk per pipeline stage while it is made.
 */
export function sessionStateBytes(manifest: ModelManifest, options: SessionStateOptions): SessionStateBytes {
  const { dit, schedule } = manifest.score;
  const { tokens } = chunkGeometry(manifest);
  const chunks = 1 + Math.max(1, options.keepChunks);
  const kv = chunks * schedule.length * 2 * dit.layers * tokens * dit.dim * VALUE_BYTES.float32 * copies(options.plan);
  const audio = chunks * manifest.audio.historySamples * VALUE_BYTES.float32;
  return { kv, audio, total: kv + audio, reference: referenceBytes(manifest) };
}

/** The state of one decoder session: one causal state per kept chunk and the first. */
export function decoderStateBytes(
  manifest: ModelManifest,
  options: { readonly keepChunks: number },
): { readonly state: number; readonly total: number; readonly reference: number } {
  const state = (1 + Math.max(1, options.keepChunks)) * floats(manifest.decoder.stateShape);
  return { state, total: state, reference: referenceBytes(manifest) };
}

/** With an all-gather every rank keeps all tokens; head-parallel ranks keep their own heads only. */
function copies({ exchange, sequence }: ParallelPlan = ONE_DEVICE): number {
  return exchange === 'all-gather' ? sequence : 1;
}

function referenceBytes(manifest: ModelManifest): number {
  const outputs = Object.values(manifest.decoder.referenceOutputs);
  return [[chunkGeometry(manifest).latentValues], ...outputs].reduce((sum, shape) => sum + floats(shape), 0);
}

const floats = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, VALUE_BYTES.float32);
