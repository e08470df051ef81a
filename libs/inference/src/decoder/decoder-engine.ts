import type { Executor } from '../executor/executor.js';
import type { Model } from '../model/model.js';
import type { PortraitFinder } from '../portrait/portrait.js';
import type { DecoderChoice, RequestedPrecision } from './decoder-precision.js';
import { PictureDecoderEngine } from './picture-decoder.js';
import { VideoDecoderEngine } from './video-decoder.js';

/** How a picture is animated: by the model's decoder graph, as a textured mesh, or by a network that makes every pixel. */
export type DecoderKind = 'graph' | 'mesh' | 'video';

export interface DecoderSessionOptions {
  readonly avatar: string;
  /** Of the frames, as a multiple of the model's own size; one of its sizes. Default 1. */
  readonly scale?: number;
  /** Number of chunks that can be rolled back. */
  readonly keepChunks: number;
}

export interface DecodedChunk {
  /** Planar I420 frames in order. */
  readonly frames: readonly Uint8Array[];
  /** Number of chunks missing before this one; the decoder continued from an older state. */
  readonly missing: number;
}

/** The decoder states of one session after its last chunks, so that it can roll back. Only one `decode` may run at a time. */
export interface DecoderSession {
  /** Which decoder animates the session's picture. */
  readonly kind: DecoderKind;
  readonly stateBytes: number;
  /**
   * Decodes one chunk from the state after the newest kept chunk before it.
   * @param values as `GeneratedChunk.values`
   * @returns undefined when the chunk was rolled back or the session was closed in the meantime
   * @throws MeshError MESSAGE_MALFORMED for another number of values
   */
  decode(chunk: number, values: Float32Array): Promise<DecodedChunk | undefined>;
  /** Drops chunk `fromChunk` and all later chunks; a chunk that is being decoded is abandoned. */
  rollback(fromChunk: number): void;
  /** Frees everything. Safe to call twice. */
  dispose(): void;
}

/** Decodes latents into I420 frames on one executor, with one causal state per session. */
export interface DecoderEngine extends AsyncDisposable {
  readonly model: Model;
  readonly executor: Executor;
  readonly precision: Pick<DecoderChoice, 'precision' | 'reason'>;
  /** Finds faces in users' pictures; undefined for a model without a portrait finder. */
  readonly finder: PortraitFinder | undefined;
  /** Chunks after which the state no longer depends on earlier chunks. */
  readonly replayDepth: number;
  /** Upper bound of the bytes that one session holds, independent of its duration. */
  sessionBytes(keepChunks: number): number;
  /** @throws MeshError AVATAR_NOT_FOUND */
  openSession(options: DecoderSessionOptions): Promise<DecoderSession>;
  stateBytes(): { readonly state: number; readonly reference: number };
}

/**
 * Loads the decoder of a model. The caller keeps ownership of the executor.
 * @throws MeshError MODEL_INVALID, also when int8 is requested from a model without it
 */
export function loadDecoderEngine(
  model: Model,
  executor: Executor,
  requested?: RequestedPrecision,
): Promise<DecoderEngine> {
  return model.kind === 'graph'
    ? PictureDecoderEngine.load(model, executor, requested)
    : VideoDecoderEngine.load(model, executor, requested);
}
