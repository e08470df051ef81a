import { MeshError } from '@talkmesh/contracts';
import type { EgressMetrics } from './metrics.js';
import type { EgressSession, Sink } from './session.js';
import type { TakenFrame } from './stage.js';

/** Who takes the frames of a recording. */
export interface Reader {
  /** Resolves when the frame left for the reader: the next one may follow. */
  write(index: number, frame: TakenFrame['frame']): Promise<void>;
  /** 0: until the session ends. */
  readonly stopAfterFrames: number;
  /** Aborted when the reader is gone. */
  readonly signal: AbortSignal;
}

/** One reader that takes frames as fast as it can; its pace is the pace of the whole session. */
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
    if (this.#reading) throw new MeshError('SESSION_EXISTS', 'another reader records this session; a session has one');
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

  /** The stage forgot what was flushed; a frame that is being written is beyond recall. */
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

  /** The next frame; undefined when the session ended. */
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
