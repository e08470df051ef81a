import { MeshError } from '@talkmesh/contracts';
import type { TakenFrame } from './jitter-buffer.js';
import type { EgressMetrics } from './metrics.js';
import type { EgressSession, Sink } from './session.js';

export interface Reader {
  /** Resolves when the frame was sent and the next one may follow. */
  write(index: number, frame: TakenFrame['frame']): Promise<void>;
  /** 0 means until the session ends. */
  readonly stopAfterFrames: number;
  /** Aborted when the reader disconnects. */
  readonly signal: AbortSignal;
}

/** Sends a session to one reader as fast as it reads; through the credit, its pace sets the pace of the whole session. */
export class RecordSink implements Sink {
  readonly #session: EgressSession;
  readonly #metrics: EgressMetrics;
  #reading = false;
  #closed = false;
  #wake: () => void = () => {};

  constructor(session: EgressSession, metrics: EgressMetrics) {
    this.#session = session;
    this.#metrics = metrics;
  }

  /**
   * Delivers frames until `stopAfterFrames` or the end of the session.
   * @throws MeshError SESSION_EXISTS when another reader records; what the reader's `write` throws
   */
  async record(reader: Reader): Promise<void> {
    const { watch } = this.#session;
    if (this.#reading)
      throw new MeshError('SESSION_EXISTS', 'another reader records this session already; end it first');
    this.#reading = true;
    this.#metrics.viewers.inc();
    reader.signal.addEventListener('abort', this.pump);
    watch.connected();
    try {
      await this.#deliver(reader);
      watch.lost('recorded');
    } catch (thrown) {
      watch.left('reader-gone');
      throw thrown;
    } finally {
      reader.signal.removeEventListener('abort', this.pump);
      this.#metrics.viewers.dec();
      this.#reading = false;
      this.#session.restore();
    }
  }

  readonly pump = (): void => this.#wake();

  /** Nothing to do: the jitter buffer dropped the flushed frames, and a frame that is being written cannot be withdrawn. */
  flush(): void {}

  async close(): Promise<void> {
    this.#closed = true;
    this.pump();
  }

  async #deliver(reader: Reader): Promise<void> {
    const { stopAfterFrames, signal } = reader;
    for (let index = 0; stopAfterFrames === 0 || index < stopAfterFrames; index++) {
      const taken = await this.#next(signal);
      if (taken === undefined) return;
      const startMs = performance.now();
      await reader.write(index, taken.frame);
      const tookMs = performance.now() - startMs;
      this.#metrics.lateness.observe({ sink: 'record' }, tookMs / 1000);
      this.#session.played(taken.serial, tookMs);
    }
  }

  async #next(signal: AbortSignal): Promise<TakenFrame | undefined> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#closed) return undefined;
      const taken = this.#session.take(1);
      if (taken !== undefined) return taken;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
