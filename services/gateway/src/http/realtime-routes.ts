import { MeshError } from '@talkmesh/contracts';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { requireKey } from '../auth.js';
import { RealtimeConnection } from '../realtime/realtime-connection.js';
import type { RealtimeCaller, RealtimeDependencies } from '../realtime/realtime-session.js';
import type { StreamLimits } from '../stream-limits.js';
import { check } from './problems.js';
import type { Operation } from './routes.js';
import { acceptWebSocket } from './upgrade.js';

export interface RealtimeRouteOptions extends RealtimeDependencies {
  readonly limits: StreamLimits;
  readonly corsOrigins: readonly string[];
  readonly draining: AbortSignal;
  readonly defaultAvatar: string;
  /** Open connections, which end with the gateway. */
  readonly connections: Set<RealtimeConnection>;
}

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/, 'has 1 to 41 characters of a-z, 0-9 and -');
const query = z.object({
  model: name.optional(),
  avatar: name.optional(),
  'api-version': z.string().optional(),
});

/** The OpenAI Realtime protocol as a server, in front of every provider. docs/realtime.md says what is understood. */
export function realtimeOperations(options: RealtimeRouteOptions): Operation[] {
  return [
    {
      method: 'GET',
      path: '/v1/realtime',
      id: 'realtime',
      summary:
        'A talk over the OpenAI Realtime protocol (WebSocket): ?model= is the provider, ?avatar= the face, which session.avatar.connect shows over WebRTC',
      access: 'any',
      tokenInQuery: true,
      status: 101,
      errors: [
        'ARGUMENT_INVALID',
        'PERMISSION_DENIED',
        'SESSION_NOT_FOUND',
        'SESSION_ENDED',
        'RATE_LIMITED',
        'DRAINING',
      ],
      handle: async (request, reply) => {
        const { draining, limits, sessions, connections } = options;
        if (draining.aborted)
          throw new MeshError('DRAINING', 'this gateway is shutting down; connect again to reach another one');
        refuseForeignOrigin(request, options.corsOrigins);
        const { model, avatar = options.defaultAvatar, 'api-version': azure } = check(query, request.query);
        const caller = callerOf(request);
        if ('sessionId' in caller) await sessions.getLive(caller.sessionId);
        const owner = 'key' in caller ? caller.key.owner : await sessions.ownerOf(caller.sessionId);
        const release = limits.open('key' in caller ? request.id : caller.sessionId, owner);
        const socket = await acceptWebSocket(request, reply);
        const connection = new RealtimeConnection(socket, {
          ...options,
          caller,
          isBeta: azure !== undefined || request.headers['openai-beta'] === 'realtime=v1',
          config: {
            ...{ provider: model, avatar, instructions: '', voice: '', tools: [] },
            ...{ inputRateHz: 24_000, detectsTurns: true, alwaysWritesAudio: false },
          },
        });
        connections.add(connection);
        socket.once('close', () => {
          connections.delete(connection);
          release();
        });
        return reply;
      },
    },
  ];
}

function callerOf({ principal }: FastifyRequest): RealtimeCaller {
  if (principal === undefined) throw new MeshError('TOKEN_MISSING', 'connect with an API key or a session token');
  return principal.kind === 'session' ? { sessionId: principal.sessionId } : { key: requireKey(principal) };
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
