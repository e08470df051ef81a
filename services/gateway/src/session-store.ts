import { assertSessionId, MeshError, SESSIONS_TTL_MS, type SessionRecord, sessionRecord } from '@talkmesh/contracts';
import type { KvBucket } from '@talkmesh/service-kit';

/**
 * Life of an untouched record. The reaper touches records of living sessions well before, so this is how long an ended
 * session is still known as ended.
 */
export const SESSION_TTL_MS = SESSIONS_TTL_MS;
const MAX_ATTEMPTS = 20;

/** A record with the revision that was read. */
export interface StoredSession {
  readonly record: SessionRecord;
  readonly revision: number;
}

/**
 * Session records in the KV bucket; every change is a compare-and-set on the revision that was read. The bucket lives in
 * the memory of the NATS server, so living records are remembered here for `restore`.
 */
export class SessionStore {
  private readonly bucket: KvBucket;
  private readonly living = new Map<string, SessionRecord>();

  constructor(bucket: KvBucket) {
    this.bucket = bucket;
  }

  /** @throws MeshError SESSION_EXISTS, NATS_UNAVAILABLE */
  async create(record: SessionRecord): Promise<StoredSession> {
    return this.remember(record, await this.bucket.create(record.id, record));
  }

  /** @throws MeshError SESSION_ID_INVALID, NATS_UNAVAILABLE */
  async find(id: string): Promise<StoredSession | undefined> {
    const entry = await this.bucket.get(assertSessionId(id));
    return entry === undefined ? undefined : this.remember(sessionRecord.parse(entry.value), entry.revision);
  }

  /** @throws MeshError SESSION_NOT_FOUND */
  async get(id: string): Promise<StoredSession> {
    const found = await this.find(id);
    if (found === undefined) throw new MeshError('SESSION_NOT_FOUND', 'there is no session of that id');
    return found;
  }

  /** The session while it can be used. @throws MeshError SESSION_NOT_FOUND, SESSION_ENDED */
  async getLive(id: string): Promise<SessionRecord> {
    const { record } = await this.get(id);
    if (record.state === 'ended') throw new MeshError('SESSION_ENDED', 'the session has ended; create a new one');
    return record;
  }

  /** @throws MeshError SESSION_EXISTS when somebody else changed the record since it was read */
  async update(from: StoredSession, change: Partial<SessionRecord>): Promise<StoredSession> {
    const record = { ...from.record, ...change };
    return this.remember(record, await this.bucket.update(record.id, record, from.revision));
  }

  /** Reads and changes until nobody came between. `change` returns undefined to leave the record alone. */
  async modify(
    id: string,
    change: (record: SessionRecord) => Partial<SessionRecord> | undefined,
  ): Promise<StoredSession | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      const from = await this.find(id);
      const wanted = from === undefined ? undefined : change(from.record);
      if (from === undefined || wanted === undefined) return undefined;
      try {
        return await this.update(from, wanted);
      } catch (error) {
        if (MeshError.from(error).reason !== 'SESSION_EXISTS' || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  async list(): Promise<StoredSession[]> {
    const entries = await this.bucket.list();
    return entries.flatMap(({ value, revision }) => {
      const parsed = sessionRecord.safeParse(value);
      return parsed.success ? [this.remember(parsed.data, revision)] : [];
    });
  }

  /**
   * Writes living sessions again that are missing from what was listed, or that another gateway wrote again from an older
   * memory: the NATS server was started anew. @returns their ids
   */
  async restore(listed: readonly StoredSession[]): Promise<string[]> {
    const present = new Map(listed.map((stored) => [stored.record.id, stored]));
    const restored: string[] = [];
    for (const record of [...this.living.values()]) {
      const there = present.get(record.id) ?? (await this.find(record.id));
      if (there !== undefined && !isOlder(there.record, record)) continue;
      const write = there === undefined ? this.create(record) : this.update(there, record);
      // A conflict means that another gateway was faster.
      await write.then(
        () => restored.push(record.id),
        () => undefined,
      );
    }
    return restored;
  }

  private remember(record: SessionRecord, revision: number): StoredSession {
    const known = this.living.get(record.id);
    if (record.state === 'ended') this.living.delete(record.id);
    else if (known === undefined || !isOlder(record, known)) this.living.set(record.id, record);
    return { record, revision };
  }
}

/** A session goes from opening to open, never back. */
function isOlder(a: SessionRecord, b: SessionRecord): boolean {
  return a.state === 'opening' && b.state === 'open';
}
