import type { IncomingMessage } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import type { RealtimeClientEvent } from 'openai/resources/realtime/realtime';
import type { ClientOptions } from 'ws';
import { explainConnection, explainRefusal, type Problem, type ProviderNames } from '../problem.js';
import type { ConnectionHandlers } from '../reconnecting.js';
import { type RealtimeEvent, readRealtimeEvent } from './server-events.js';

export const KEY_HEADERS = ['authorization', 'api-key'] as const;

export interface RealtimeAddress {
  /** Base address with `http`, `https`, `ws` or `wss`, such as `https://api.openai.com/v1`. */
  readonly url: string;
  readonly model: string;
  /** `authorization` sends `Bearer KEY`; Azure expects the key in `api-key`. */
  readonly keyHeader: (typeof KEY_HEADERS)[number];
  /** How long the server may take until `session.created`, milliseconds. */
  readonly connectDeadlineMs: number;
}

export interface RealtimeLink {
  readonly created: Extract<RealtimeEvent, { kind: 'session' }>;
  send(event: RealtimeClientEvent): void;
}

const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** A connection that takes no more than this is stalled: the audio would arrive too late to be useful. */
const MAX_UNSENT_BYTES = 1024 * 1024;
const MAX_REFUSAL_BYTES = 4096;
/** A server that answers no ping for this long is lost. */
const PING_EVERY_MS = 15_000;

/**
 * Opens one connection with the official client. It is `ready` with the server's `session.created`; later events go to `onEvent`.
 * @returns a function that ends it
 */
export function connectRealtime(
  address: RealtimeAddress,
  key: string,
  names: ProviderNames,
  onEvent: (event: RealtimeEvent) => void,
  handlers: ConnectionHandlers<RealtimeLink>,
): () => void {
  const { url, isPlain } = withTls(address.url);
  const client = new OpenAIRealtimeWS(
    { model: address.model, options: socketOptions(address, key, isPlain) },
    { apiKey: key || 'none', baseURL: url },
  );
  const { socket } = client;
  let state: 'connecting' | 'up' | 'over' = 'connecting';
  const over = (problem: Problem | undefined): void => {
    if (state === 'over') return;
    state = 'over';
    clearTimeout(deadline);
    clearInterval(pings);
    socket.terminate();
    if (problem !== undefined) handlers.lost(problem);
  };
  const lost = (detail: string): void => over(explainConnection(names, detail));
  const deadline = setTimeout(
    () => lost(`no answer within ${address.connectDeadlineMs} ms`),
    address.connectDeadlineMs,
  );
  let isAlive = true;
  const pings = setInterval(() => {
    if (!isAlive) return lost('the server no longer answers');
    isAlive = false;
    if (socket.readyState === socket.OPEN) socket.ping();
  }, PING_EVERY_MS);
  const send = (event: RealtimeClientEvent): void => {
    if (state !== 'up') return;
    if (socket.bufferedAmount > MAX_UNSENT_BYTES) lost('the server takes no more audio');
    else client.send(event);
  };
  socket.on('pong', () => {
    isAlive = true;
  });
  socket.on('unexpected-response', (_request, response) => {
    void readRefusal(response).then(({ code, detail }) =>
      over(explainRefusal(names, response.statusCode ?? 0, code, detail)),
    );
  });
  socket.on('close', (code, reason) => over(explainClose(names, code, reason.toString('utf8'))));
  // The client reports errors of the socket, errors of the server and malformed events here. The first are followed by `close`, the
  // second also arrive as events, and a malformed event is skipped.
  client.on('error', ({ error, cause }) => {
    if (error === undefined && cause instanceof SyntaxError) onEvent({ kind: 'other', type: 'malformed' });
    else if (error === undefined && state === 'connecting') lost(causeOf(cause));
  });
  client.on('event', (received) => {
    isAlive = true;
    const event = readRealtimeEvent(received);
    if (state === 'up') onEvent(event);
    else if (state === 'connecting' && event.kind === 'session' && event.created) {
      state = 'up';
      clearTimeout(deadline);
      handlers.ready({ created: event, send });
    } else if (state === 'connecting' && event.kind === 'error')
      over(explainRefusal(names, 0, event.code, event.detail));
  });
  return () => over(undefined);
}

/** The client always connects with TLS, so for plain addresses the socket is replaced by one without. */
function withTls(address: string): { url: string; isPlain: boolean } {
  const url = address.replace(/^ws/i, 'http');
  return { url, isPlain: new URL(url).protocol === 'http:' };
}

function socketOptions(address: RealtimeAddress, key: string, isPlain: boolean): ClientOptions {
  const { hostname, port } = new URL(address.url.replace(/^ws/i, 'http'));
  const host = hostname.replace(/^\[|\]$/g, '');
  return {
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    finishRequest: (request) => {
      // The client always sends `Authorization`, also without a key, and where the key belongs into another header.
      if (key === '' || address.keyHeader !== 'authorization') request.removeHeader('authorization');
      if (key !== '' && address.keyHeader !== 'authorization') request.setHeader(address.keyHeader, key);
      request.end();
    },
    ...(isPlain && { createConnection: () => connectTcp({ host, port: Number(port) || 80 }) }),
  };
}

async function readRefusal(response: IncomingMessage): Promise<{ code: string; detail: string }> {
  let body = '';
  try {
    for await (const part of response) {
      body += String(part);
      if (body.length > MAX_REFUSAL_BYTES) break;
    }
    const { error } = JSON.parse(body) as { error?: { code?: unknown; type?: unknown; message?: unknown } | string };
    if (typeof error === 'object' && error !== null)
      return { code: String(error.code ?? error.type ?? ''), detail: String(error.message ?? '') };
    return { code: '', detail: String(error ?? '') };
  } catch {
    return { code: '', detail: /^\s*</.test(body) ? '' : body };
  }
}

/** Close codes from 3000 on, and 1008, carry the server's own reason. */
function explainClose(names: ProviderNames, code: number, reason: string): Problem {
  const isRefusal = code === 1008 || code >= 3000;
  const refusal = explainRefusal(names, 0, reason.split(/[.:]/)[0] ?? '', reason);
  if (isRefusal && ['quota', 'key', 'model', 'rate-limit'].includes(refusal.code)) return refusal;
  return explainConnection(names, reason || `closed with code ${code}`);
}

function causeOf(cause: unknown): string {
  if (cause instanceof AggregateError) return causeOf(cause.errors[0]);
  const { code, message } = (cause ?? {}) as { code?: string; message?: string };
  return code ?? message ?? '';
}
