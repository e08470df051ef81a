import type { IncomingMessage } from 'node:http';
import type { GoogleGenAI } from '@google/genai';
import { WebSocket } from 'ws';

/** What the official client gives to a socket. */
export interface SocketCallbacks {
  readonly onopen: () => void;
  readonly onmessage: (message: { readonly data: string }) => void;
  readonly onclose: (closed: { readonly code: number; readonly reason: string }) => void;
}

const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** A server that answers no ping for this long is lost. */
const PING_EVERY_MS = 15_000;

export interface SocketHooks {
  /** The server answered the upgrade with another status than 101. */
  refused(response: IncomingMessage): void;
  /** The connection could not be made, or broke. */
  failed(error: NodeJS.ErrnoException): void;
  /** A message that is no JSON object was skipped. */
  malformed(): void;
}

/**
 * The socket under the official client. The client parses messages where an error ends the process, so each is parsed here first; its own
 * socket has no limit of a message and notices no silent network.
 */
export class GuardedSocket {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #callbacks: SocketCallbacks;
  readonly #hooks: SocketHooks;
  #socket: WebSocket | undefined;
  #pings: NodeJS.Timeout | undefined;

  constructor(url: string, headers: Readonly<Record<string, string>>, callbacks: SocketCallbacks, hooks: SocketHooks) {
    this.#url = url;
    this.#headers = headers;
    this.#callbacks = callbacks;
    this.#hooks = hooks;
  }

  get unsentBytes(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  connect(): void {
    const socket = new WebSocket(this.#url, {
      headers: this.#headers,
      maxPayload: MAX_MESSAGE_BYTES,
      perMessageDeflate: false,
    });
    this.#socket = socket;
    let isAlive = true;
    this.#pings = setInterval(() => {
      if (!isAlive) return socket.terminate();
      isAlive = false;
      if (socket.readyState === socket.OPEN) socket.ping();
    }, PING_EVERY_MS);
    socket.on('open', () => this.#callbacks.onopen());
    socket.on('pong', () => {
      isAlive = true;
    });
    socket.on('message', (data) => {
      isAlive = true;
      const text = data.toString();
      if (isObject(text)) this.#callbacks.onmessage({ data: text });
      else this.#hooks.malformed();
    });
    socket.on('unexpected-response', (_request, response) => this.#hooks.refused(response));
    socket.on('error', (error) => this.#hooks.failed(error));
    socket.on('close', (code, reason) => {
      clearInterval(this.#pings);
      this.#callbacks.onclose({ code, reason: reason.toString('utf8') });
    });
  }

  send(message: string): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  close(): void {
    clearInterval(this.#pings);
    this.#socket?.terminate();
  }
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** Gives the client another socket. It has no option for that: the field is private, and a test notices when a release renames it. */
export function replaceSocket(
  { live }: GoogleGenAI,
  create: (url: string, headers: Readonly<Record<string, string>>, callbacks: SocketCallbacks) => GuardedSocket,
): void {
  if (!Reflect.has(live, 'webSocketFactory'))
    throw new Error('this release of @google/genai makes its sockets otherwise');
  Reflect.set(live, 'webSocketFactory', { create });
}
