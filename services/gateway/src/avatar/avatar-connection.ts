import { MeshError, sentence } from '@talkmesh/contracts';
import type { WebSocket } from 'ws';
import { closeSocket, sendText, watchSocket } from '../http/socket-watch.js';
import { RateLimit } from '../rate-limit.js';
import { encodeMedia, type MediaPart, readClientMessage, type ServerMessage } from './avatar-messages.js';
import { AvatarSession, type AvatarSessionOptions } from './avatar-session.js';

export type AvatarConnectionOptions = Omit<AvatarSessionOptions, 'send' | 'sendMedia' | 'onDrain' | 'onEnd'>;

/** What the program has not read: above the first the worker is held back, below the second it goes on, bytes. */
const [HOLD_BYTES, RESUME_BYTES] = [1024 * 1024, 256 * 1024];
/** Audio may come faster than it is spoken: at first as much as it likes, then at this many times the speed of speech. */
const [BURST_MS, SPEED] = [60_000, 16];
const MESSAGES = { perSecond: 200, burst: 1000 };
/** Messages that are refused; with more the connection is closed. */
const REFUSALS = { perSecond: 5, burst: 300 };
/** Close codes of a program that leaves on purpose (RFC 6455, 7.4): normal, going away, none given. */
const ON_PURPOSE = new Set([1000, 1001, 1005]);

type Hold = 'opening' | 'worker' | 'pace';

/** One WebSocket of /v1/avatar: order, limits and flow control of its messages; what they mean is in `AvatarSession`. */
export class AvatarConnection {
  readonly #socket: WebSocket;
  readonly #options: AvatarConnectionOptions;
  readonly #session: AvatarSession;
  readonly #rate = new RateLimit(MESSAGES);
  readonly #refusals = new RateLimit(REFUSALS);
  /** Why the socket is not read. */
  readonly #holds = new Set<Hold>();
  #msPerByte = 0;
  #aheadMs = 0;
  #aheadAtMs = performance.now();
  #paceTimer: NodeJS.Timeout | undefined;
  #state: 'new' | 'opening' | 'started' | 'over' = 'new';
  #isHeldBack = false;

  constructor(socket: WebSocket, options: AvatarConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#session = new AvatarSession({
      ...options,
      send: (message) => this.#send(message),
      sendMedia: (part) => this.#sendMedia(part),
      onDrain: () => this.#release('worker'),
      onEnd: (error) => this.#end(error),
    });
    watchSocket(socket);
    socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary));
    // An oversized or malformed frame; `close` follows.
    socket.on('error', (err) => options.log.info({ err }, 'a program at the avatar socket broke the protocol'));
    socket.once('close', (code) => {
      this.#state = 'over';
      clearTimeout(this.#paceTimer);
      void this.#session.close(ON_PURPOSE.has(code));
    });
  }

  /** The gateway stops. The session goes on: the program connects to another gateway in time. */
  async drain(): Promise<void> {
    this.#refuse(new MeshError('DRAINING', 'this gateway is shutting down; connect again with the token of ready'));
    await this.#session.close(false);
    await closeSocket(this.#socket, 1012, 'the gateway is shutting down');
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#state === 'over') return;
    try {
      if (isBinary) this.#audio(data);
      else this.#message(String(data));
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (this.#state === 'new') this.#end(error);
      else this.#refuseMessage(error);
    }
  }

  #audio(pcm: Buffer): void {
    if (this.#state === 'new') throw new MeshError('ARGUMENT_INVALID', 'the first message is not start; send it first');
    if (pcm.length === 0) return;
    if (!this.#session.audio(pcm)) this.#hold('worker');
    const nowMs = performance.now();
    this.#aheadMs = Math.max(0, this.#aheadMs - (nowMs - this.#aheadAtMs) * SPEED) + pcm.length * this.#msPerByte;
    this.#aheadAtMs = nowMs;
    const waitMs = (this.#aheadMs - BURST_MS) / SPEED;
    if (waitMs <= 0) return;
    this.#hold('pace');
    clearTimeout(this.#paceTimer);
    this.#paceTimer = setTimeout(() => this.#release('pace'), waitMs);
  }

  #message(text: string): void {
    this.#rate.take('client');
    const message = readClientMessage(text);
    if (message.type !== 'start' && this.#state === 'new')
      throw new MeshError('ARGUMENT_INVALID', 'the first message is not start; send it first');
    if (message.type === 'end') this.#session.end();
    else if (message.type === 'clear') this.#session.clear();
    else if (this.#state !== 'new')
      throw new MeshError('ARGUMENT_INVALID', 'the session is started already; connect again for another one');
    else {
      this.#state = 'opening';
      this.#msPerByte = 1000 / (2 * message.channels * message.rate);
      this.#hold('opening');
      this.#session.start(message).then(
        () => {
          if (this.#state === 'opening') this.#state = 'started';
          this.#release('opening');
        },
        (thrown: unknown) => this.#end(MeshError.from(thrown)),
      );
    }
  }

  #hold(why: Hold): void {
    this.#holds.add(why);
    this.#socket.pause();
  }

  #release(why: Hold): void {
    if (!this.#holds.delete(why) || this.#holds.size > 0) return;
    this.#socket.resume();
  }

  #send(message: ServerMessage): void {
    sendText(this.#socket, JSON.stringify(message), () => this.#onSent());
  }

  #sendMedia(part: MediaPart): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(encodeMedia(part), () => this.#onSent());
    if (this.#isHeldBack || this.#socket.bufferedAmount <= HOLD_BYTES) return;
    this.#isHeldBack = true;
    this.#session.pause();
  }

  #onSent(): void {
    if (!this.#isHeldBack || this.#socket.bufferedAmount > RESUME_BYTES) return;
    this.#isHeldBack = false;
    this.#session.resume();
  }

  #refuseMessage(error: MeshError): void {
    try {
      this.#refusals.take('client');
    } catch {
      const what = 'too many messages were refused; see the errors before, and send only messages of docs/avatar.md';
      this.#end(new MeshError('RATE_LIMITED', what));
      return;
    }
    this.#refuse(error);
  }

  #refuse(error: MeshError): void {
    const isInternal = error.reason === 'INTERNAL';
    if (isInternal) this.#options.log.error({ err: error.cause ?? error }, 'the avatar socket failed');
    this.#send({
      ...{ type: 'error', reason: error.reason, retryable: error.retryable },
      message: sentence(isInternal ? 'the gateway failed; its log says why' : error.message),
    });
  }

  /** Says why, and closes. What the session does then depends on the reason: it may have ended, or wait for another connection. */
  #end(error: MeshError): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#refuse(error);
    void this.#session.close(false);
    const code = error.reason === 'SESSION_ENDED' ? 1000 : error.reason === 'INTERNAL' ? 1011 : 1008;
    void closeSocket(this.#socket, code, error.reason);
  }
}
