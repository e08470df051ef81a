import { type SessionRecord, sessionRecord, type WorkerName } from '@talkmesh/contracts';
import type { KvBucket } from '../bus/kv-bucket.js';
import type { Logger } from '../logging.js';

/** How long a known record may be missing before its session counts as ended: after a restart of NATS the gateway writes the records again. */
const MISSING_MS = 60_000;

export interface PlacementWatchOptions {
  readonly bucket: Pick<KvBucket, 'get'>;
  readonly service: WorkerName;
  readonly instanceId: string;
  /** Ids of the open sessions. */
  sessions(): readonly string[];
  close(sessionId: string, reason: 'moved' | 'ended'): Promise<void>;
  readonly everyMs: number;
  readonly log: Logger;
}

/**
 * Closes sessions that this worker may no longer hold: another worker has taken them over, because this one was unreachable and counted as
 * dead, or they ended in the meantime. A session without a record is left open when no record was ever seen: no gateway opened it.
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

  /** Checks every session once. Never rejects. */
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
        this.#options.log.debug({ err, sessionId }, 'the placement of a session could not be checked');
        return;
      }
    }
  }

  async #check(sessionId: string): Promise<void> {
    const found = await this.#options.bucket.get(sessionId);
    const record = found === undefined ? undefined : sessionRecord.parse(found.value);
    const reason = this.#closeReason(sessionId, record);
    if (reason === undefined) return;
    this.#options.log.warn(
      { sessionId, placement: record?.placement[this.#options.service]?.instanceId, why: reason },
      'closing a session that is no longer placed on this worker',
    );
    await this.#options.close(sessionId, reason);
  }

  #closeReason(sessionId: string, record: SessionRecord | undefined): 'moved' | 'ended' | undefined {
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
