/** The chunk index of c_0, the reference chunk before the first shown one. */
export const REFERENCE_CHUNK = -1;

/**
 * State after each of the last chunks, so that a session can go back. The state of c_0 stays; others are let go when
 * they are older than `keep` chunks or were rolled back.
 */
export class ChunkStates<T> {
  readonly #states = new Map<number, T>();
  readonly #keep: number;
  readonly #letGo: (state: T) => void;

  /** @param keep chunks to keep, at least 1 @param letGo frees a state */
  constructor(keep: number, letGo: (state: T) => void) {
    this.#keep = Math.max(1, keep);
    this.#letGo = letGo;
  }

  put(chunk: number, state: T): void {
    const replaced = this.#states.get(chunk);
    this.#states.set(chunk, state);
    if (replaced !== undefined) this.#letGo(replaced);
    this.#drop((kept) => kept !== REFERENCE_CHUNK && kept <= chunk - this.#keep);
  }

  /** State after `chunk`, if it is kept. */
  after(chunk: number): T | undefined {
    return this.#states.get(chunk);
  }

  /** The newest state before `chunk`. */
  newestBefore(chunk: number): { readonly chunk: number; readonly state: T } | undefined {
    const newest = Math.max(...[...this.#states.keys()].filter((kept) => kept < chunk));
    const state = this.#states.get(newest);
    return state === undefined ? undefined : { chunk: newest, state };
  }

  /** Forgets what came at and after `chunk`. */
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
      this.#letGo(state);
    }
  }
}
