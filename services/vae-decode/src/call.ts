import type { LatentMessage } from '@talkmesh/contracts';

/** What happened to a pushed chunk. `stale`: of an old epoch; `duplicate`: it came before; `overflow`: it is queued, the oldest one went. */
export type PushResult = 'queued' | 'stale' | 'duplicate' | 'overflow';

/** More than are ever published again. */
const CAME_CHUNKS = 64;

/** Chunks of one session that wait for the decoder, and the epoch they must be of. */
export class Call {
  readonly sessionId: string;
  readonly #capacity: number;
  readonly #rollback: (fromChunk: number) => void;
  #waiting: LatentMessage[] = [];
  #epoch: number;
  #fromChunk = 0;
  #dropped = 0;
  /** Of the last chunks the newest epoch in which each came. */
  readonly #came = new Map<number, number>();

  /** @param rollback tells the decoder to forget chunks */
  constructor(options: { sessionId: string; epoch: number; capacity: number; rollback(fromChunk: number): void }) {
    this.sessionId = options.sessionId;
    this.#epoch = options.epoch;
    this.#capacity = options.capacity;
    this.#rollback = (fromChunk) => options.rollback(fromChunk);
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Chunks given up so far: of an old epoch, or too many. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The next chunk to decode. */
  get head(): LatentMessage | undefined {
    return this.#waiting[0];
  }

  /** A chunk of a newer epoch says by itself from where on the older ones are void. */
  push(message: LatentMessage): PushResult {
    if (message.epoch > this.#epoch) this.flush(message.epoch, message.chunk);
    if (this.isStale(message)) {
      this.#dropped += 1;
      return 'stale';
    }
    if (message.epoch <= (this.#came.get(message.chunk) ?? -1)) return 'duplicate';
    this.#came.set(message.chunk, message.epoch);
    this.#came.delete(message.chunk - CAME_CHUNKS);
    this.#waiting.push(message);
    if (this.#waiting.length <= this.#capacity) return 'queued';
    this.#waiting.shift();
    this.#dropped += 1;
    return 'overflow';
  }

  /** A new epoch begins with `fromChunk`. @returns chunks given up */
  flush(epoch: number, fromChunk: number): number {
    if (epoch <= this.#epoch) return 0;
    this.#epoch = epoch;
    this.#fromChunk = fromChunk;
    const before = this.#waiting.length;
    this.#waiting = this.#waiting.filter((message) => !this.isStale(message));
    this.#dropped += before - this.#waiting.length;
    this.#rollback(fromChunk);
    return before - this.#waiting.length;
  }

  /** Chunks that came before may come again: what was made of them may not have arrived. */
  expectAgain(): void {
    this.#came.clear();
  }

  /** Chunks of older epochs before the flush are still good: they are played. */
  isStale({ epoch, chunk }: LatentMessage): boolean {
    return epoch < this.#epoch && chunk >= this.#fromChunk;
  }

  take(): LatentMessage | undefined {
    return this.#waiting.shift();
  }
}
