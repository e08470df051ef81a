import { type Msg, type MsgHdrs, type NatsConnection, headers as newHeaders } from '@nats-io/transport-node';
import { context, SpanKind } from '@opentelemetry/api';
import {
  assertSessionId,
  decodeEvent,
  type EventBody,
  encodeEvent,
  MeshError,
  type MeshEvent,
  PIPELINE,
  type RetainedStream,
  type ServiceName,
  type Stream,
  subjectOf,
  subjectOfAll,
} from '@talkmesh/contracts';
import { type BucketName, JetStreamBucket, type KvBucket } from './kv-bucket.js';
import type { Logger } from './logging.js';
import type { Counter, Metrics } from './metrics.js';
import { type RecallOptions, type RetainedMessage, Retention } from './retention.js';
import { extractFromHeaders, injectIntoHeaders } from './telemetry/carriers.js';
import { tracingEnabled, withSpan } from './telemetry/spans.js';
import { waitAtMost } from './waiting.js';

/** Header with the instance id of the sender. */
export const INSTANCE_HEADER = 'tm-instance';

export interface MessageMeta {
  /** `tm.v1.<sid>.<stream>` */
  readonly subject: string;
  readonly headers: MsgHdrs | undefined;
}
/** Gets a copy it may keep. What it throws is counted, logged and goes no further. */
export type MessageHandler = (payload: Uint8Array, meta: MessageMeta) => void;

export interface Subscription {
  unsubscribe(): void;
}

/** An event as it is published: `v` and `atMs` are added. */
export type EventToPublish = EventBody & Pick<MeshEvent, 'sid' | 'epoch' | 'turn'>;

/** The data plane, held to the pipeline table: a stream this service may not use throws MeshError PERMISSION_DENIED. */
export interface Bus {
  /** At most once, never waits; the payload must not be changed afterwards. While NATS is away messages are dropped and counted, because old media is worth nothing. */
  publish(stream: Stream, sessionId: string, payload: Uint8Array): void;
  /** Messages of one session, in the order of their sender. */
  subscribe(stream: Stream, sessionId: string, onMessage: MessageHandler): Subscription;
  /** Messages of every session; with `queue`, each goes to one member of that group. */
  subscribeAll(stream: Stream, onMessage: MessageHandler, options?: { queue?: string }): Subscription;
  publishEvent(event: EventToPublish): void;
  /** Malformed events, and events whose `sid` is not their subject's, are counted and dropped. */
  subscribeEvents(sessionId: string, onEvent: (event: MeshEvent, meta: MessageMeta) => void): Subscription;
  /** Resolves when the server has everything published so far. @throws MeshError NATS_UNAVAILABLE */
  flush(): Promise<void>;
  /** Opens the bucket, making it when it is missing. @throws MeshError NATS_UNAVAILABLE */
  kv(bucket: BucketName, options: { ttlMs: number }): Promise<KvBucket>;
  /** What NATS retains of a session's stream, oldest first: to take it over, or to fill a gap. @throws MeshError NATS_UNAVAILABLE */
  recall(stream: RetainedStream, sessionId: string, options: RecallOptions): Promise<RetainedMessage[]>;
  /** Drops what NATS retains of a session that has ended. @throws MeshError NATS_UNAVAILABLE */
  forgetRetained(sessionId: string): Promise<void>;
  /** Called after a lost connection came back: messages of the time between are gone unless they are retained. */
  onReconnect(listener: (awayMs: number) => void): Subscription;
  readonly connected: boolean;
  /** How often the connection was lost: while this is more than at the last `onReconnect`, a message may overtake what is said again. */
  readonly losses: number;
}

const FLUSH_DEADLINE_MS = 5000;
const DEFAULT_RETAINED_BYTES = 256 * 2 ** 20;

/** Streams with a message per chunk or rarer get a span per message; the others carry the trace context only. */
const SPANNED: ReadonlySet<Stream> = new Set(['latent', 'event']);

export interface NatsBusOptions {
  readonly nc: NatsConnection;
  readonly service: ServiceName;
  readonly instanceId: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Bytes that NATS may retain of all sessions together. */
  readonly retainedBytes?: number;
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
  readonly #retention: Retention;
  readonly #onReconnect = new Set<(awayMs: number) => void>();
  #retains = false;
  #connected = true;
  #lostAtMs = 0;
  #losses = 0;

  constructor(options: NatsBusOptions) {
    this.#options = options;
    this.#nc = options.nc;
    this.#plainHeaders = this.#makeHeaders();
    const { metrics } = options;
    this.#messages = metrics.counter('talkmesh_messages_total', 'NATS messages', ['stream', 'direction']);
    this.#bytes = metrics.counter('talkmesh_message_bytes_total', 'NATS payload bytes', ['stream', 'direction']);
    this.#rejected = metrics.counter('talkmesh_message_rejected_total', 'NATS messages not sent or not understood', [
      'stream',
      'reason',
    ]);
    const { nc, log, retainedBytes: totalBytes = DEFAULT_RETAINED_BYTES } = options;
    this.#retention = new Retention({ nc, log, totalBytes, isConnected: () => this.connected });
    this.#watchStatus().catch((cause: unknown) => options.log.error({ err: cause }, 'NATS status ended'));
  }

  get connected(): boolean {
    return this.#connected && !this.#nc.isClosed();
  }

  get losses(): number {
    return this.#losses;
  }

  publish(stream: Stream, sessionId: string, payload: Uint8Array): void {
    this.#assertMay('publishes', stream);
    const subject = subjectOf(sessionId, stream);
    if (!this.connected) {
      this.#rejected.inc({ stream, reason: 'disconnected' });
      return;
    }
    if (!tracingEnabled()) this.#send(stream, subject, payload, this.#plainHeaders);
    else if (!SPANNED.has(stream)) this.#sendTraced(stream, subject, payload);
    else {
      const attributes = spanAttributes(stream, subject, sessionId);
      withSpan(`send ${templateOf(stream)}`, attributes, () => this.#sendTraced(stream, subject, payload), {
        kind: SpanKind.PRODUCER,
      });
    }
  }

  subscribe(stream: Stream, sessionId: string, onMessage: MessageHandler): Subscription {
    return this.#subscribe(stream, subjectOf(sessionId, stream), onMessage);
  }

  subscribeAll(stream: Stream, onMessage: MessageHandler, options: { queue?: string } = {}): Subscription {
    return this.#subscribe(stream, subjectOfAll(stream), onMessage, options.queue);
  }

  publishEvent(event: EventToPublish): void {
    this.publish('event', event.sid, encodeEvent(event));
  }

  subscribeEvents(sessionId: string, onEvent: (event: MeshEvent, meta: MessageMeta) => void): Subscription {
    assertSessionId(sessionId);
    return this.subscribe('event', sessionId, (payload, meta) => {
      const event = decodeEvent(payload);
      if (event.sid !== sessionId) throw new MeshError('MESSAGE_MALFORMED', "the event's sid is not its subject's");
      onEvent(event, meta);
    });
  }

  async flush(): Promise<void> {
    const outcome = await waitAtMost(this.#nc.flush(), FLUSH_DEADLINE_MS).catch((cause: unknown) => cause);
    if (outcome === 'done') return;
    throw new MeshError('NATS_UNAVAILABLE', 'NATS did not confirm what was published', { cause: outcome });
  }

  async kv(bucket: BucketName, options: { ttlMs: number }): Promise<KvBucket> {
    const opened = new JetStreamBucket(this.#nc, bucket, options.ttlMs, () => this.connected);
    await opened.open();
    return opened;
  }

  /** Makes the streams that capture what calls need to go on elsewhere, now and whenever the connection came back. */
  async retain(): Promise<void> {
    this.#retains = true;
    await this.#retention.make();
  }

  async recall(stream: RetainedStream, sessionId: string, options: RecallOptions): Promise<RetainedMessage[]> {
    this.#assertMay('recalls', stream);
    if (!this.connected) throw new MeshError('NATS_UNAVAILABLE', 'NATS is away, what it retains cannot be read');
    return this.#retention.recall(stream, sessionId, options);
  }

  async forgetRetained(sessionId: string): Promise<void> {
    assertSessionId(sessionId);
    if (!this.connected) throw new MeshError('NATS_UNAVAILABLE', 'NATS is away, what it retains expires');
    await this.#retention.forget(sessionId);
  }

  onReconnect(listener: (awayMs: number) => void): Subscription {
    this.#onReconnect.add(listener);
    return { unsubscribe: () => this.#onReconnect.delete(listener) };
  }

  #assertMay(verb: 'publishes' | 'subscribes' | 'recalls', stream: Stream): void {
    const { service } = this.#options;
    const allowed: readonly Stream[] = PIPELINE[service][verb];
    if (allowed.includes(stream)) return;
    const does = { publishes: 'publish', subscribes: 'subscribe to', recalls: 'recall' }[verb];
    throw new MeshError(
      'PERMISSION_DENIED',
      `${service} is not among those who ${does} ${stream} in the pipeline table`,
    );
  }

  #makeHeaders(): MsgHdrs {
    const headers = newHeaders();
    headers.set(INSTANCE_HEADER, this.#options.instanceId);
    return headers;
  }

  #sendTraced(stream: Stream, subject: string, payload: Uint8Array): void {
    const headers = this.#makeHeaders();
    injectIntoHeaders(headers);
    this.#send(stream, subject, payload, headers);
  }

  #send(stream: Stream, subject: string, payload: Uint8Array, headers: MsgHdrs): void {
    this.#nc.publish(subject, payload, { headers });
    this.#count(stream, 'out', payload.byteLength);
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
    // Not slice(): the data is a Buffer, whose slice is a view of the connection's read buffer.
    const handle = (): unknown =>
      onMessage(new Uint8Array(message.data), { subject: message.subject, headers: message.headers });
    try {
      const traced = message.headers !== undefined && tracingEnabled();
      const result: unknown = traced ? this.#handleTraced(stream, message, handle) : handle();
      if (result instanceof Promise) result.catch((thrown: unknown) => this.#reject(stream, thrown));
    } catch (thrown) {
      this.#reject(stream, thrown);
    }
  }

  #handleTraced(stream: Stream, message: Msg, handle: () => unknown): unknown {
    const parent = extractFromHeaders(message.headers as MsgHdrs);
    if (!SPANNED.has(stream)) return context.with(parent, handle);
    const attributes = spanAttributes(stream, message.subject, message.subject.split('.')[2] ?? '');
    return withSpan(`process ${templateOf(stream)}`, attributes, handle, { kind: SpanKind.CONSUMER, parent });
  }

  #reject(stream: Stream, thrown: unknown): void {
    const reason = thrown instanceof MeshError ? thrown.reason : 'HANDLER_FAILED';
    this.#rejected.inc({ stream, reason });
    const level = reason.startsWith('MESSAGE_') ? 'debug' : 'error';
    this.#options.log[level]({ err: thrown, stream, reason }, 'message rejected');
  }

  #count(stream: Stream, direction: 'in' | 'out', bytes: number): void {
    this.#messages.inc({ stream, direction });
    this.#bytes.inc({ stream, direction }, bytes);
  }

  async #watchStatus(): Promise<void> {
    const { log } = this.#options;
    for await (const status of this.#nc.status()) {
      if (status.type === 'disconnect') this.#change(false, () => log.warn('NATS connection lost, reconnecting'));
      else if (status.type === 'reconnect') this.#change(true, () => log.info('NATS connection is back'));
      else if (status.type === 'error') log.error({ err: status.error }, 'NATS reports an error');
    }
    this.#change(false, () => undefined);
  }

  #change(connected: boolean, say: () => void): void {
    if (connected === this.#connected) return;
    this.#connected = connected;
    if (!connected) {
      this.#lostAtMs = performance.now();
      this.#losses += 1;
    }
    say();
    this.#options.onConnectionChange?.(connected);
    if (connected) void this.#reconnected(performance.now() - this.#lostAtMs);
  }

  /** A server that restarted has lost its streams; they are there again before anybody publishes upon the news. */
  async #reconnected(awayMs: number): Promise<void> {
    if (this.#retains) await this.#retention.make();
    for (const listener of this.#onReconnect) {
      try {
        listener(awayMs);
      } catch (err) {
        this.#options.log.error({ err }, 'a listener failed after NATS came back');
      }
    }
  }
}

const templateOf = (stream: Stream): string => `tm.v1.{sid}.${stream}`;

const spanAttributes = (stream: Stream, subject: string, sessionId: string) => ({
  'messaging.system': 'nats',
  'messaging.destination.name': subject,
  'messaging.destination.template': templateOf(stream),
  'talkmesh.session.id': sessionId,
});
