import { MeshError } from '@talkmesh/contracts';
import type { ChunkWork, Way } from './denoiser.js';
import type { KeyValues } from './key-values.js';

/** The chunk before, finished or still under way. */
export interface Before {
  /** One per denoising step. */
  readonly kv: readonly (KeyValues | Promise<KeyValues>)[];
  readonly history: Float32Array;
  /** When it has ended, in whatever way; undefined: long ago. */
  readonly ended?: Promise<void>;
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** A chunk that is being made. Its keys and values can be waited for step by step, so the next chunk follows closely. */
export class ChunkUnderWay implements Before {
  readonly kv: readonly Promise<KeyValues>[];
  readonly history: Float32Array;
  readonly ended: Promise<void>;
  readonly #previous: Before;
  readonly #made: readonly Deferred<KeyValues>[];
  readonly #held = new Map<number, KeyValues>();
  readonly #end = deferred<void>();
  #abandoned = false;
  #closed = false;

  /** @param steps it takes; those left out keep the keys and values of the chunk before: the nearest in time at that noise level */
  constructor(previous: Before, history: Float32Array, steps: number) {
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

  /** Those there are so far. */
  keyValues(): readonly KeyValues[] {
    return [...this.#held.values()];
  }

  /** @param first c_0's keys and values, one per step @returns the latents; undefined when abandoned */
  async denoise(work: ChunkWork, first: readonly KeyValues[]): Promise<Float32Array | undefined> {
    try {
      for (const [step, { resolve }] of this.#made.entries()) {
        const previous = await (this.#previous.kv[step] as KeyValues | Promise<KeyValues>);
        if (this.#abandoned) return undefined;
        const way: Way = step === this.#made.length - 1 ? 'end' : 'next';
        const kv = await work.pass(step, { first: first[step] as KeyValues, previous }, way);
        resolve(this.#hold(step, kv));
      }
      return this.#abandoned ? undefined : await work.latents();
    } finally {
      work.release();
    }
  }

  /** Resolves when the chunk before has ended and every step has its keys and values, or this one was abandoned. */
  async ready(): Promise<void> {
    if (!this.#abandoned) await Promise.all([this.#previous.ended, ...this.kv]);
  }

  /** The keys and values of a chunk that is ready, one per step; from now on the caller's. */
  handOver(): readonly KeyValues[] {
    const kv = this.kv.map((_, step) => this.#held.get(step) as KeyValues);
    this.#held.clear();
    return kv;
  }

  abandon(): void {
    this.#abandoned = true;
  }

  /** Chunks that wait for this one fail with it. */
  fail(error: unknown): void {
    for (const { reject } of this.#made) reject(error);
  }

  /** Lets go of what was not handed over. */
  close(): void {
    this.#closed = true;
    this.fail(new MeshError('CANCELLED', 'the chunk before was given up'));
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
  // Nobody may be waiting.
  promise.catch(() => undefined);
  return { promise, ...settle };
}
