import type { Executor, Segment } from './executor.js';
import { loadContextGlue, loadEulerGlue } from './glue.js';
import type { Model } from './model.js';
import { ReferenceCache } from './reference.js';
import { ScoreSession, type ScoreSessionOptions } from './score-session.js';
import { computeShared, latentDims, type ScoreContext, type ScoreSegments, type ScoreShared } from './score-shared.js';

/** Bytes of state by kind, for admission and metrics. */
export interface StateBytes {
  readonly kv: number;
  readonly reference: number;
  readonly audio: number;
  readonly timestep: number;
}

/**
 * The score half of a model on one executor: sparse causal attention with caches at the same noise level (DESIGN 3,
 * TalkingMachines section 3). Sessions share the timestep embeddings, the tokens of silence and, per avatar, c_0.
 */
export class ScoreEngine implements ScoreContext, AsyncDisposable {
  readonly model: Model;
  readonly executor: Executor;
  readonly segments: ScoreSegments;
  readonly references: ReferenceCache;
  readonly shared: ScoreShared;
  readonly #sessions = new Set<ScoreSession>();

  private constructor(
    model: Model,
    executor: Executor,
    segments: ScoreSegments,
    reference: Segment,
    shared: ScoreShared,
  ) {
    this.model = model;
    this.executor = executor;
    this.segments = segments;
    this.references = new ReferenceCache(executor, reference, model);
    this.shared = shared;
  }

  /**
   * Loads the graphs and computes what all sessions share. The executor stays the caller's.
   * @throws MeshError MODEL_INVALID
   */
  static async load(model: Model, executor: Executor): Promise<ScoreEngine> {
    const { manifest, geometry } = model;
    const { layers, dim } = manifest.score;
    const graph = (name: 'audio' | 'timestep' | 'score' | 'reference'): Promise<Segment> =>
      executor.load(model.path(name), name);
    const [audio, timestep, score, reference] = [
      await graph('audio'),
      await graph('timestep'),
      await graph('score'),
      await graph('reference'),
    ];
    const context = await loadContextGlue(executor, layers, geometry.tokens, dim);
    const euler = await loadEulerGlue(executor, latentDims(manifest));
    const shared = await computeShared(model, executor, audio, timestep);
    return new ScoreEngine(model, executor, { audio, score, context, euler }, reference, shared);
  }

  /** @throws MeshError AVATAR_NOT_FOUND */
  async openSession(options: ScoreSessionOptions): Promise<ScoreSession> {
    const session = await ScoreSession.open(this, options, () => this.#sessions.delete(session));
    this.#sessions.add(session);
    return session;
  }

  stateBytes(): StateBytes {
    const total = (pick: (session: ScoreSession) => number): number =>
      [...this.#sessions].reduce((sum, session) => sum + pick(session), 0);
    const { modulations, stepToNext, stepToEnd, silence } = this.shared;
    return {
      kv: total((session) => session.kvBytes),
      audio: total((session) => session.audioBytes),
      reference: this.references.bytes,
      timestep: [...modulations, ...stepToNext, ...stepToEnd, silence].reduce((sum, handle) => sum + handle.bytes, 0),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of [...this.#sessions]) session.dispose();
    const { modulations, stepToNext, stepToEnd, silence, nothing } = this.shared;
    this.executor.release(...modulations, ...stepToNext, ...stepToEnd, silence, nothing);
    await this.executor.await(this.executor.record());
  }
}
