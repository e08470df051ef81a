import { z } from 'zod';
import { type Auth, requireOpener } from '../auth.js';
import { avatarOf } from '../grants.js';
import { newSession } from '../new-session.js';
import { RealtimeConnection } from '../realtime/realtime-connection.js';
import type { RealtimeCaller, RealtimeDependencies } from '../realtime/realtime-session.js';
import { sessionBody } from '../realtime/session-config.js';
import type { Sessions } from '../sessions.js';
import { check } from './problems.js';
import type { Operation } from './routes.js';
import { callerOf, openSocket, SOCKET_ERRORS, type SocketOptions } from './upgrade.js';

export interface RealtimeRouteOptions extends RealtimeDependencies, SocketOptions {
  readonly sessions: Sessions;
  readonly auth: Pick<Auth, 'identify'>;
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
      query,
      tokenInQuery: true,
      status: 101,
      errors: SOCKET_ERRORS,
      handle: async (request, reply) => {
        const { model, avatar, 'api-version': azure } = check(query, request.query);
        const { defaultAvatar, auth } = options;
        const { authorization, 'openai-beta': beta } = request.headers;
        const by = callerOf(request, requireOpener);
        const config = {
          ...{
            provider: model,
            avatar: avatar ?? ('opener' in by ? avatarOf(by.opener, defaultAvatar) : defaultAvatar),
          },
          ...{ instructions: '', voice: '', tools: [] },
          ...{ inputRateHz: 24_000, detectsTurns: true, alwaysWritesAudio: false },
        };
        // The session is opened later; what the opener may not have is refused here already.
        if ('opener' in by) newSession(sessionBody(config), by.opener);
        const caller: RealtimeCaller =
          'opener' in by ? { identify: async () => requireOpener(await auth.identify(authorization)) } : by;
        const isBeta = azure !== undefined || beta === 'realtime=v1';
        await openSocket(
          request,
          reply,
          options,
          by,
          (socket) => new RealtimeConnection(socket, { ...options, caller, isBeta, config }),
        );
        return reply;
      },
    },
  ];
}
