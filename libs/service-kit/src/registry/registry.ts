import { type WorkerRecord, workerRecord } from '@talkmesh/contracts';
import type { KvBucket } from '../bus/kv-bucket.js';
import type { Logger } from '../logging.js';

/** How often the record is compared with the one last written, milliseconds. */
const WATCH_MS = 250;

export interface RegistryOptions {
  readonly bucket: KvBucket;
  /** The worker's current record. */
  record(): WorkerRecord;
  readonly heartbeatMs: number;
  readonly log: Logger;
}

/** Keeps one worker's record in the bucket: writes it at every heartbeat and at every change, and deletes it in `stop`. */
export class RegistryHeartbeat {
  readonly #options: RegistryOptions;
  readonly #key: string;
  #timers: NodeJS.Timeout[] = [];
  #writing: Promise<void> | undefined;
  #writeAgain = false;
  #stopped = false;
  #failing = false;
  #written = '';

  constructor(options: RegistryOptions) {
    this.#options = options;
    const record = workerRecord.parse(options.record());
    this.#key = `${record.service}.${record.instanceId}`;
  }

  /** Writes the first record and starts the heartbeat. @throws MeshError NATS_UNAVAILABLE */
  async start(): Promise<void> {
    await this.#put();
    this.#timers = [
      setInterval(() => this.notify(), this.#options.heartbeatMs).unref(),
      setInterval(() => this.notifyIfChanged(), WATCH_MS).unref(),
    ];
  }

  /** Writes the record now, or directly after a write that is in progress. */
  notify(): void {
    if (this.#stopped) return;
    if (this.#writing !== undefined) {
      this.#writeAgain = true;
      return;
    }
    this.#writing = this.#putAndReport().finally(() => {
      this.#writing = undefined;
      if (!this.#writeAgain) return;
      this.#writeAgain = false;
      this.notify();
    });
  }

  notifyIfChanged(): void {
    if (JSON.stringify(this.#options.record()) !== this.#written) this.notify();
  }

  /** Resolves when the current record has been written or the write has failed. */
  async settle(): Promise<void> {
    this.notify();
    while (this.#writing !== undefined) await this.#writing;
  }

  /** Removes the worker from the registry. When the server is unreachable, a warning is logged and the record expires. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#writing;
    await this.#options.bucket.delete(this.#key).catch((cause: unknown) => {
      this.#options.log.warn({ err: cause }, 'the registry record was not removed; it expires');
    });
  }

  async #put(): Promise<void> {
    const record = this.#options.record();
    await this.#options.bucket.put(this.#key, record);
    this.#written = JSON.stringify(record);
  }

  async #putAndReport(): Promise<void> {
    try {
      await this.#put();
      if (this.#failing) this.#options.log.info('the registry is reachable again');
      this.#failing = false;
    } catch (cause) {
      if (!this.#failing) this.#options.log.warn({ err: cause }, 'the registry is unreachable, retrying');
      this.#failing = true;
    }
  }
}
