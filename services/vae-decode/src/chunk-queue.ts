import { EpochFilter, type EpochPosition, type LatentMessage } from '@talkmesh/contracts';

/** What happened to a pushed chunk. `stale`: of an old epoch; `duplicate`: it arrived before; `overflow`: queued, and the oldest one was dropped. */
export type PushResult = 'queued' | 'stale' | 'duplicate' | 'overflow';

/** More chunks than are ever republished. */
const ARRIVALS_REMEMBERED = 64;

/** Chunks of one session that wait for the decoder. A flush drops stale ones and rolls the decoder back. */
export class ChunkQueue {
  readonly sessionId: string;
  readonly #capacity: number;
  readonly #rollback: (fromChunk: number) => void;
  readonly #epochs: EpochFilter;
  #waiting: LatentMessage[] = [];
  #dropped = 0;
  /** The newest epoch in which each of the last chunks arrived. */
  readonly #arrived = new Map<number, number>();

  /** @param rollback restores the decoder's state before a chunk */
  constructor(options: { sessionId: string; epoch: number; capacity: number; rollback(fromChunk: number): void }) {
    this.sessionId = options.sessionId;
    this.#epochs = new EpochFilter();
    // Chunks from before the epoch that the session was opened with are not decoded.
    this.#epochs.start(options.epoch, 0);
    this.#capacity = options.capacity;
    this.#rollback = (fromChunk) => options.rollback(fromChunk);
  }

  get epoch(): number {
    return this.#epochs.epoch;
  }

  /** Chunks dropped so far: stale ones, and the oldest of a full queue. */
  get dropped(): number {
    return this.#dropped;
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** The next chunk to decode. */
  get head(): LatentMessage | undefined {
    return this.#waiting[0];
  }

  /** A chunk of a newer epoch is itself the start of that epoch: its flush event may have been lost. */
  push(message: LatentMessage): PushResult {
    if (message.epoch > this.epoch) this.flush(message.epoch, message.chunk);
    if (this.isStale(message)) {
      this.#dropped += 1;
      return 'stale';
    }
    if (message.epoch <= (this.#arrived.get(message.chunk) ?? -1)) return 'duplicate';
    this.#arrived.set(message.chunk, message.epoch);
    this.#arrived.delete(message.chunk - ARRIVALS_REMEMBERED);
    this.#waiting.push(message);
    if (this.#waiting.length <= this.#capacity) return 'queued';
    this.#waiting.shift();
    this.#dropped += 1;
    return 'overflow';
  }

  /** An epoch begins with `fromChunk`. A late start of an older epoch drops its chunks, but the newest one has already rolled back. @returns chunks dropped */
  flush(epoch: number, fromChunk: number): number {
    const isNewest = this.#epochs.start(epoch, fromChunk);
    const before = this.#waiting.length;
    this.#waiting = this.#waiting.filter((message) => !this.isStale(message));
    this.#dropped += before - this.#waiting.length;
    if (isNewest) this.#rollback(fromChunk);
    return before - this.#waiting.length;
  }

  /** Chunks that arrived before are accepted once more: their frames may not have reached the egress. */
  acceptRepeats(): void {
    this.#arrived.clear();
  }

  isStale(position: EpochPosition): boolean {
    return this.#epochs.isStale(position);
  }

  take(): LatentMessage | undefined {
    return this.#waiting.shift();
  }
}
