import { setTimeout as sleep } from 'node:timers/promises';
import { AckPolicy, DeliverPolicy, type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { createInbox, type Msg, type NatsConnection, nanos } from '@nats-io/transport-node';
import { inboxPrefixOf, MeshError, RETENTION, type RetainedStream, type ServiceName } from '@talkmesh/contracts';
import type { Logger } from '../logging.js';
import { afterSilence } from '../waiting.js';
import { deliveredMessage, type RetainedMessage } from './retention.js';

/** A message of a retained stream, which all sessions share. */
export interface FollowedMessage extends RetainedMessage {
  /** `tm.v1.<sid>.<stream>` */
  readonly subject: string;
  /** Where it is. */
  readonly position: StreamPosition;
}

/** A place in a retained stream. A stream that was made again after a restart of NATS counts from 1 and has another time of creation. */
export interface StreamPosition {
  /** When the stream was made, as the server writes it (RFC 3339). */
  readonly created: string;
  /** Sequence of the last message before this place. */
  readonly sequence: number;
}

/** Before the first message of any stream. */
export const BEGINNING: StreamPosition = { created: '', sequence: 0 };

/** Receives messages in the order in which NATS stored them. Those of a call that rejects come again. */
export type FollowHandler = (messages: readonly FollowedMessage[]) => Promise<void>;

export interface FollowerOptions {
  readonly nc: NatsConnection;
  readonly service: ServiceName;
  readonly stream: RetainedStream;
  readonly from: StreamPosition;
  readonly onMessages: FollowHandler;
  readonly bus: {
    readonly connected: boolean;
    onReconnect(listener: () => void): { unsubscribe(): void };
  };
  readonly log: Logger;
}

const REQUEST_TIMEOUT_MS = 2000;
const HEARTBEAT_MS = 1000;
const SILENCE_MS = 4000;
const PAUSE_MS = 500;
const CONSUMER_LIFE_MS = 10_000;
const MAX_BATCH = 256;

/**
 * Follows a retained stream with temporary consumers: each message once and in order, also over lost connections. It begins again
 * where the last handled message was, so that a handler that fails, or a process that dies, loses nothing that NATS retains.
 */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #reconnects: { unsubscribe(): void };
  #position: StreamPosition;
  #end: (error: Error) => void = () => undefined;
  #manager: Promise<JetStreamManager> | undefined;
  #stopped = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#position = options.from;
    // Another server may answer then, or one that has lost the stream.
    this.#reconnects = options.bus.onReconnect(() => this.#end(new Error('the connection to NATS was lost')));
    void this.#run();
  }

  unsubscribe(): void {
    this.#stopped = true;
    this.#reconnects.unsubscribe();
    this.#end(new Error('stopped'));
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const error = await this.#follow().catch((thrown: unknown) => thrown);
      if (this.#stopped) return;
      const { log, stream, bus } = this.#options;
      if (bus.connected)
        log.warn({ err: error, stream }, 'a retained stream is followed once more from the last position');
      await sleep(PAUSE_MS);
    }
  }

  /** Rejects when the consumer is lost, the handler fails, or `#end` is called. */
  async #follow(): Promise<never> {
    const { nc, service, stream, onMessages } = this.#options;
    const { name } = RETENTION[stream];
    this.#manager ??= jetstreamManager(nc, { checkAPI: false, timeout: REQUEST_TIMEOUT_MS });
    const manager = await this.#manager;
    const { created } = await manager.streams.info(name);
    if (this.#stopped) throw new Error('stopped');
    if (this.#position.created !== created) this.#position = { created, sequence: 0 };

    const waiting: FollowedMessage[] = [];
    let wake = (): void => undefined;
    let failure: Error | undefined;
    const fail = (error: Error): void => {
      failure ??= error;
      wake();
    };
    this.#end = fail;
    const watchSilence = () => afterSilence(SILENCE_MS, () => fail(new Error('NATS is silent')));
    let silence = watchSilence();
    let delivered = 0;
    const inbox = createInbox(inboxPrefixOf(service));
    const subscription = nc.subscribe(inbox, {
      callback: (error, message) => {
        silence.cancel();
        silence = watchSilence();
        if (error !== null) return fail(error);
        const retained = deliveredMessage(message);
        const count = retained?.consumerSequence ?? lastOf(message) ?? delivered;
        if (count !== delivered + (retained === undefined ? 0 : 1)) fail(new Error('a message is missing'));
        if (retained === undefined || failure !== undefined) return;
        delivered = count;
        const position = { created, sequence: retained.sequence };
        waiting.push({ ...retained, subject: message.subject, position });
        wake();
      },
    });
    try {
      const consumer = await manager.consumers.add(name, {
        deliver_subject: inbox,
        ack_policy: AckPolicy.None,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: this.#position.sequence + 1,
        idle_heartbeat: nanos(HEARTBEAT_MS),
        inactive_threshold: nanos(CONSUMER_LIFE_MS),
        mem_storage: true,
      });
      try {
        for (;;) {
          if (failure !== undefined) throw failure;
          const messages = waiting.splice(0, MAX_BATCH);
          const last = messages.at(-1);
          if (last === undefined) {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
            continue;
          }
          await onMessages(messages);
          this.#position = last.position;
        }
      } finally {
        manager.consumers.delete(name, consumer.name).catch(() => undefined);
      }
    } finally {
      silence.cancel();
      subscription.unsubscribe();
    }
  }
}

/** @throws MeshError NATS_UNAVAILABLE */
export async function endOfStream(nc: NatsConnection, stream: RetainedStream): Promise<StreamPosition> {
  try {
    const manager = await jetstreamManager(nc, { checkAPI: false, timeout: REQUEST_TIMEOUT_MS });
    const { created, state } = await manager.streams.info(RETENTION[stream].name);
    return { created, sequence: state.last_seq };
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'StreamNotFoundError') return BEGINNING;
    throw new MeshError('NATS_UNAVAILABLE', `NATS does not say what it retains of ${stream}`, { cause });
  }
}

/** What a heartbeat says was delivered last. */
function lastOf({ headers }: Msg): number | undefined {
  const last = headers?.get('Nats-Last-Consumer') ?? '';
  return last === '' ? undefined : Number(last);
}
