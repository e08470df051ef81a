import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { MeshError, type Reason } from '@talkmesh/contracts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Opener, Principal } from '../auth.js';
import type { Sessions } from '../sessions.js';
import type { StreamLimits } from '../stream-limits.js';
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

/** An open WebSocket, which ends with the gateway. */
export interface SocketConnection {
  drain(): Promise<void>;
}

export interface SocketOptions {
  readonly sessions: Pick<Sessions, 'getLive' | 'ownerOf'>;
  readonly limits: StreamLimits;
  readonly corsOrigins: readonly string[];
  readonly draining: AbortSignal;
  readonly connections: Set<SocketConnection>;
}

/** Who opens a session, or the session that the socket is for. */
export type SocketCaller = { readonly opener?: Pick<Opener, 'owner'>; readonly sessionId?: string };

/**
 * Who asks for a WebSocket: the opener of a session, or the token of one.
 * @param require who may be an opener @throws MeshError TOKEN_MISSING, PERMISSION_DENIED
 */
export function callerOf<O extends Opener>(
  { principal }: FastifyRequest,
  require: (principal: Principal) => O,
): { readonly opener: O } | { readonly sessionId: string } {
  if (principal === undefined) throw new MeshError('TOKEN_MISSING', 'connect with an API key or a session token');
  return principal.kind === 'session' ? { sessionId: principal.sessionId } : { opener: require(principal) };
}

/** What the opening of a WebSocket may be answered with. */
export const SOCKET_ERRORS: readonly Reason[] = [
  'ARGUMENT_INVALID',
  'PERMISSION_DENIED',
  'SESSION_NOT_FOUND',
  'SESSION_ENDED',
  'RATE_LIMITED',
  'DRAINING',
];

/**
 * Opens the WebSocket that the request asks for, when the caller may have one more.
 * @throws MeshError DRAINING, PERMISSION_DENIED, SESSION_NOT_FOUND, SESSION_ENDED, RATE_LIMITED; HttpRefusal 426
 */
export async function openSocket(
  request: FastifyRequest,
  reply: FastifyReply,
  { draining, corsOrigins, sessions, limits, connections }: SocketOptions,
  { opener, sessionId }: SocketCaller,
  connect: (socket: WebSocket) => SocketConnection,
): Promise<void> {
  if (draining.aborted)
    throw new MeshError('DRAINING', 'this gateway is shutting down; connect again to reach another one');
  refuseForeignOrigin(request, corsOrigins);
  if (sessionId !== undefined) await sessions.getLive(sessionId);
  const owner = opener?.owner ?? (await sessions.ownerOf(sessionId as string));
  const release = limits.open(sessionId ?? request.id, owner);
  const socket = await acceptWebSocket(request, reply).catch((error: unknown) => {
    release();
    throw error;
  });
  const connection = connect(socket);
  connections.add(connection);
  socket.once('close', () => {
    connections.delete(connection);
    release();
  });
}

/** Browsers do not apply CORS to a WebSocket, so the server has to. */
function refuseForeignOrigin({ headers, host }: FastifyRequest, allowed: readonly string[]): void {
  const { origin } = headers;
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return;
  if (URL.canParse(origin) && new URL(origin).host === host) return;
  throw new MeshError(
    'PERMISSION_DENIED',
    `pages of ${origin.slice(0, 200)} may not connect; list it in TALKMESH_CORS_ORIGINS`,
  );
}

/** Accepts the WebSocket that the request asks for. @throws HttpRefusal 426 when it asks for none */
async function acceptWebSocket(request: FastifyRequest, reply: FastifyReply): Promise<WebSocket> {
  const upgrade = upgrades.get(request.raw);
  if (upgrade === undefined || request.headers.upgrade?.toLowerCase() !== 'websocket')
    throw new HttpRefusal(426, 'this path speaks WebSocket; connect to it with wss');
  reply.hijack();
  const { socket, head } = upgrade;
  reply.raw.detachSocket(socket as never);
  return new Promise((resolve) => server.handleUpgrade(request.raw, socket, head, resolve));
}
