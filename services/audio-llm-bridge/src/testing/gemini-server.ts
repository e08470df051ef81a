/**
 * A server of Gemini's Live protocol on a real socket, typed by the official client's own messages. It answers each utterance as the test
 * says, keeps what a model would know of the session, resumes by handle, and fails on request.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LiveClientMessage, LiveServerMessage } from '@google/genai';
import { type WebSocket, WebSocketServer } from 'ws';

type ServerMessage = Omit<LiveServerMessage, 'text' | 'data'>;

export interface GeminiTestAnswer {
  readonly text?: string;
  /** PCM16, 24 kHz. */
  readonly pcm?: Int16Array;
  readonly tools?: readonly { readonly id: string; readonly name: string; readonly args: Record<string, unknown> }[];
  /** Wait after each piece of 100 ms, milliseconds. */
  readonly paceMs?: number;
  /** Ends the connection after this many pieces. */
  readonly cutAfterPieces?: number;
  /** Sent as it is after the first piece. */
  readonly malformed?: string;
}

export interface GeminiTestServerOptions {
  readonly key?: string;
  /** What the user is heard to say, for each utterance in turn. */
  readonly transcripts?: readonly string[];
  /** The n-th answer, from 0. */
  readonly answer?: (n: number) => GeminiTestAnswer;
  /** Never sends setupComplete. */
  readonly silent?: boolean;
  /** HTTP status instead of a WebSocket. */
  readonly status?: number;
  /** Closes after the setup, with this code and reason. */
  readonly close?: { readonly code: number; readonly reason: string };
}

const PIECE_SAMPLES = 2400;
const PATH = '/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent';

/** One connection. */
export class GeminiTestConnection {
  readonly setup: NonNullable<LiveClientMessage['setup']>;
  readonly received: LiveClientMessage[] = [];
  /** Samples at 16 kHz of each utterance. */
  readonly utterances: number[] = [];
  /** Counts the activities of the user, so that an answer notices that it is interrupted. */
  activity = 0;
  isAnswering = false;

  constructor(setup: NonNullable<LiveClientMessage['setup']>) {
    this.setup = setup;
  }

  get turns() {
    return this.received.flatMap(({ clientContent }) => clientContent?.turns ?? []);
  }
}

export class GeminiTestServer implements AsyncDisposable {
  options: GeminiTestServerOptions;
  readonly connections: GeminiTestConnection[] = [];
  readonly urls: string[] = [];
  readonly #http: Server;
  readonly #ws = new WebSocketServer({ noServer: true });
  #answers = 0;

  private constructor(options: GeminiTestServerOptions) {
    this.options = options;
    this.#http = createServer();
    this.#http.on('upgrade', (request, socket, head) => {
      this.urls.push(request.url ?? '');
      const { status } = this.options;
      const { pathname } = new URL((request.url ?? '').replace(/^\/+/, '/'), 'http://server.test');
      if (status !== undefined || pathname !== PATH)
        return void socket.end(`HTTP/1.1 ${status ?? 404} Refused\r\ncontent-length: 0\r\n\r\n`);
      this.#ws.handleUpgrade(request, socket, head, (ws) => this.#accept(ws, request.url ?? ''));
    });
  }

  static async start(options: GeminiTestServerOptions = {}): Promise<GeminiTestServer> {
    const server = new GeminiTestServer(options);
    await new Promise<void>((resolve) => server.#http.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  get connection(): GeminiTestConnection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('no client is connected');
    return connection;
  }

  /** Sends a message to every client. */
  send(message: ServerMessage): void {
    for (const ws of this.#ws.clients) ws.send(JSON.stringify(message));
  }

  /** Ends all connections without a close frame, as a network does. */
  cut(): void {
    for (const ws of this.#ws.clients) ws.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
  }

  #accept(ws: WebSocket, url: string): void {
    const { key, close, silent } = this.options;
    let connection: GeminiTestConnection | undefined;
    ws.on('message', (data) => {
      const message = JSON.parse(String(data)) as LiveClientMessage;
      if (message.setup === undefined) return this.#receive(ws, connection, message);
      if (key !== undefined && new URL(url.replace(/^\/+/, '/'), 'http://s').searchParams.get('key') !== key)
        return ws.close(1007, 'API key not valid. Please pass a valid API key.');
      if (close !== undefined) return ws.close(close.code, close.reason);
      connection = new GeminiTestConnection(message.setup);
      this.connections.push(connection);
      if (silent !== true) ws.send(JSON.stringify({ setupComplete: {} }));
    });
  }

  #receive(ws: WebSocket, connection: GeminiTestConnection | undefined, message: LiveClientMessage): void {
    if (connection === undefined) {
      ws.close(1007, 'The first message must be setup.');
      return;
    }
    connection.received.push(message);
    const { realtimeInput, toolResponse } = message;
    if (realtimeInput?.activityStart !== undefined) {
      connection.activity += 1;
      connection.utterances.push(0);
      if (connection.isAnswering) {
        connection.isAnswering = false;
        this.#to(ws, { serverContent: { interrupted: true } });
        this.#to(ws, { serverContent: { turnComplete: true } });
      }
    }
    if (realtimeInput?.audio?.data !== undefined) {
      const at = connection.utterances.length - 1;
      connection.utterances[at] =
        (connection.utterances[at] ?? 0) + Buffer.from(realtimeInput.audio.data, 'base64').length / 2;
    }
    if (realtimeInput?.activityEnd !== undefined) {
      const text = this.options.transcripts?.[connection.utterances.length - 1];
      if (text !== undefined) this.#to(ws, { serverContent: { inputTranscription: { text } } });
      void this.#answer(ws, connection);
    }
    if (toolResponse !== undefined) void this.#answer(ws, connection);
  }

  async #answer(ws: WebSocket, connection: GeminiTestConnection): Promise<void> {
    const answer = this.options.answer?.(this.#answers++) ?? {};
    const { activity } = connection;
    if (answer.tools !== undefined) {
      this.#to(ws, { toolCall: { functionCalls: [...answer.tools] } });
      return;
    }
    connection.isAnswering = true;
    const pcm = answer.pcm ?? new Int16Array(0);
    for (let at = 0, piece = 1; at < pcm.length; at += PIECE_SAMPLES, piece += 1) {
      const bytes = Buffer.from(pcm.slice(at, at + PIECE_SAMPLES).buffer);
      const inlineData = { data: bytes.toString('base64'), mimeType: 'audio/pcm;rate=24000' };
      this.#to(ws, { serverContent: { modelTurn: { role: 'model', parts: [{ inlineData }] } } });
      if (piece === 1 && answer.malformed !== undefined) ws.send(answer.malformed);
      if (piece === 1 && answer.text !== undefined)
        for (const text of answer.text.match(/\S+\s*/g) ?? [])
          this.#to(ws, { serverContent: { outputTranscription: { text } } });
      if (piece === answer.cutAfterPieces) {
        ws.terminate();
        return;
      }
      if (answer.paceMs !== undefined) await sleep(answer.paceMs);
      if (connection.activity !== activity) return;
    }
    connection.isAnswering = false;
    this.#to(ws, { serverContent: { generationComplete: true } });
    this.#to(ws, { serverContent: { turnComplete: true } });
    this.#to(ws, { sessionResumptionUpdate: { newHandle: `handle-${this.#answers}`, resumable: true } });
  }

  #to(ws: WebSocket, message: ServerMessage): void {
    if (ws.readyState === ws.OPEN) ws.send(JSON.stringify(message));
  }
}
