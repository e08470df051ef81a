import { JetStreamApiError, jetstream, jetstreamManager, type StreamInfo } from '@nats-io/jetstream';
import { type KV, type KvEntry, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { MeshError } from '@talkmesh/contracts';

export type BucketName = 'talkmesh_workers' | 'talkmesh_sessions' | 'talkmesh_pictures' | 'talkmesh_avatars';

export interface KvEntryOf<T> {
  readonly key: string;
  readonly value: T;
  /** Give it to `update` to change exactly this version. */
  readonly revision: number;
}

/**
 * A JetStream key-value bucket of JSON values. Every method rejects with MeshError NATS_UNAVAILABLE when the server does not answer.
 * A bucket in memory is gone after a server restart: it is made again, empty, by the next call.
 */
export interface KvBucket {
  get<T = unknown>(key: string): Promise<{ value: T; revision: number } | undefined>;
  /** @returns the revision. @throws MeshError SESSION_EXISTS when the key has a value. */
  create(key: string, value: unknown): Promise<number>;
  /** @returns the new revision. @throws MeshError SESSION_EXISTS when the key is no longer at `revision`. */
  update(key: string, value: unknown, revision: number): Promise<number>;
  /** Sets whatever was there. @returns the revision. */
  put(key: string, value: unknown): Promise<number>;
  /** Deleting an unknown key succeeds. */
  delete(key: string): Promise<void>;
  list<T = unknown>(): Promise<KvEntryOf<T>[]>;
}

/** JetStream's "wrong last sequence", by older and by newer servers. */
const CONFLICTS: readonly number[] = [10_071, 10_164];
const REQUEST_TIMEOUT_MS = 2000;
const LIST_TIMEOUT_MS = 4000;

export class JetStreamBucket implements KvBucket {
  readonly #nc: NatsConnection;
  readonly #name: BucketName;
  readonly #ttlMs: number;
  readonly #isConnected: () => boolean;
  #opened: Promise<KV> | undefined;

  constructor(nc: NatsConnection, name: BucketName, ttlMs: number, isConnected: () => boolean) {
    this.#nc = nc;
    this.#name = name;
    this.#ttlMs = ttlMs;
    this.#isConnected = isConnected;
  }

  /** Makes the bucket, or opens the one that is there. */
  async open(): Promise<void> {
    await this.#run(async () => undefined);
  }

  async get<T>(key: string): Promise<{ value: T; revision: number } | undefined> {
    const entry = await this.#run((kv) => kv.get(key));
    return entry === null || entry.operation !== 'PUT'
      ? undefined
      : { value: entry.json<T>(), revision: entry.revision };
  }

  create(key: string, value: unknown): Promise<number> {
    return this.#run((kv) => kv.create(key, JSON.stringify(value)), key);
  }

  update(key: string, value: unknown, revision: number): Promise<number> {
    return this.#run((kv) => kv.update(key, JSON.stringify(value), revision), key);
  }

  put(key: string, value: unknown): Promise<number> {
    return this.#run((kv) => kv.put(key, JSON.stringify(value)));
  }

  delete(key: string): Promise<void> {
    return this.#run((kv) => kv.delete(key));
  }

  /**
   * Ends at the newest revision there was when it began: the server's count of pending messages errs while keys are being written.
   * A key that is written meanwhile has left its old place and may have its new one behind that end: it is read by itself.
   */
  list<T>(): Promise<KvEntryOf<T>[]> {
    return this.#run(async (kv) => {
      const { state } = await this.#info();
      if (state.messages === 0) return [];
      const keyOf = (subject: string): string => subject.slice(`$KV.${this.#name}.`.length);
      const unseen = new Set(Object.keys(state.subjects ?? {}).map(keyOf));
      const entries = new Map<string, KvEntryOf<T>>();
      const take = (entry: KvEntry): void => {
        const { key, operation, revision } = entry;
        unseen.delete(key);
        if (operation === 'PUT') entries.set(key, { key, value: entry.json<T>(), revision });
        else entries.delete(key);
      };
      const history = await kv.history();
      // A server that restarts meanwhile sends nothing more, not even an end.
      const timer = setTimeout(() => history.stop(new Error('the list was not complete in time')), LIST_TIMEOUT_MS);
      try {
        for await (const entry of history) {
          take(entry);
          if (entry.revision >= state.last_seq) break;
        }
      } finally {
        clearTimeout(timer);
      }
      for (const entry of await Promise.all([...unseen].map((key) => kv.get(key)))) if (entry !== null) take(entry);
      return [...entries.values()];
    });
  }

  async #info(): Promise<StreamInfo> {
    const manager = await jetstreamManager(this.#nc, { timeout: REQUEST_TIMEOUT_MS, checkAPI: false });
    return manager.streams.info(`KV_${this.#name}`, { subjects_filter: '>' });
  }

  async #run<R>(operation: (kv: KV) => Promise<R>, key = ''): Promise<R> {
    for (let attempt = 1; ; attempt++) {
      if (!this.#isConnected()) throw this.#unavailable('not connected');
      try {
        this.#opened ??= this.#create();
        return await operation(await this.#opened);
      } catch (cause) {
        if (cause instanceof JetStreamApiError && CONFLICTS.includes(cause.code))
          throw new MeshError('SESSION_EXISTS', `${this.#name}/${key} was changed by someone else`, { cause });
        this.#opened = undefined;
        if (attempt === 2 || !isBucketMissing(cause)) throw this.#unavailable(cause);
      }
    }
  }

  #create(): Promise<KV> {
    const client = jetstream(this.#nc, { timeout: REQUEST_TIMEOUT_MS });
    return new Kvm(client).create(this.#name, {
      ttl: this.#ttlMs,
      storage: 'memory',
      history: 1,
      // A direct read of a missing stream gets no answer at all, only its timeout.
      allow_direct: false,
    });
  }

  #unavailable(cause: unknown): MeshError {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new MeshError(
      'NATS_UNAVAILABLE',
      `the bucket ${this.#name} does not answer (${why}): is JetStream on (nats-server -js)?`,
      { cause },
    );
  }
}

/** Writes to a missing stream find no responder (reported as "not enabled"), reads find no stream. Neither has changed anything. */
function isBucketMissing(cause: unknown): boolean {
  return cause instanceof Error && (cause.name === 'StreamNotFoundError' || cause.name === 'JetStreamNotEnabled');
}
