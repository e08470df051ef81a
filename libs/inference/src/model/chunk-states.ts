/** The index of c_0, the reference chunk that precedes the first chunk of a session. */
export const REFERENCE_CHUNK = -1;

/**
 * The state after each of the last chunks, so that a session can roll back. The state of c_0 is always kept; any other
 * state is freed when it is `keep` or more chunks older than the newest, or when its chunk is rolled back.
 */
export class ChunkStates<T> {
  readonly #states = new Map<number, T>();
  readonly #keep: number;
  readonly #free: (state: T) => void;

  /** @param keep number of chunks to keep, at least 1 @param free frees a state */
  constructor(keep: number, free: (state: T) => void) {
    this.#keep = Math.max(1, keep);
    this.#free = free;
  }

  put(chunk: number, state: T): void {
    const replaced = this.#states.get(chunk);
    this.#states.set(chunk, state);
    if (replaced !== undefined) this.#free(replaced);
    this.#drop((kept) => kept !== REFERENCE_CHUNK && kept <= chunk - this.#keep);
  }

  /** The state after `chunk`; undefined when it is not kept. */
  after(chunk: number): T | undefined {
    return this.#states.get(chunk);
  }

  /** The newest kept state of a chunk before `chunk`. */
  newestBefore(chunk: number): { readonly chunk: number; readonly state: T } | undefined {
    const newest = Math.max(...[...this.#states.keys()].filter((kept) => kept < chunk));
    const state = this.#states.get(newest);
    return state === undefined ? undefined : { chunk: newest, state };
  }

  /** Frees the states of chunk `fromChunk` and of all later chunks. */
  rollback(fromChunk: number): void {
    this.#drop((kept) => kept !== REFERENCE_CHUNK && kept >= fromChunk);
  }

  clear(): void {
    this.#drop(() => true);
  }

  values(): IterableIterator<T> {
    return this.#states.values();
  }

  #drop(which: (chunk: number) => boolean): void {
    for (const [chunk, state] of [...this.#states]) {
      if (!which(chunk)) continue;
      this.#states.delete(chunk);
      this.#free(state);
    }
  }
}
