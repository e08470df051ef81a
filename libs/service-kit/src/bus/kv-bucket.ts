import { JetStreamApiError, jetstream, jetstreamManager, type StreamInfo } from '@nats-io/jetstream';
import { type KV, type KvEntry, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { type BucketName, MeshError } from '@talkmesh/contracts';

export interface KvEntryOf<T> {
  readonly key: string;
  readonly value: T;
  /** Pass it to `update` to replace exactly this version. */
  readonly revision: number;
}

/**
 * A JetStream key-value bucket of JSON values. Every method rejects with MeshError NATS_UNAVAILABLE when the server does not answer.
 * Buckets are in memory and are lost when the server restarts; the next operation of a service that may write records creates the bucket
 * once more, empty. To a service that may only read, a missing bucket is an empty one.
 */
export interface KvBucket {
  get<T = unknown>(key: string): Promise<{ value: T; revision: number } | undefined>;
  /** @returns the revision. @throws MeshError SESSION_EXISTS when the key has a value. */
  create(key: string, value: unknown): Promise<number>;
  /** @returns the new revision. @throws MeshError SESSION_EXISTS when the key is no longer at `revision`. */
  update(key: string, value: unknown, revision: number): Promise<number>;
  /** Sets the value unconditionally. @returns the revision. */
  put(key: string, value: unknown): Promise<number>;
  /** Deleting an unknown key succeeds. */
  delete(key: string): Promise<void>;
  list<T = unknown>(): Promise<KvEntryOf<T>[]>;
}

/** JetStream error codes for "wrong last sequence", of older and newer servers. */
const CONFLICTS: readonly number[] = [10_071, 10_164];
const REQUEST_TIMEOUT_MS = 2000;
const LIST_TIMEOUT_MS = 4000;

export interface BucketOptions {
  /** Time after its last change when a record expires, milliseconds. It applies when this service creates the bucket. */
  readonly ttlMs: number;
  /** NATS servers that hold a copy. It applies like the TTL. */
  readonly replicas: number;
  /** Whether this service may write records, and create the bucket when it is missing. */
  readonly mayWrite: boolean;
  readonly isConnected: () => boolean;
}

export class JetStreamBucket implements KvBucket {
  readonly #nc: NatsConnection;
  readonly #name: BucketName;
  readonly #options: BucketOptions;
  #opened: Promise<KV> | undefined;

  constructor(nc: NatsConnection, name: BucketName, options: BucketOptions) {
    this.#nc = nc;
    this.#name = name;
    this.#options = options;
  }

  /** Opens the bucket and, with the right to, creates it when it is missing. */
  async open(): Promise<void> {
    await this.#run(async () => undefined);
  }

  async get<T>(key: string): Promise<{ value: T; revision: number } | undefined> {
    const entry = await this.#read((kv) => kv.get(key), null);
    return entry === null || entry.operation !== 'PUT'
      ? undefined
      : { value: entry.json<T>(), revision: entry.revision };
  }

  create(key: string, value: unknown): Promise<number> {
    return this.#write((kv) => kv.create(key, JSON.stringify(value)), key);
  }

  update(key: string, value: unknown, revision: number): Promise<number> {
    return this.#write((kv) => kv.update(key, JSON.stringify(value), revision), key);
  }

  put(key: string, value: unknown): Promise<number> {
    return this.#write((kv) => kv.put(key, JSON.stringify(value)));
  }

  delete(key: string): Promise<void> {
    return this.#write((kv) => kv.delete(key));
  }

  /**
   * Reads up to the revision that was the newest at the start, because the server's count of pending messages is wrong while keys are being
   * written. A key that is written in the meantime loses its old revision, and its new one may be after that end, so it is read on its own.
   */
  list<T>(): Promise<KvEntryOf<T>[]> {
    return this.#read(async (kv) => {
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
      // A server that restarts in the meantime sends nothing more, not even the end of the list.
      const timer = setTimeout(() => history.stop(new Error('the list did not arrive in time')), LIST_TIMEOUT_MS);
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
    }, []);
  }

  async #info(): Promise<StreamInfo> {
    const manager = await jetstreamManager(this.#nc, { timeout: REQUEST_TIMEOUT_MS, checkAPI: false });
    return manager.streams.info(`KV_${this.#name}`, { subjects_filter: '>' });
  }

  async #write<R>(operation: (kv: KV) => Promise<R>, key?: string): Promise<R> {
    if (this.#options.mayWrite) return this.#run(operation, key);
    throw new MeshError('PERMISSION_DENIED', `this service may only read ${this.#name}: see the pipeline table`);
  }

  /** Without the right to create the bucket, a missing one has no records. */
  #read<R>(operation: (kv: KV) => Promise<R>, nothing: R): Promise<R> {
    if (this.#options.mayWrite) return this.#run(operation);
    return this.#run((kv) =>
      operation(kv).catch((cause: unknown) => {
        if (cause instanceof Error && cause.name === 'StreamNotFoundError') return nothing;
        throw cause;
      }),
    );
  }

  async #run<R>(operation: (kv: KV) => Promise<R>, key = ''): Promise<R> {
    for (let attempt = 1; ; attempt++) {
      if (!this.#options.isConnected()) throw this.#unavailable('not connected');
      try {
        this.#opened ??= this.#open();
        return await operation(await this.#opened);
      } catch (cause) {
        if (cause instanceof JetStreamApiError && CONFLICTS.includes(cause.code))
          throw new MeshError(
            'SESSION_EXISTS',
            `${this.#name}/${key} was changed by another writer: read it and try again`,
            { cause },
          );
        this.#opened = undefined;
        if (attempt === 2 || !isBucketMissing(cause)) throw this.#unavailable(cause);
      }
    }
  }

  #open(): Promise<KV> {
    const { mayWrite, ttlMs, replicas } = this.#options;
    const buckets = new Kvm(jetstream(this.#nc, { timeout: REQUEST_TIMEOUT_MS, checkAPI: false }));
    // A direct read of a missing stream gets no answer and would wait for its timeout.
    const allow_direct = false;
    if (!mayWrite) return buckets.open(this.#name, { allow_direct });
    return buckets.create(this.#name, { ttl: ttlMs, storage: 'memory', history: 1, replicas, allow_direct });
  }

  #unavailable(cause: unknown): MeshError {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new MeshError(
      'NATS_UNAVAILABLE',
      `the bucket ${this.#name} is not available (${why}): check that NATS runs with JetStream (nats-server -js)`,
      { cause },
    );
  }
}

/**
 * Writes to a missing stream fail because there is no responder (reported as "not enabled"), reads because there is no stream. Neither has
 * changed anything, so the operation can be repeated.
 */
function isBucketMissing(cause: unknown): boolean {
  return cause instanceof Error && (cause.name === 'StreamNotFoundError' || cause.name === 'JetStreamNotEnabled');
}
