import { z } from 'zod';
import { requireKey } from '../auth.js';
import { AvatarConnection, type AvatarConnectionOptions } from '../avatar/avatar-connection.js';
import type { AvatarCaller } from '../avatar/avatar-session.js';
import { sessionId } from '../schemas.js';
import type { SessionAccess } from '../session-access.js';
import { check } from './problems.js';
import type { Operation } from './routes.js';
import { callerOf, openSocket, SOCKET_ERRORS, type SocketOptions } from './upgrade.js';

export type AvatarSocketOptions = Omit<AvatarConnectionOptions, 'caller'> &
  SocketOptions & { readonly access: SessionAccess };

const ID = 'avatar';
const query = z.object({ session: sessionId.optional() });

/** A face for a program that makes the speech itself: speech in, video and audio out. docs/avatar.md has the messages. */
export function avatarSocketOperations(options: AvatarSocketOptions): Operation[] {
  return [
    {
      method: 'GET',
      path: '/v1/avatar',
      id: ID,
      summary:
        'A face for a program that speaks by itself (WebSocket): PCM16 in, positions, pictures and PCM16 out; ?session= continues a session with a key',
      access: 'any',
      query,
      tokenInQuery: true,
      status: 101,
      errors: SOCKET_ERRORS,
      handle: async (request, reply) => {
        const { session } = check(query, request.query);
        const caller: AvatarCaller = {
          ...(session !== undefined && { sessionId: session }),
          ...callerOf(request, requireKey),
        };
        if (session !== undefined && request.principal !== undefined)
          await options.access.require(request.principal, session, ID);
        await openSocket(
          request,
          reply,
          options,
          caller,
          (socket) => new AvatarConnection(socket, { ...options, caller }),
        );
        return reply;
      },
    },
  ];
}
