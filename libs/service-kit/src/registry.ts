import { type WorkerRecord, workerRecord } from '@talkmesh/contracts';
import type { KvBucket } from './kv-bucket.js';
import type { Logger } from './logging.js';

/** How often the number of sessions is compared with what was last written, milliseconds. */
const WATCH_MS = 250;

export interface RegistryOptions {
  readonly bucket: KvBucket;
  /** What to say now. */
  record(): WorkerRecord;
  readonly heartbeatMs: number;
  readonly log: Logger;
}

/** Keeps one worker's record in the bucket: every heartbeat, at once when state or sessions change, gone after `stop`. */
export class RegistryHeartbeat {
  readonly #options: RegistryOptions;
  readonly #key: string;
  #timers: NodeJS.Timeout[] = [];
  #writing: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #failing = false;
  #written = '';

  constructor(options: RegistryOptions) {
    this.#options = options;
    const record = workerRecord.parse(options.record());
    this.#key = `${record.service}.${record.instanceId}`;
  }

  /** Writes the first record and keeps it fresh. @throws MeshError NATS_UNAVAILABLE */
  async start(): Promise<void> {
    await this.#put();
    this.#timers = [
      setInterval(() => this.notify(), this.#options.heartbeatMs).unref(),
      setInterval(() => this.notifyIfChanged(), WATCH_MS).unref(),
    ];
  }

  /** Writes the record now, or right after the write under way. */
  notify(): void {
    if (this.#stopped) return;
    if (this.#writing !== undefined) {
      this.#again = true;
      return;
    }
    this.#writing = this.#putAndReport().finally(() => {
      this.#writing = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.notify();
    });
  }

  notifyIfChanged(): void {
    if (JSON.stringify(this.#options.record()) !== this.#written) this.notify();
  }

  /** Resolves when the record of this moment was written; a server that is away is not waited for. */
  async settle(): Promise<void> {
    this.notify();
    while (this.#writing !== undefined) await this.#writing;
  }

  /** Takes the worker out of the registry. A server that is away is no error: the record expires. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#writing;
    await this.#options.bucket.delete(this.#key).catch((cause: unknown) => {
      this.#options.log.warn({ err: cause }, 'the registry entry was not removed, it will expire');
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
      if (!this.#failing) this.#options.log.warn({ err: cause }, 'the registry does not answer, trying again');
      this.#failing = true;
    }
  }
}
