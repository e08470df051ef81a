import { JetStreamApiError, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { type BucketName, MeshError } from '@talkmesh/contracts';
import { BucketView, type KvEntryOf, StaleViewError } from './bucket-view.js';

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
  /** Removes a key and its history, so that nothing of it is left, and `list` is not told. Erasing an unknown key succeeds. */
  erase(key: string): Promise<void>;
  /** All entries, with every change that was confirmed before the call. They are shared by all callers: do not change their values. */
  list<T = unknown>(): Promise<KvEntryOf<T>[]>;
  /** All entries, in no order, read one by one: for buckets that are read rarely, or from which entries are erased. */
  scan<T = unknown>(): Promise<KvEntryOf<T>[]>;
}

/** JetStream error codes for "wrong last sequence", of older and newer servers. */
const CONFLICTS: readonly number[] = [10_071, 10_164];
const SUBJECTS_OVERLAP = 10_065;
const REQUEST_TIMEOUT_MS = 2000;
const SCAN_PARALLEL = 64;
const NO_STREAM: { readonly state: { readonly subjects?: Readonly<Record<string, number>> } } = { state: {} };

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
  /** Since the first `list`. */
  #view: Promise<BucketView> | undefined;

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

  erase(key: string): Promise<void> {
    return this.#write(async () => {
      const manager = await this.#manager();
      await manager.streams.purge(`KV_${this.#name}`, { filter: `$KV.${this.#name}.${key}` });
    });
  }

  async scan<T>(): Promise<KvEntryOf<T>[]> {
    const prefix = `$KV.${this.#name}.`;
    const { state } = await this.#read(async () => {
      const manager = await this.#manager();
      return manager.streams.info(`KV_${this.#name}`, { subjects_filter: `${prefix}>` });
    }, NO_STREAM);
    const keys = Object.keys(state.subjects ?? {}).map((subject) => subject.slice(prefix.length));
    const entries: KvEntryOf<T>[] = [];
    const readNext = async (): Promise<void> => {
      for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
        const entry = await this.get<T>(key);
        if (entry !== undefined) entries.push({ key, ...entry });
      }
    };
    await Promise.all(Array.from({ length: SCAN_PARALLEL }, readNext));
    return entries;
  }

  /** A view that is stale is replaced by a new one, once. */
  list<T>(): Promise<KvEntryOf<T>[]> {
    return this.#read(async () => {
      for (let attempt = 1; ; attempt++) {
        const view = this.#view ?? BucketView.open(this.#nc, this.#name);
        this.#view = view;
        try {
          return (await (await view).read()) as KvEntryOf<T>[];
        } catch (cause) {
          if (this.#view === view) this.#view = undefined;
          void view.then((stale) => stale.stop()).catch(() => undefined);
          if (!(cause instanceof StaleViewError) || attempt === 2) throw cause;
        }
      }
    }, []);
  }

  #manager(): Promise<JetStreamManager> {
    return jetstreamManager(this.#nc, { timeout: REQUEST_TIMEOUT_MS, checkAPI: false });
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
        if (attempt === 2 || !mayRepeat(cause)) throw this.#unavailable(cause);
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
 * Writes to a missing stream fail because there is no responder (reported as "not enabled"), reads because there is no stream. Of several
 * services that create a stream at the same moment one may be told that it overlaps with the other's. None of this has changed anything.
 */
function mayRepeat(cause: unknown): boolean {
  if (cause instanceof JetStreamApiError && cause.code === SUBJECTS_OVERLAP) return true;
  return cause instanceof Error && (cause.name === 'StreamNotFoundError' || cause.name === 'JetStreamNotEnabled');
}
