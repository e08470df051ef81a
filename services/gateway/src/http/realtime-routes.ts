import { z } from 'zod';
import { RealtimeConnection } from '../realtime/realtime-connection.js';
import type { RealtimeDependencies } from '../realtime/realtime-session.js';
import type { Sessions } from '../sessions.js';
import { check } from './problems.js';
import type { Operation } from './routes.js';
import { callerOf, openSocket, SOCKET_ERRORS, type SocketOptions } from './upgrade.js';

export interface RealtimeRouteOptions extends RealtimeDependencies, SocketOptions {
  readonly sessions: Sessions;
  readonly defaultAvatar: string;
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
      errors: SOCKET_ERRORS,
      handle: async (request, reply) => {
        const { model, avatar = options.defaultAvatar, 'api-version': azure } = check(query, request.query);
        const caller = callerOf(request);
        await openSocket(
          request,
          reply,
          options,
          caller,
          (socket) =>
            new RealtimeConnection(socket, {
              ...options,
              caller,
              isBeta: azure !== undefined || request.headers['openai-beta'] === 'realtime=v1',
              config: {
                ...{ provider: model, avatar, instructions: '', voice: '', tools: [] },
                ...{ inputRateHz: 24_000, detectsTurns: true, alwaysWritesAudio: false },
              },
            }),
        );
        return reply;
      },
    },
  ];
}
