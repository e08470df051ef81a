import { randomUUID } from 'node:crypto';
import { MeshError } from '@talkmesh/contracts';
import type { WebSocket } from 'ws';
import { closeSocket, sendText, watchSocket } from '../http/socket-watch.js';
import { RateLimit } from '../rate-limit.js';
import { readClientEvent } from './client-events.js';
import { type ErrorEvent, type RealtimeOptions, RealtimeSession } from './realtime-session.js';
import type { OutEvent } from './response-writer.js';

export interface ConnectionOptions extends Omit<RealtimeOptions, 'id' | 'send' | 'onEnd'> {
  /** Names of the beta protocol, which Azure's clients use too. */
  readonly isBeta: boolean;
}

/** Events that wait while the session is opened, bytes. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
const EVENTS = { perSecond: 200, burst: 1000 };

const BETA_NAMES: Readonly<Record<string, string>> = {
  'response.output_audio.delta': 'response.audio.delta',
  'response.output_audio.done': 'response.audio.done',
  'response.output_audio_transcript.delta': 'response.audio_transcript.delta',
  'response.output_audio_transcript.done': 'response.audio_transcript.done',
  'conversation.item.added': 'conversation.item.created',
};

/** One WebSocket: order, limits, liveness and ids of the events; what they mean is in `RealtimeSession`. */
export class RealtimeConnection {
  readonly #socket: WebSocket;
  readonly #isBeta: boolean;
  readonly #session: RealtimeSession;
  readonly #rate = new RateLimit(EVENTS);
  #events = 0;
  #waitingBytes = 0;
  #work: Promise<void> = Promise.resolve();

  constructor(socket: WebSocket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#isBeta = options.isBeta;
    const id = `sess_${randomUUID().replaceAll('-', '')}`;
    const { log } = options;
    this.#session = new RealtimeSession({
      ...options,
      id,
      send: (event) => this.#send(event),
      onEnd: (cause) => this.#end(cause),
    });
    watchSocket(socket);
    socket.on('message', (data, isBinary) => this.#receive(isBinary ? '' : String(data)));
    // An oversized or malformed frame; `close` follows.
    socket.on('error', (err) => log.info({ err, realtime: id }, 'a realtime client broke the protocol'));
    socket.once('close', () => void this.#session.close('hung-up'));
    this.#session.begin();
  }

  /** The gateway stops. Resolves when the connection is closed and the session that it opened has ended. */
  async drain(): Promise<void> {
    this.#session.refuse(
      new MeshError('DRAINING', 'this gateway is shutting down; connect again to reach another one'),
      null,
    );
    const ended = this.#session.close('hung-up');
    await closeSocket(this.#socket, 1012, 'the gateway is shutting down');
    await ended;
  }

  #receive(message: string): void {
    const { eventId, event } = readClientEvent(message);
    try {
      this.#rate.take('client');
    } catch (error) {
      this.#session.refuse(error, eventId);
      return;
    }
    if (event instanceof Error) {
      this.#session.refuse(event, eventId);
      return;
    }
    this.#waitingBytes += message.length;
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#socket.close(1008, 'too many events wait');
      return;
    }
    this.#work = this.#work.then(async () => {
      await this.#session.receive(event, eventId);
      this.#waitingBytes -= message.length;
    });
  }

  #send(event: OutEvent | ErrorEvent): void {
    this.#events += 1;
    const type = this.#isBeta ? (BETA_NAMES[event.type] ?? event.type) : event.type;
    sendText(this.#socket, JSON.stringify({ event_id: `event_${this.#events}`, ...event, type }));
  }

  #end(cause: string): void {
    const hint = cause.includes('viewer') ? '; send session.avatar.connect soon after the session begins' : '';
    this.#session.refuse(new MeshError('SESSION_ENDED', `the session has ended (${cause})${hint}`), null);
    this.#socket.close(1000, 'the session has ended');
  }
}
