import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type WebSocket, WebSocketServer } from 'ws';
import { HttpRefusal } from './problems.js';

/** Longest message of a client, bytes. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;
const KEY_PROTOCOL = 'openai-insecure-api-key.';

const upgrades = new WeakMap<IncomingMessage, { readonly socket: Duplex; readonly head: Buffer }>();

/** Sends requests to open a WebSocket (RFC 6455) through the same routes, limits, authentication and errors as every other request. */
export function routeUpgrades(app: FastifyInstance): void {
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const response = new ServerResponse(request);
    response.assignSocket(socket as never);
    response.shouldKeepAlive = false;
    response.once('finish', () => socket.end());
    const key = keyOf(request);
    if (request.headers.authorization === undefined && key !== undefined)
      request.headers.authorization = `Bearer ${key}`;
    upgrades.set(request, { socket, head });
    app.routing(request, response);
  });
}

/** Browsers cannot set headers of a WebSocket, so they send the key as a subprotocol; Azure's clients have a header of their own. */
function keyOf({ headers }: IncomingMessage): string | undefined {
  const own = headers['api-key'];
  if (typeof own === 'string') return own;
  const protocols = (headers['sec-websocket-protocol'] ?? '').split(',').map((protocol) => protocol.trim());
  return protocols.find((protocol) => protocol.startsWith(KEY_PROTOCOL))?.slice(KEY_PROTOCOL.length);
}

const server = new WebSocketServer({
  noServer: true,
  maxPayload: MAX_MESSAGE_BYTES,
  perMessageDeflate: false,
  clientTracking: false,
  // The key must not come back as the accepted protocol.
  handleProtocols: (protocols) => (protocols.has('realtime') ? 'realtime' : false),
});

/** Accepts the WebSocket that the request asks for. @throws HttpRefusal 426 when it asks for none */
export function acceptWebSocket(request: FastifyRequest, reply: FastifyReply): Promise<WebSocket> {
  const upgrade = upgrades.get(request.raw);
  if (upgrade === undefined || request.headers.upgrade?.toLowerCase() !== 'websocket')
    throw new HttpRefusal(426, 'this path speaks WebSocket; connect to it with wss and the OpenAI Realtime protocol');
  reply.hijack();
  const { socket, head } = upgrade;
  reply.raw.detachSocket(socket as never);
  return new Promise((resolve) => server.handleUpgrade(request.raw, socket, head, resolve));
}
