import { assertSessionId, MeshError, SESSIONS_TTL_MS, type SessionRecord, sessionRecord } from '@talkmesh/contracts';
import type { KvBucket, KvEntryOf } from '@talkmesh/service-kit';

/**
 * Lifetime of a record since its last write. The reaper rewrites records of open sessions well before it passes, so in effect it is
 * how long an ended session remains readable.
 */
export const SESSION_TTL_MS = SESSIONS_TTL_MS;
const MAX_ATTEMPTS = 20;

/** What a store does with its bucket. */
export type SessionsBucket = Pick<KvBucket, 'get' | 'create' | 'update' | 'list'>;

/** A record and the revision at which it was read. */
export interface StoredSession {
  readonly record: SessionRecord;
  readonly revision: number;
}

/**
 * Session records in the KV bucket; every change is a compare-and-set on the revision that was read. The bucket is kept in
 * the memory of the NATS server and lost when that restarts, so this class caches the records of open sessions for `restore`.
 */
export class SessionStore {
  readonly #bucket: SessionsBucket;
  readonly #openRecords = new Map<string, SessionRecord>();
  /** Written again since the last `restore`. */
  readonly #restored = new Set<string>();
  readonly #listed = new WeakMap<KvEntryOf<unknown>, SessionRecord | undefined>();

  constructor(bucket: SessionsBucket) {
    this.#bucket = bucket;
  }

  /** @throws MeshError SESSION_EXISTS, NATS_UNAVAILABLE */
  async create(record: SessionRecord): Promise<StoredSession> {
    return this.#cache(record, await this.#bucket.create(record.id, record));
  }

  /** An open session that a restart of NATS has removed is written again. @throws MeshError SESSION_ID_INVALID, NATS_UNAVAILABLE */
  async find(id: string): Promise<StoredSession | undefined> {
    const found = await this.#read(id);
    const record = this.#openRecords.get(id);
    return found === undefined && record !== undefined ? this.#writeAgain(record) : found;
  }

  async #read(id: string): Promise<StoredSession | undefined> {
    const entry = await this.#bucket.get(assertSessionId(id));
    return entry === undefined ? undefined : this.#cache(sessionRecord.parse(entry.value), entry.revision);
  }

  async #writeAgain(record: SessionRecord): Promise<StoredSession | undefined> {
    try {
      const written = await this.create(record);
      this.#restored.add(record.id);
      return written;
    } catch (error) {
      if (MeshError.from(error).reason !== 'SESSION_EXISTS') throw error;
      // Another gateway was first.
      return this.#read(record.id);
    }
  }

  /** @throws MeshError SESSION_NOT_FOUND */
  async get(id: string): Promise<StoredSession> {
    const found = await this.find(id);
    if (found === undefined) throw sessionNotFound();
    return found;
  }

  /** Owner id of the API key that made a session. It never changes, so a cached record is good enough. @throws MeshError SESSION_NOT_FOUND */
  async ownerOf(id: string): Promise<string> {
    return (this.#openRecords.get(id) ?? (await this.get(id)).record).owner;
  }

  /** A session that has not ended. @throws MeshError SESSION_NOT_FOUND, SESSION_ENDED */
  async getLive(id: string): Promise<SessionRecord> {
    const { record } = await this.get(id);
    if (record.state === 'ended') throw new MeshError('SESSION_ENDED', 'the session has ended; create a new one');
    return record;
  }

  /** @throws MeshError SESSION_EXISTS when the record was changed since it was read */
  async update(from: StoredSession, change: Partial<SessionRecord>): Promise<StoredSession> {
    const record = { ...from.record, ...change };
    return this.#cache(record, await this.#bucket.update(record.id, record, from.revision));
  }

  /** Reads, changes and writes, and repeats this after a conflict. `change` returns undefined to leave the record as it is. */
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
    const entries = await this.#bucket.list();
    return entries.flatMap((entry) => {
      const record = this.#parsed(entry);
      return record === undefined ? [] : [this.#cache(record, entry.revision)];
    });
  }

  /** Lists give the same entry until it changes, so each version is checked once. */
  #parsed(entry: KvEntryOf<unknown>): SessionRecord | undefined {
    if (!this.#listed.has(entry)) this.#listed.set(entry, sessionRecord.safeParse(entry.value).data);
    return this.#listed.get(entry);
  }

  /**
   * After a restart of NATS: writes cached records that are missing from the bucket, or that another gateway has restored from an
   * older copy. @returns the ids of the sessions that were restored since the last call
   */
  async restore(listed: readonly StoredSession[]): Promise<string[]> {
    const present = new Map(listed.map((stored) => [stored.record.id, stored]));
    for (const record of [...this.#openRecords.values()]) {
      const stored = present.get(record.id) ?? (await this.find(record.id));
      if (stored === undefined || !isOlder(stored.record, record)) continue;
      // A conflict means that another gateway restored the record first.
      await this.update(stored, record).then(
        () => this.#restored.add(record.id),
        () => undefined,
      );
    }
    const restored = [...this.#restored];
    this.#restored.clear();
    return restored;
  }

  #cache(record: SessionRecord, revision: number): StoredSession {
    const known = this.#openRecords.get(record.id);
    if (record.state === 'ended') this.#openRecords.delete(record.id);
    else if (known === undefined || !isOlder(record, known)) this.#openRecords.set(record.id, record);
    return { record, revision };
  }
}

export const sessionNotFound = (): MeshError =>
  new MeshError('SESSION_NOT_FOUND', 'there is no session with this id; it may have ended more than an hour ago');

/** The state of a session never goes back from open to opening. */
function isOlder(a: SessionRecord, b: SessionRecord): boolean {
  return a.state === 'opening' && b.state === 'open';
}
