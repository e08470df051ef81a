import type { KeyValues } from './key-values.js';

/** What a chunk sees besides itself at one noise level; c_0 sees nothing. */
export interface PassContext<Parts = unknown> {
  readonly first: KeyValues<Parts>;
  readonly previous: KeyValues<Parts>;
}

/** Where a pass takes the latents: to the next noise level, to no noise, or nowhere (only its keys and values matter). */
export type Way = 'next' | 'end' | 'none';

/** One chunk between noise and latents. Its passes are called one after the other, by rising step. */
export interface ChunkWork<Parts = unknown> {
  /**
   * One denoising step: moves the latents on.
   * @returns the pass's keys and values, one user: the caller
   */
  pass(step: number, context: PassContext<Parts> | undefined, way: Way): Promise<KeyValues<Parts>>;
  /** The latents after the last pass, [latentFrames, C, H, W], flat. */
  latents(): Promise<Float32Array>;
  /** Frees what the chunk needed while it was made. Passes under way may end after that. */
  release(): void;
}

/**
 * What computes the passes of a score model, on one device or on ranks. It knows no sessions: state comes in and goes out
 * as `KeyValues`.
 */
export interface Denoiser<Parts = unknown> extends AsyncDisposable {
  /** Chunks under way at once that keep it busy; more only wait. */
  readonly depth: number;
  /** Rejects when it cannot go on; never resolves. */
  readonly failed: Promise<never>;
  /** Bytes held for all sessions together: embeddings of the noise levels and of silence. */
  readonly sharedBytes: number;
  /**
   * @param x noised latents, [latentFrames, C, H, W] @param sound history and chunk, -1..1; undefined: silence
   */
  start(x: Float32Array, sound: Float32Array | undefined): ChunkWork<Parts>;
  /** Runs so far, by what ran: what was computed and, as it is not counted, what was not computed again. */
  runs(): Promise<Readonly<Record<string, number>>>;
}
