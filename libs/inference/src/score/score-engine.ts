import type { QualityTier } from '@talkmesh/contracts';
import type { Executor } from '../executor/executor.js';
import type { Model } from '../model/model.js';
import type { RankOptions } from '../parallel/rank-groups.js';
import { CleanScoreEngine } from './clean-score-engine.js';
import { MatchedScoreEngine } from './matched-engine.js';

export interface ScoreSessionOptions {
  readonly avatar: string;
  /** The same seed, avatar and speech give the same latents. */
  readonly seed: number;
  /** Number of chunks that can be rolled back. */
  readonly keepChunks: number;
  /** A tier of the model. Default: `balanced`. */
  readonly tier?: QualityTier;
  /**
   * The first chunk to generate or restore of a session that is taken over from another worker; what precedes every session of the avatar stands
   * for the chunks before it. Default: chunk 0.
   */
  readonly from?: {
    readonly chunk: number;
    /** The `historySamples` samples before that chunk, -1..1. */
    readonly history: Float32Array;
  };
}

export interface GeneratedChunk {
  /** [latentFrames, C, H, W], flat; in chunk 0 of a model with sink chunks, theirs before. Empty for a held chunk. */
  readonly values: Float32Array;
  /** Number of denoising steps taken. */
  readonly steps: number;
}

/** A chunk that was generated before, on any worker. */
export interface KnownChunk extends GeneratedChunk {
  /** The chunk's samples, 24 kHz. */
  readonly pcm: Int16Array;
}

/** The causal state of one session. Its size is constant, however long the session lasts. */
export interface ScoreSession {
  readonly kvBytes: number;
  readonly audioBytes: number;
  /**
   * Generates one chunk from its audio. The previous chunk's state must be kept, or the previous chunk must be running.
   * @param pcm the chunk's samples, 24 kHz
   * @param maxSteps limits the denoising steps when time is short, for a coarser chunk; 0 gives a held chunk without
   *   values, which runs nothing
   * @returns undefined when the chunk was rolled back or the session was closed in the meantime
   * @throws MeshError INTERNAL
   */
  generate(chunk: number, pcm: Int16Array, maxSteps?: number): Promise<GeneratedChunk | undefined>;
  /** Brings the state to that after a chunk which was generated before, at a takeover. */
  restore(chunk: number, known: KnownChunk): Promise<void>;
  /** Drops chunk `fromChunk` and all later chunks; chunks that are being generated are abandoned. */
  rollback(fromChunk: number): void;
  /** Frees everything. Safe to call twice. */
  dispose(): void;
}

/** Bytes of state by kind, for admission and metrics. */
export interface StateBytes {
  readonly kv: number;
  readonly reference: number;
  readonly audio: number;
  readonly timestep: number;
}

/** What restoring a session costs. */
export interface Replay {
  /** Chunks after which the state no longer depends on earlier chunks. */
  readonly depth: number;
  /** Steps of a chunk that counts: one with fewer passes on keys and values of the chunk before. */
  readonly wholeSteps: number;
  /** Time to restore a chunk, as a part of that to generate one of its tier. */
  readonly share: number;
}

/** The score network of a model, loaded. */
export interface ScoreEngine extends AsyncDisposable {
  readonly model: Model;
  readonly executor: Executor;
  /** Number of chunks, of one or several sessions, that must be generated concurrently to keep every device busy. */
  readonly depth: number;
  /** How many of them can be of one session. */
  readonly sessionDepth: number;
  /** Passes of the network for a chunk besides its denoising steps. */
  readonly extraPasses: number;
  /** What restoring a session of a tier costs. Default: `balanced`. */
  replay(tier?: QualityTier): Replay;
  /** Rejects when the engine cannot continue and its process must be restarted; never resolves. */
  readonly failed: Promise<never>;
  /** Upper bound of the bytes that one session holds, independent of its duration. */
  sessionBytes(keepChunks: number, tier?: QualityTier): number;
  /** @throws MeshError AVATAR_NOT_FOUND; ARGUMENT_INVALID for a tier that the parallel plan cannot run */
  openSession(options: ScoreSessionOptions): Promise<ScoreSession>;
  stateBytes(): StateBytes;
}

/**
 * Loads the networks and computes what all sessions share. The caller keeps ownership of the executor. With a parallel plan
 * the executor encodes audio and reference pictures, and the plan's ranks run the passes.
 * @throws MeshError MODEL_INVALID; CONFIG_INVALID when the plan does not fit the model
 */
export function loadScoreEngine(model: Model, executor: Executor, ranks?: RankOptions): Promise<ScoreEngine> {
  return model.kind === 'graph'
    ? MatchedScoreEngine.load(model, executor, ranks)
    : CleanScoreEngine.load(model, executor, ranks);
}
