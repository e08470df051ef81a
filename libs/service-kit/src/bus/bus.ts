import {
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  headers as newHeaders,
  PermissionViolationError,
} from '@nats-io/transport-node';
import { context } from '@opentelemetry/api';
import {
  assertSessionId,
  type BucketName,
  decodeEvent,
  type EventBody,
  encodeEvent,
  encodeLedger,
  endsSessions,
  type Ledger,
  MeshError,
  type MeshEvent,
  mayUse,
  PIPELINE,
  RETAINED_STREAMS,
  type RetainedStream,
  type ServiceName,
  type Stream,
  subjectOf,
  subjectOfAll,
} from '@talkmesh/contracts';
import type { Logger } from '../logging.js';
import type { Counter, Metrics } from '../metrics.js';
import { extractFromHeaders, injectIntoHeaders } from '../telemetry/carriers.js';
import { tracingEnabled } from '../telemetry/spans.js';
import { isTraced } from '../telemetry/stage-span.js';
import { LEDGER_HEADER } from '../telemetry/trail.js';
import { waitAtMost } from '../waiting.js';
import { endOfStream, Follower, type FollowHandler, type StreamPosition } from './follower.js';
import { JetStreamBucket, type KvBucket } from './kv-bucket.js';
import { type ReadBackOptions, type RetainedMessage, Retention } from './retention.js';

/** Header with the instance id of the sender. */
export const INSTANCE_HEADER = 'tm-instance';

export interface MessageMeta {
  /** `tm.v1.<sid>.<stream>` */
  readonly subject: string;
  readonly headers: MsgHdrs | undefined;
}
/** Receives a copy of the payload, which it may keep. An error that it throws is counted and logged, and does not end the subscription. */
export type MessageHandler = (payload: Uint8Array, meta: MessageMeta) => void;

export interface Subscription {
  unsubscribe(): void;
}

/** An event without `v`, `id` and `atMs`, which `publishEvent` adds. */
export type EventToPublish = EventBody & Pick<MeshEvent, 'sessionId' | 'epoch' | 'turn'>;

/** The data plane. It enforces the pipeline table: MeshError PERMISSION_DENIED for a stream that this service may not use. */
export interface Bus {
  /**
   * Publishes at most once and never waits. The caller must not change the payload afterwards. While NATS is unreachable, messages are
   * dropped and counted instead of buffered, because late media is useless. The active span travels along, and `ledger`: what the stages
   * have taken so far.
   */
  publish(stream: Stream, sessionId: string, payload: Uint8Array, ledger?: Ledger): void;
  /** Messages of one session. The messages of one sender arrive in order. */
  subscribe(stream: Stream, sessionId: string, onMessage: MessageHandler): Subscription;
  /** Messages of all sessions. With `queue`, each message goes to one member of that queue group. */
  subscribeAll(stream: Stream, onMessage: MessageHandler, options?: { queue?: string }): Subscription;
  publishEvent(event: EventToPublish, ledger?: Ledger): void;
  /** Events of one session. Malformed events, and events whose `sessionId` differs from their subject's, are counted and dropped. */
  subscribeEvents(sessionId: string, onEvent: (event: MeshEvent, meta: MessageMeta) => void): Subscription;
  /** Resolves when the server has received everything published so far. @throws MeshError NATS_UNAVAILABLE */
  flush(): Promise<void>;
  /** Opens the bucket; a service that may write records creates it when it is missing. @throws MeshError NATS_UNAVAILABLE */
  kv(bucket: BucketName, options: { ttlMs: number }): Promise<KvBucket>;
  /** Reads what NATS retains of a session's stream, oldest first. @throws MeshError NATS_UNAVAILABLE */
  readBack(stream: RetainedStream, sessionId: string, options: ReadBackOptions): Promise<RetainedMessage[]>;
  /** Where a retained stream ends now. @throws MeshError NATS_UNAVAILABLE */
  endOf(stream: RetainedStream): Promise<StreamPosition>;
  /** Follows a retained stream of all sessions from a position on. */
  follow(stream: RetainedStream, from: StreamPosition, onMessages: FollowHandler): Subscription;
  /** Deletes what NATS retains of a session that has ended, in all streams or these. @throws MeshError NATS_UNAVAILABLE */
  deleteRetained(sessionId: string, streams?: readonly RetainedStream[]): Promise<void>;
  /** Called after a reconnect. Messages published during the `awayMs` without a connection are lost, except those that are retained. */
  onReconnect(listener: (awayMs: number) => void): Subscription;
  readonly connected: boolean;
  /**
   * How often the connection was lost. When it is higher than at the last `onReconnect`, a second reconnect is under way, and a new message
   * may arrive before those that are republished.
   */
  readonly losses: number;
}

const FLUSH_DEADLINE_MS = 5000;
const DEFAULT_RETAINED_BYTES = 256 * 2 ** 20;

export interface NatsBusOptions {
  readonly nc: NatsConnection;
  readonly service: ServiceName;
  readonly instanceId: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Bytes that NATS may retain of all sessions together. */
  readonly retainedBytes?: number;
  /** NATS servers that hold a copy of each stream and bucket; 1 by default. */
  readonly replicas?: number;
  /** Called whenever the connection is lost or comes back. */
  onConnectionChange?(connected: boolean): void;
}

export class NatsBus implements Bus {
  readonly #options: NatsBusOptions;
  readonly #nc: NatsConnection;
  readonly #plainHeaders: MsgHdrs;
  readonly #messages: Counter;
  readonly #bytes: Counter;
  readonly #rejected: Counter;
  /** Streams of which a message of another version came. Only the first of each is logged, because every message would repeat it. */
  readonly #otherVersions = new Set<Stream>();
  readonly #retention: Retention;
  readonly #onReconnect = new Set<(awayMs: number) => void>();
  /** Events published, for their ids. */
  #events = 0;
  #retains = false;
  #connected = true;
  #lostAtMs = 0;
  #losses = 0;
  #violation: string | undefined;

  constructor(options: NatsBusOptions) {
    this.#options = options;
    this.#nc = options.nc;
    this.#plainHeaders = this.#makeHeaders();
    const { metrics } = options;
    this.#messages = metrics.counter('talkmesh_messages_total', 'NATS messages', ['stream', 'direction']);
    this.#bytes = metrics.counter('talkmesh_message_bytes_total', 'NATS payload bytes', ['stream', 'direction']);
    this.#rejected = metrics.counter(
      'talkmesh_message_rejected_total',
      'NATS messages that were not sent or were rejected on receipt',
      ['stream', 'reason'],
    );
    this.#startAtZero();
    const { nc, service, log, replicas = 1, retainedBytes: totalBytes = DEFAULT_RETAINED_BYTES } = options;
    this.#retention = new Retention({ nc, service, log, totalBytes, replicas, isConnected: () => this.connected });
    this.#watchStatus().catch((cause: unknown) =>
      options.log.error({ err: cause }, 'the NATS connection no longer reports its status'),
    );
  }

  /** An increase from nothing is none to Prometheus, so the losses that are to be expected begin at 0. */
  #startAtZero(): void {
    const { publishes, subscribes } = PIPELINE[this.#options.service];
    for (const stream of publishes) this.#rejected.inc({ stream, reason: 'disconnected' }, 0);
    for (const stream of subscribes)
      for (const reason of ['MESSAGE_MALFORMED', 'MESSAGE_VERSION', 'HANDLER_FAILED'])
        this.#rejected.inc({ stream, reason }, 0);
  }

  get connected(): boolean {
    return this.#connected && !this.#nc.isClosed();
  }

  get losses(): number {
    return this.#losses;
  }

  /** What the server has refused to this service since the connection was made; undefined: nothing. Its permissions are then not those of the pipeline table. */
  get violation(): string | undefined {
    return this.#violation;
  }

  publish(stream: Stream, sessionId: string, payload: Uint8Array, ledger?: Ledger): void {
    this.#assertMay('publishes', stream);
    const subject = subjectOf(sessionId, stream);
    if (!this.connected) {
      this.#rejected.inc({ stream, reason: 'disconnected' });
      return;
    }
    this.#nc.publish(subject, payload, { headers: this.#headers(ledger) });
    this.#count(stream, 'out', payload.byteLength);
  }

  subscribe(stream: Stream, sessionId: string, onMessage: MessageHandler): Subscription {
    return this.#subscribe(stream, subjectOf(sessionId, stream), onMessage);
  }

  subscribeAll(stream: Stream, onMessage: MessageHandler, options: { queue?: string } = {}): Subscription {
    return this.#subscribe(stream, subjectOfAll(stream), onMessage, options.queue);
  }

  publishEvent(event: EventToPublish, ledger?: Ledger): void {
    this.#events += 1;
    const id = `${this.#options.instanceId}.${this.#events}`;
    this.publish('event', event.sessionId, encodeEvent({ id, ...event }), ledger);
  }

  subscribeEvents(sessionId: string, onEvent: (event: MeshEvent, meta: MessageMeta) => void): Subscription {
    assertSessionId(sessionId);
    return this.subscribe('event', sessionId, (payload, meta) => {
      const event = decodeEvent(payload);
      if (event.sessionId !== sessionId)
        throw new MeshError('MESSAGE_MALFORMED', "the event's sessionId differs from the one in its subject");
      onEvent(event, meta);
    });
  }

  async flush(): Promise<void> {
    const outcome = await waitAtMost(this.#nc.flush(), FLUSH_DEADLINE_MS).catch((cause: unknown) => cause);
    if (outcome === 'done') return;
    throw new MeshError(
      'NATS_UNAVAILABLE',
      'NATS did not confirm the published messages in time: check that it is reachable',
      { cause: outcome },
    );
  }

  async kv(bucket: BucketName, options: { ttlMs: number }): Promise<KvBucket> {
    const { service, replicas = 1 } = this.#options;
    if (PIPELINE[service].buckets[bucket] === undefined) throw this.#forbidden(`use the bucket ${bucket}`);
    const mayWrite = mayUse(service, bucket, 'put', 'put-own');
    const opened = new JetStreamBucket(this.#nc, bucket, {
      ...options,
      replicas,
      mayWrite,
      isConnected: () => this.connected,
    });
    await opened.open();
    return opened;
  }

  /** Creates the streams that retain what a takeover needs, now and after every reconnect. */
  async retain(): Promise<void> {
    this.#retains = true;
    await this.#retention.createStreams();
  }

  async readBack(stream: RetainedStream, sessionId: string, options: ReadBackOptions): Promise<RetainedMessage[]> {
    this.#assertMay('readsBack', stream);
    if (!this.connected)
      throw new MeshError('NATS_UNAVAILABLE', 'NATS is not connected, so retained messages cannot be read');
    return this.#retention.readBack(stream, sessionId, options);
  }

  async endOf(stream: RetainedStream): Promise<StreamPosition> {
    this.#assertMay('follows', stream);
    return endOfStream(this.#nc, stream);
  }

  follow(stream: RetainedStream, from: StreamPosition, onMessages: FollowHandler): Subscription {
    this.#assertMay('follows', stream);
    const { nc, service, log } = this.#options;
    return new Follower({ nc, service, stream, from, onMessages, log, bus: this });
  }

  async deleteRetained(sessionId: string, streams: readonly RetainedStream[] = RETAINED_STREAMS): Promise<void> {
    assertSessionId(sessionId);
    if (!endsSessions(this.#options.service)) throw this.#forbidden('delete what is retained of a session');
    if (!this.connected)
      throw new MeshError(
        'NATS_UNAVAILABLE',
        'NATS is not connected: retained messages of the session were not deleted, they expire',
      );
    await this.#retention.deleteSession(sessionId, streams);
  }

  onReconnect(listener: (awayMs: number) => void): Subscription {
    this.#onReconnect.add(listener);
    return { unsubscribe: () => this.#onReconnect.delete(listener) };
  }

  #assertMay(verb: 'publishes' | 'subscribes' | 'readsBack' | 'follows', stream: Stream): void {
    const { service } = this.#options;
    const allowed: readonly Stream[] = PIPELINE[service][verb];
    if (allowed.includes(stream)) return;
    const does = { publishes: 'publish', subscribes: 'subscribe to', readsBack: 'read back', follows: 'follow' }[verb];
    throw this.#forbidden(`${does} ${stream}`);
  }

  #forbidden(action: string): MeshError {
    const { service } = this.#options;
    return new MeshError('PERMISSION_DENIED', `${service} may not ${action}: the pipeline table does not list it`);
  }

  #makeHeaders(): MsgHdrs {
    const headers = newHeaders();
    headers.set(INSTANCE_HEADER, this.#options.instanceId);
    return headers;
  }

  /** Most messages belong to no span and carry no ledger: they share their headers. */
  #headers(ledger: Ledger | undefined): MsgHdrs {
    const traced = tracingEnabled() && isTraced(context.active());
    if (!traced && ledger === undefined) return this.#plainHeaders;
    const headers = this.#makeHeaders();
    if (traced) injectIntoHeaders(headers);
    if (ledger !== undefined) headers.set(LEDGER_HEADER, encodeLedger(ledger));
    return headers;
  }

  #subscribe(stream: Stream, subject: string, onMessage: MessageHandler, queue?: string): Subscription {
    this.#assertMay('subscribes', stream);
    const subscription = this.#nc.subscribe(subject, {
      ...(queue !== undefined && { queue }),
      callback: (error, message) => {
        if (error === null) this.#receive(stream, message, onMessage);
        else this.#reject(stream, error);
      },
    });
    return { unsubscribe: () => subscription.unsubscribe() };
  }

  #receive(stream: Stream, message: Msg, onMessage: MessageHandler): void {
    this.#count(stream, 'in', message.data.byteLength);
    // Not slice(): the data is a Buffer, and its slice would be a view of the connection's read buffer.
    const handle = (): unknown =>
      onMessage(new Uint8Array(message.data), { subject: message.subject, headers: message.headers });
    try {
      const traced = message.headers !== undefined && tracingEnabled();
      const result: unknown = traced ? context.with(extractFromHeaders(message.headers as MsgHdrs), handle) : handle();
      if (result instanceof Promise) result.catch((thrown: unknown) => this.#reject(stream, thrown));
    } catch (thrown) {
      this.#reject(stream, thrown);
    }
  }

  #reject(stream: Stream, thrown: unknown): void {
    const reason = thrown instanceof MeshError ? thrown.reason : 'HANDLER_FAILED';
    this.#rejected.inc({ stream, reason });
    const facts = { err: thrown, stream, reason };
    if (reason === 'MESSAGE_VERSION' && !this.#otherVersions.has(stream)) {
      this.#otherVersions.add(stream);
      this.#options.log.error(
        facts,
        'another service runs another version of talkmesh: its messages are dropped; update all services to one version',
      );
      return;
    }
    const level = reason.startsWith('MESSAGE_') ? 'debug' : 'error';
    this.#options.log[level](facts, 'message rejected');
  }

  #count(stream: Stream, direction: 'in' | 'out', bytes: number): void {
    this.#messages.inc({ stream, direction });
    this.#bytes.inc({ stream, direction }, bytes);
  }

  async #watchStatus(): Promise<void> {
    const { log } = this.#options;
    for await (const status of this.#nc.status()) {
      if (status.type === 'disconnect') this.#change(false, () => log.warn('NATS connection lost, reconnecting'));
      else if (status.type === 'reconnect') this.#change(true, () => log.info('NATS connection restored'));
      else if (status.type === 'error') this.#onError(status.error);
    }
    this.#change(false, () => undefined);
  }

  /** A refused publish is reported here only: the call itself does not fail. The first one is logged, because every message would repeat it. */
  #onError(err: Error): void {
    const { log, onConnectionChange } = this.#options;
    if (!(err instanceof PermissionViolationError)) log.error({ err }, 'NATS reports an error');
    else if (this.#violation === undefined) {
      this.#violation = `${err.operation} ${err.subject}`;
      log.error(
        { err, violation: this.#violation },
        'NATS refuses what the pipeline table allows this service: give its NATS user the permissions that npm run nats-permissions prints',
      );
      onConnectionChange?.(this.connected);
    }
  }

  #change(connected: boolean, logChange: () => void): void {
    if (connected === this.#connected) return;
    this.#connected = connected;
    if (connected) this.#violation = undefined;
    else {
      this.#lostAtMs = performance.now();
      this.#losses += 1;
    }
    logChange();
    this.#options.onConnectionChange?.(connected);
    if (connected) void this.#reconnected(performance.now() - this.#lostAtMs);
  }

  /** A restarted server has lost its streams. They are created before the listeners run, so that what those publish is retained. */
  async #reconnected(awayMs: number): Promise<void> {
    if (this.#retains) await this.#retention.createStreams();
    for (const listener of this.#onReconnect) {
      try {
        listener(awayMs);
      } catch (err) {
        this.#options.log.error({ err }, 'a reconnect listener failed');
      }
    }
  }
}
