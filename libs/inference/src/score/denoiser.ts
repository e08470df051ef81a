import type { QualityTier } from '@talkmesh/contracts';
import type { KeyValues } from './key-values.js';

/**
 * The keys and values that a chunk attends to besides its own at one noise level: those of c_0 and of the previous
 * chunk. c_0 has none.
 */
export interface PassContext<Parts = unknown> {
  readonly first: KeyValues<Parts>;
  readonly previous: KeyValues<Parts>;
}

/**
 * Where a pass moves the latents: `next`, to the next noise level; `end`, to no noise; `none`, the latents stay (only the
 * pass's keys and values are needed).
 */
export type PassTarget = 'next' | 'end' | 'none';

/** The denoising of one chunk. Its passes are called one after the other, in the order of the steps. */
export interface ChunkWork<Parts = unknown> {
  /**
   * Runs one denoising step, which moves the latents.
   * @returns the pass's keys and values; the caller releases them
   */
  pass(step: number, context: PassContext<Parts> | undefined, target: PassTarget): Promise<KeyValues<Parts>>;
  /** The latents after the last pass, [latentFrames, C, H, W], flat. */
  latents(): Promise<Float32Array>;
  /** Frees what the chunk needs only while it is generated. A running pass may end later. */
  release(): void;
}

/**
 * Computes the passes of a score model, on one device or on ranks. It has no notion of sessions: all state is passed in
 * and returned as `KeyValues`.
 */
export interface Denoiser<Parts = unknown> extends AsyncDisposable {
  /** Number of concurrent chunks that keeps every device busy; additional chunks only wait. */
  readonly depth: number;
  /** Rejects when it cannot go on; never resolves. */
  readonly failed: Promise<never>;
  /** Bytes shared by all sessions: the embeddings of the noise levels and of silence. */
  readonly sharedBytes: number;
  /**
   * Starts a chunk.
   * @param x noise, [latentFrames, C, H, W] flat @param sound samples of history and chunk, -1..1; undefined: silence
   * @param tier whose steps the passes are
   */
  start(x: Float32Array, sound: Float32Array | undefined, tier: QualityTier): ChunkWork<Parts>;
  /** Number of runs so far, by segment. Tests use it to prove that nothing is computed twice. */
  runs(): Promise<Readonly<Record<string, number>>>;
}
