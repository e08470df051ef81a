/**
 * A server of the OpenAI Realtime protocol on a real socket, typed by the official client's own events. It detects speech by its level,
 * answers as the test says, keeps the conversation as a model would know it, refuses what the real service refuses, and fails on request.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { RealtimeServerEvent } from 'openai/resources/realtime/realtime';
import { type WebSocket, WebSocketServer } from 'ws';
import { RealtimeTestSession } from './realtime-session.js';

export interface TestTool {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

/** What the model says next. */
export interface TestAnswer {
  readonly text?: string;
  /** PCM16 at `rateHz`. */
  readonly pcm?: Int16Array;
  readonly tools?: readonly TestTool[];
  /** Wait before the first sound, milliseconds. */
  readonly delayMs?: number;
  /** Milliseconds of audio in one event, and the wait after each; 0: as fast as possible. */
  readonly pieceMs?: number;
  readonly paceMs?: number;
  /** Ends the connection after this much audio, milliseconds. */
  readonly cutAfterMs?: number;
  /** Sends this text as a message after the first piece of audio. */
  readonly malformed?: string;
  readonly status?: 'completed' | 'failed' | 'incomplete';
  readonly error?: { readonly code: string; readonly type: string; readonly message?: string };
  /** Splits the audio so that events end in the middle of a sample. */
  readonly oddBytes?: boolean;
}

export interface RealtimeTestServerOptions {
  readonly dialect?: 'ga' | 'beta';
  /** Sends nothing but session.created, speech_started, output_audio.delta and response.done. */
  readonly minimal?: boolean;
  /** Key that callers must have; undefined: none is needed. */
  readonly key?: string;
  readonly rateHz?: number;
  /** What the user is heard to say, for each utterance in turn. */
  readonly transcripts?: readonly string[];
  /** The n-th answer, from 0. Undefined: silence without a response. */
  readonly answer?: (n: number) => TestAnswer | undefined;
  /** An error event instead of session.created. */
  readonly refusal?: { readonly code: string; readonly type: string; readonly message: string };
  /** Never sends session.created. */
  readonly silent?: boolean;
}

/** Answer to the next upgrade requests instead of a WebSocket. */
export interface HttpRefusal {
  readonly status: number;
  readonly body: object | string;
}

const GA_TO_BETA: Readonly<Record<string, string>> = {
  'response.output_audio.delta': 'response.audio.delta',
  'response.output_audio.done': 'response.audio.done',
  'response.output_audio_transcript.delta': 'response.audio_transcript.delta',
  'response.output_audio_transcript.done': 'response.audio_transcript.done',
  'conversation.item.added': 'conversation.item.created',
};
const MINIMAL = new Set([
  'session.created',
  'input_audio_buffer.speech_started',
  'response.output_audio.delta',
  'response.done',
]);

export class RealtimeTestServer implements AsyncDisposable {
  readonly options: RealtimeTestServerOptions;
  readonly requests: { readonly url: string; readonly headers: IncomingMessage['headers'] }[] = [];
  readonly sessions: RealtimeTestSession[] = [];
  /** Refusals of the next connections, first come first served. */
  readonly refusals: HttpRefusal[] = [];
  /** Answers given so far, over all connections. */
  answers = 0;
  utterances = 0;
  readonly #http: Server;
  readonly #ws = new WebSocketServer({ noServer: true });
  readonly #sockets = new Set<Socket>();

  private constructor(options: RealtimeTestServerOptions) {
    this.options = options;
    this.#http = createServer((_request, response) => response.writeHead(404).end());
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#http.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(options: RealtimeTestServerOptions = {}, port = 0): Promise<RealtimeTestServer> {
    const server = new RealtimeTestServer(options);
    await new Promise<void>((resolve) => server.#http.listen(port, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  /** The newest session. */
  get session(): RealtimeTestSession {
    const session = this.sessions.at(-1);
    if (session === undefined) throw new Error('no client is connected');
    return session;
  }

  /** Ends all connections without a close frame, as a network does. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.sessions) session.stop();
    this.cut();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.requests.push({ url: request.url ?? '', headers: request.headers });
    const { key } = this.options;
    const isKnown =
      key === undefined || request.headers.authorization === `Bearer ${key}` || request.headers['api-key'] === key;
    const wrongKey = {
      status: 401,
      body: {
        error: { code: 'invalid_api_key', type: 'invalid_request_error', message: 'Incorrect API key provided' },
      },
    };
    const refusal = this.refusals.shift() ?? (isKnown ? undefined : wrongKey);
    if (refusal === undefined) {
      this.#ws.handleUpgrade(request, socket, head, (ws) => this.#accept(ws));
      return;
    }
    const body = typeof refusal.body === 'string' ? refusal.body : JSON.stringify(refusal.body);
    socket.end(`HTTP/1.1 ${refusal.status} Refused\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  #accept(ws: WebSocket): void {
    const send = (event: RealtimeServerEvent): void => {
      if (this.options.minimal && !MINIMAL.has(event.type)) return;
      const type = this.options.dialect === 'beta' ? (GA_TO_BETA[event.type] ?? event.type) : event.type;
      ws.send(JSON.stringify({ ...event, type }));
    };
    const session = new RealtimeTestSession(this, {
      send,
      sendRaw: (text) => ws.send(text),
      close: (code, reason) => ws.close(code, reason),
      terminate: () => ws.terminate(),
    });
    this.sessions.push(session);
    ws.on('message', (data) => session.receive(JSON.parse(String(data))));
    ws.on('close', () => session.stop());
    ws.on('error', () => session.stop());
    session.begin();
  }
}
