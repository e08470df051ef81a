import { type SessionRecord, sessionRecord, type WorkerName } from '@talkmesh/contracts';
import type { KvBucket } from './kv-bucket.js';
import type { Logger } from './logging.js';

/** A record that was there and is missing may come back: a restart of NATS empties the bucket, the gateway fills it again. */
const MISSING_MS = 60_000;

export interface PlacementWatchOptions {
  readonly bucket: Pick<KvBucket, 'get'>;
  readonly service: WorkerName;
  readonly instanceId: string;
  /** Sessions held and open. */
  sessions(): readonly string[];
  close(sessionId: string, reason: 'moved' | 'ended'): Promise<void>;
  readonly everyMs: number;
  readonly log: Logger;
}

/**
 * Closes sessions that are not this worker's any more: it was taken for dead and another has them, or they ended while it could not
 * be reached. A session whose record was never seen is let be: it was opened by no gateway.
 */
export class PlacementWatch {
  readonly #options: PlacementWatchOptions;
  readonly #seenAtMs = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  #checking: Promise<void> | undefined;

  constructor(options: PlacementWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.check(), options.everyMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#checking;
  }

  /** One look at every session; never rejects. */
  check(): Promise<void> {
    this.#checking ??= this.#checkAll().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async #checkAll(): Promise<void> {
    const held = this.#options.sessions();
    for (const known of this.#seenAtMs.keys()) if (!held.includes(known)) this.#seenAtMs.delete(known);
    for (const sessionId of held) {
      try {
        await this.#check(sessionId);
      } catch (err) {
        this.#options.log.debug({ err, session_id: sessionId }, 'the placement of a session could not be checked');
        return;
      }
    }
  }

  async #check(sessionId: string): Promise<void> {
    const found = await this.#options.bucket.get(sessionId);
    const record = found === undefined ? undefined : sessionRecord.parse(found.value);
    const why = this.#notOurs(sessionId, record);
    if (why === undefined) return;
    this.#options.log.warn(
      { session_id: sessionId, placement: record?.placement[this.#options.service]?.instanceId, why },
      'this session is not placed here any more and is closed',
    );
    await this.#options.close(sessionId, why);
  }

  #notOurs(sessionId: string, record: SessionRecord | undefined): 'moved' | 'ended' | undefined {
    const nowMs = performance.now();
    if (record === undefined) {
      const seenAtMs = this.#seenAtMs.get(sessionId);
      return seenAtMs !== undefined && nowMs - seenAtMs > MISSING_MS ? 'ended' : undefined;
    }
    this.#seenAtMs.set(sessionId, nowMs);
    if (record.state === 'ended') return 'ended';
    const place = record.placement[this.#options.service];
    return place === undefined || place.instanceId === this.#options.instanceId ? undefined : 'moved';
  }
}
