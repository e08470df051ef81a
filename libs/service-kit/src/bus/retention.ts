import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  StorageType,
  type StoredMsg,
} from '@nats-io/jetstream';
import { createInbox, type Msg, type MsgHdrs, type NatsConnection, nanos } from '@nats-io/transport-node';
import {
  inboxPrefixOf,
  MeshError,
  RETENTION,
  type RetainedStream,
  retainedStreamsOf,
  type ServiceName,
  subjectOf,
} from '@talkmesh/contracts';
import type { Logger } from '../logging.js';
import { waitAtMost } from '../waiting.js';

/** A message that NATS retains. */
export interface RetainedMessage {
  readonly payload: Uint8Array;
  /** As its sender wrote them. */
  readonly headers: MsgHdrs | undefined;
  /** Sequence number in the JetStream stream, which all sessions share: ascending within a session, with gaps. */
  readonly sequence: number;
  /** When the server received it, unix milliseconds. */
  readonly atMs: number;
}

export interface ReadBackOptions {
  readonly deadlineMs: number;
  /** Only messages from this sequence on. */
  readonly fromSequence?: number;
}

export interface RetentionOptions {
  readonly nc: NatsConnection;
  readonly service: ServiceName;
  /** Limit for all streams and sessions together, bytes. */
  readonly totalBytes: number;
  /** NATS servers that hold a copy. */
  readonly replicas: number;
  readonly isConnected: () => boolean;
  readonly log: Logger;
}

const REQUEST_TIMEOUT_MS = 2000;
const CONSUMER_LIFE_MS = 10_000;
/** JetStream error code: a stream of this name exists with other bounds, from an older version of the mesh or other settings. */
const STREAM_EXISTS = 10_058;

/** The JetStream streams in memory that retain what a takeover needs; RETENTION in @talkmesh/contracts defines their bounds. */
export class Retention {
  readonly #options: RetentionOptions;
  #manager: Promise<JetStreamManager> | undefined;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /**
   * Creates the streams of this service that are missing. Never rejects: without JetStream, or without enough memory, it logs a warning. Sessions then
   * work, but a takeover finds nothing to continue from.
   */
  async createStreams(): Promise<void> {
    for (const stream of retainedStreamsOf(this.#options.service)) {
      try {
        await this.#createStream(stream);
      } catch (cause) {
        if (this.#options.isConnected())
          this.#options.log.warn(
            { err: cause, stream: RETENTION[stream].name },
            'NATS cannot retain sessions for a takeover: enable JetStream with memory for TALKMESH_RETENTION_MB',
          );
        return;
      }
    }
  }

  /**
   * What is retained of a session's stream, oldest first; empty when the JetStream stream is missing.
   * @throws MeshError NATS_UNAVAILABLE when reading was not complete by the deadline
   */
  async readBack(stream: RetainedStream, sessionId: string, options: ReadBackOptions): Promise<RetainedMessage[]> {
    const read = this.#read(stream, subjectOf(sessionId, stream), options.fromSequence);
    const outcome = await waitAtMost(read, options.deadlineMs).catch((cause: unknown) => cause);
    if (outcome === 'done') return read;
    if (outcome instanceof Error && outcome.name === 'StreamNotFoundError') return [];
    throw new MeshError(
      'NATS_UNAVAILABLE',
      `NATS did not return what it retains of ${stream} within ${options.deadlineMs} ms`,
      { cause: outcome },
    );
  }

  /** Deletes what these streams retain of a session. @throws MeshError NATS_UNAVAILABLE */
  async deleteSession(sessionId: string, streams: readonly RetainedStream[]): Promise<void> {
    const purges = streams.map(async (stream) => {
      const manager = await this.#connect();
      await manager.streams.purge(RETENTION[stream].name, { filter: subjectOf(sessionId, stream) });
    });
    const failed = (await Promise.allSettled(purges)).find(
      (result) => result.status === 'rejected' && (result.reason as Error).name !== 'StreamNotFoundError',
    );
    if (failed?.status !== 'rejected') return;
    throw new MeshError('NATS_UNAVAILABLE', 'NATS did not delete the retained messages of a session; they expire', {
      cause: failed.reason,
    });
  }

  async #createStream(stream: RetainedStream): Promise<void> {
    const { name, subject, perSession, maxAgeMs, share } = RETENTION[stream];
    const manager = await this.#connect();
    const bounds = {
      max_msgs_per_subject: perSession,
      max_age: nanos(maxAgeMs),
      max_bytes: Math.round(this.#options.totalBytes * share),
      num_replicas: this.#options.replicas,
    };
    const config = { name, subjects: [subject], storage: StorageType.Memory, discard: DiscardPolicy.Old, no_ack: true };
    await manager.streams.add({ ...config, ...bounds }).catch((thrown: unknown) => {
      if (!(thrown instanceof JetStreamApiError) || thrown.code !== STREAM_EXISTS) throw thrown;
      this.#options.log.debug({ stream: name }, 'the stream exists with other bounds, which stay in force');
    });
  }

  async #read(stream: RetainedStream, subject: string, fromSequence = 0): Promise<RetainedMessage[]> {
    const { name, perSession } = RETENTION[stream];
    const manager = await this.#connect();
    const last = await manager.streams.getMessage(name, { last_by_subj: subject });
    if (last === null || last.seq < fromSequence) return [];
    if (perSession === 1 || last.seq === fromSequence) return [ofStored(last)];
    return this.#collect(manager, name, subject, fromSequence, last.seq);
  }

  /** Reads with a temporary consumer up to the message that was the newest when reading began. */
  async #collect(
    manager: JetStreamManager,
    name: string,
    subject: string,
    from: number,
    until: number,
  ): Promise<RetainedMessage[]> {
    const { nc, service } = this.#options;
    const inbox = createInbox(inboxPrefixOf(service));
    const messages: RetainedMessage[] = [];
    let finish: (error?: Error) => void = () => undefined;
    const complete = new Promise<void>((resolve, reject) => {
      finish = (error) => (error === undefined ? resolve() : reject(error));
    });
    const subscription = nc.subscribe(inbox, {
      callback: (error, message) => {
        if (error !== null) return finish(error);
        const retained = deliveredMessage(message);
        if (retained === undefined) return;
        if (retained.sequence <= until) messages.push(retained);
        if (retained.sequence >= until) finish();
      },
    });
    const giveUp = setTimeout(
      () => finish(new Error('the retained messages did not arrive in time')),
      CONSUMER_LIFE_MS,
    );
    try {
      const consumer = await manager.consumers.add(name, {
        deliver_subject: inbox,
        filter_subject: subject,
        ack_policy: AckPolicy.None,
        ...(from > 0
          ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from }
          : { deliver_policy: DeliverPolicy.All }),
        inactive_threshold: nanos(CONSUMER_LIFE_MS),
        mem_storage: true,
      });
      await complete;
      manager.consumers.delete(name, consumer.name).catch(() => undefined);
    } finally {
      clearTimeout(giveUp);
      subscription.unsubscribe();
    }
    return messages;
  }

  #connect(): Promise<JetStreamManager> {
    this.#manager ??= jetstreamManager(this.#options.nc, { checkAPI: false, timeout: REQUEST_TIMEOUT_MS });
    return this.#manager;
  }
}

const ofStored = (message: StoredMsg): RetainedMessage => ({
  payload: message.data,
  headers: message.header,
  sequence: message.seq,
  atMs: message.time.getTime(),
});

/**
 * A message as a consumer delivers it; undefined: something else, such as a heartbeat. `consumerSequence` counts what this consumer has
 * delivered. Sequence and time are parts of the reply subject, `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<n>.<nanoseconds>.<pending>`.
 * Servers with JetStream domains put two more tokens before the stream.
 */
export function deliveredMessage(message: Msg): (RetainedMessage & { readonly consumerSequence: number }) | undefined {
  const tokens = message.reply?.split('.') ?? [];
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK') return undefined;
  const at = tokens.length === 9 ? 5 : 7;
  const [sequence, consumerSequence, nanoseconds] = tokens.slice(at).map(Number);
  if (sequence === undefined || consumerSequence === undefined || nanoseconds === undefined) return undefined;
  const { headers } = message;
  return { payload: new Uint8Array(message.data), headers, sequence, consumerSequence, atMs: nanoseconds / 1e6 };
}
