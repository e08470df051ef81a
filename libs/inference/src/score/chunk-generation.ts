import { MeshError } from '@talkmesh/contracts';
import type { ChunkWork, PassTarget } from './denoiser.js';
import type { KeyValues } from './key-values.js';

/** The previous chunk, complete or still being generated. */
export interface PreviousChunk {
  /** One entry per denoising step. */
  readonly kv: readonly (KeyValues | Promise<KeyValues>)[];
  readonly history: Float32Array;
  /** Resolves when the chunk has ended, also by failure or rollback; undefined for a chunk that is complete. */
  readonly ended?: Promise<void>;
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

/**
 * A chunk that is being generated. Its keys and values become available step by step, so step s of the next chunk can
 * start as soon as step s of this one is complete.
 */
export class ChunkGeneration implements PreviousChunk {
  readonly kv: readonly Promise<KeyValues>[];
  readonly history: Float32Array;
  readonly ended: Promise<void>;
  readonly #previous: PreviousChunk;
  readonly #made: readonly Deferred<KeyValues>[];
  readonly #held = new Map<number, KeyValues>();
  readonly #end = deferred<void>();
  #abandoned = false;
  #closed = false;

  /**
   * @param steps number of denoising steps to take. Each omitted step reuses the previous chunk's keys and values, which
   *   are the nearest in time at that noise level
   */
  constructor(previous: PreviousChunk, history: Float32Array, steps: number) {
    this.#previous = previous;
    this.history = history;
    this.ended = this.#end.promise;
    this.#made = Array.from({ length: steps }, () => deferred<KeyValues>());
    const older = previous.kv.slice(steps).map(async (kv, i) => this.#hold(steps + i, (await kv).retain()));
    for (const promise of older) promise.catch(() => undefined);
    this.kv = [...this.#made.map(({ promise }) => promise), ...older];
  }

  get abandoned(): boolean {
    return this.#abandoned;
  }

  /** The keys and values that this chunk holds so far. */
  keyValues(): readonly KeyValues[] {
    return [...this.#held.values()];
  }

  /** @param first keys and values of c_0, one per step @returns the latents; undefined when the chunk was abandoned */
  async denoise(work: ChunkWork, first: readonly KeyValues[]): Promise<Float32Array | undefined> {
    try {
      for (const [step, { resolve }] of this.#made.entries()) {
        const previous = await (this.#previous.kv[step] as KeyValues | Promise<KeyValues>);
        if (this.#abandoned) return undefined;
        const target: PassTarget = step === this.#made.length - 1 ? 'end' : 'next';
        const kv = await work.pass(step, { first: first[step] as KeyValues, previous }, target);
        resolve(this.#hold(step, kv));
      }
      return this.#abandoned ? undefined : await work.latents();
    } finally {
      work.release();
    }
  }

  /** Resolves when the previous chunk has ended and every step has its keys and values, or at once when abandoned. */
  async ready(): Promise<void> {
    if (!this.#abandoned) await Promise.all([this.#previous.ended, ...this.kv]);
  }

  /** Transfers the keys and values of a chunk that is ready to the caller, who releases them; one per step. */
  handOver(): readonly KeyValues[] {
    const kv = this.kv.map((_, step) => this.#held.get(step) as KeyValues);
    this.#held.clear();
    return kv;
  }

  abandon(): void {
    this.#abandoned = true;
  }

  /** Makes the chunks that wait for this one fail with the same error. */
  fail(error: unknown): void {
    for (const { reject } of this.#made) reject(error);
  }

  /** Releases the keys and values that were not handed over. */
  close(): void {
    this.#closed = true;
    this.fail(new MeshError('CANCELLED', 'the previous chunk was rolled back; generate it first'));
    for (const kv of this.#held.values()) kv.release();
    this.#held.clear();
    this.#end.resolve();
  }

  #hold(step: number, kv: KeyValues): KeyValues {
    if (this.#closed) kv.release();
    else this.#held.set(step, kv);
    return kv;
  }
}

function deferred<T>(): Deferred<T> {
  let settle: Omit<Deferred<T>, 'promise'> = { resolve: () => undefined, reject: () => undefined };
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Without a handler, a rejection that no chunk waits for would end the process.
  promise.catch(() => undefined);
  return { promise, ...settle };
}
