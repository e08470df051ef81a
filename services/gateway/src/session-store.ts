import { assertSessionId, MeshError, type SessionRecord, sessionRecord } from '@talkmesh/contracts';
import type { KvBucket } from '@talkmesh/service-kit';

/**
 * Life of an untouched record. The reaper touches records of living sessions well before, so this is how long an ended
 * session is still known as ended.
 */
export const SESSION_TTL_MS = 3_600_000;
const MAX_ATTEMPTS = 20;

/** A record with the revision that was read. */
export interface StoredSession {
  readonly record: SessionRecord;
  readonly revision: number;
}

/** Session records in the KV bucket; every change is a compare-and-set on the revision that was read. */
export class SessionStore {
  private readonly bucket: KvBucket;

  constructor(bucket: KvBucket) {
    this.bucket = bucket;
  }

  /** @throws MeshError SESSION_EXISTS, NATS_UNAVAILABLE */
  async create(record: SessionRecord): Promise<StoredSession> {
    return { record, revision: await this.bucket.create(record.id, record) };
  }

  /** @throws MeshError SESSION_ID_INVALID, NATS_UNAVAILABLE */
  async find(id: string): Promise<StoredSession | undefined> {
    const entry = await this.bucket.get(assertSessionId(id));
    return entry === undefined ? undefined : { record: sessionRecord.parse(entry.value), revision: entry.revision };
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
    return { record, revision: await this.bucket.update(record.id, record, from.revision) };
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
      return parsed.success ? [{ record: parsed.data, revision }] : [];
    });
  }
}
