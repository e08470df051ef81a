import { MeshError } from '@talkmesh/contracts';
import { type Auth, requireSession } from '../auth.js';
import * as schemas from '../schemas.js';
import type { Sessions } from '../sessions.js';
import { check, publicSession } from './problems.js';
import { callerSignal, type Operation, param } from './routes.js';

/** Sessions over REST: the same operations as gRPC SessionService. */
export function sessionOperations(sessions: Sessions, auth: Auth): Operation[] {
  const one = { path: '/v1/sessions/{id}', access: 'session' } as const;
  return [
    {
      method: 'POST',
      path: '/v1/sessions',
      id: 'createSession',
      summary: 'Creates a session: one call with one avatar',
      access: 'key',
      body: { schema: schemas.createSessionBody },
      status: 201,
      answer: {
        schema: schemas.createdSession,
        type: 'application/json',
        headers: { Location: 'Path of the session' },
      },
      errors: [
        'ARGUMENT_INVALID',
        'AVATAR_NOT_FOUND',
        'PROVIDER_UNKNOWN',
        'SESSION_LIMIT',
        'NO_WORKER',
        'DRAINING',
        'NATS_UNAVAILABLE',
      ],
      handle: async (request, reply) => {
        const { avatar, provider, output, seed } = check(schemas.createSessionBody, request.body ?? {});
        const record = await sessions.create({ avatar, provider, output, seed }, callerSignal(reply));
        const { id } = record;
        reply.header('location', `/v1/sessions/${id}`);
        const paths = { whip: `/v1/whip/${id}`, whep: `/v1/whep/${id}`, events: `/v1/sessions/${id}/events` };
        return { session: publicSession(record), ...(await auth.issue(id)), ...paths };
      },
    },
    {
      method: 'GET',
      path: '/v1/sessions',
      id: 'listSessions',
      summary: 'Sessions that have not ended, oldest first',
      access: 'key',
      status: 200,
      answer: { schema: schemas.sessionList, type: 'application/json' },
      errors: ['NATS_UNAVAILABLE'],
      handle: async () => ({ sessions: (await sessions.list()).map(publicSession) }),
    },
    {
      method: 'GET',
      ...one,
      id: 'getSession',
      summary: 'One session; an ended one is known for about an hour',
      status: 200,
      answer: { schema: schemas.session, type: 'application/json' },
      errors: ['SESSION_NOT_FOUND'],
      handle: async (request) => publicSession(await sessions.get(param(request, 'id'))),
    },
    {
      method: 'GET',
      path: `${one.path}/stats`,
      access: one.access,
      id: 'sessionStats',
      summary: 'Counters and compute times of the stages that hold the session',
      status: 200,
      answer: { schema: schemas.sessionStats, type: 'application/json' },
      errors: ['SESSION_NOT_FOUND', 'SESSION_ENDED'],
      handle: async (request, reply) => ({
        stages: await sessions.stats(param(request, 'id'), callerSignal(reply)),
      }),
    },
    {
      method: 'DELETE',
      ...one,
      id: 'endSession',
      summary: 'Ends a session; ending it again succeeds',
      status: 204,
      errors: ['SESSION_NOT_FOUND'],
      handle: async (request) => {
        await sessions.end(param(request, 'id'), { reason: 'ended', cause: 'hung-up' });
      },
    },
    {
      method: 'POST',
      path: `${one.path}/say`,
      access: one.access,
      id: 'say',
      summary: 'The avatar says a line',
      body: { schema: schemas.sayBody },
      status: 200,
      answer: { schema: schemas.said, type: 'application/json' },
      errors: ['ARGUMENT_INVALID', 'SESSION_NOT_FOUND', 'SESSION_ENDED', 'TTS_UNAVAILABLE', 'PEER_LOST'],
      handle: async (request, reply) => {
        const { text } = check(schemas.sayBody, request.body ?? {});
        const { turn } = await sessions.say(param(request, 'id'), text, callerSignal(reply));
        return { turn };
      },
    },
    {
      method: 'POST',
      path: `${one.path}/interrupt`,
      access: one.access,
      id: 'interrupt',
      summary: 'Stops what the avatar is saying, at once',
      status: 200,
      answer: { schema: schemas.interrupted, type: 'application/json' },
      errors: ['SESSION_NOT_FOUND', 'SESSION_ENDED', 'PEER_LOST'],
      handle: async (request, reply) => {
        const { interrupted } = await sessions.interrupt(param(request, 'id'), callerSignal(reply));
        return { interrupted };
      },
    },
    {
      method: 'POST',
      path: `${one.path}/pause`,
      access: one.access,
      id: 'pause',
      summary: 'The avatar stops speaking at once and goes on living; nothing that is left to be said is lost',
      status: 200,
      answer: { schema: schemas.paused, type: 'application/json' },
      errors: ['SESSION_NOT_FOUND', 'SESSION_ENDED', 'PEER_LOST'],
      handle: async (request, reply) => {
        const { paused } = await sessions.pause(param(request, 'id'), callerSignal(reply));
        return { paused };
      },
    },
    {
      method: 'POST',
      path: `${one.path}/resume`,
      access: one.access,
      id: 'resume',
      summary: 'Ends a pause: speech goes on with the sample where the listener stopped hearing it',
      status: 200,
      answer: { schema: schemas.resumed, type: 'application/json' },
      errors: ['SESSION_NOT_FOUND', 'SESSION_ENDED', 'PEER_LOST'],
      handle: async (request, reply) => {
        const { resumed } = await sessions.resume(param(request, 'id'), callerSignal(reply));
        return { resumed };
      },
    },
    {
      method: 'POST',
      path: `${one.path}/token`,
      access: one.access,
      id: 'renewToken',
      summary: 'A fresh token for a session that goes on',
      status: 201,
      answer: { schema: schemas.issuedToken, type: 'application/json' },
      errors: ['SESSION_NOT_FOUND', 'SESSION_ENDED'],
      handle: async (request) => {
        const { id } = await sessions.getLive(param(request, 'id'));
        return auth.issue(id);
      },
    },
    {
      method: 'POST',
      path: `${one.path}/beacon`,
      access: 'public',
      id: 'beacon',
      summary: 'Ends a session from navigator.sendBeacon, which cannot set headers: the token is in the body',
      body: { schema: schemas.beaconBody, types: ['application/json', 'text/plain'] },
      status: 204,
      errors: ['ARGUMENT_INVALID', 'TOKEN_INVALID', 'TOKEN_EXPIRED', 'TOKEN_WRONG_SESSION', 'SESSION_NOT_FOUND'],
      handle: async (request) => {
        const { token } = check(schemas.beaconBody, parseBeacon(request.body));
        const id = param(request, 'id');
        requireSession(await auth.identify(`Bearer ${token}`), id);
        await sessions.end(id, { reason: 'ended', cause: 'page-closed' });
      },
    },
  ];
}

function parseBeacon(body: unknown): unknown {
  if (typeof body !== 'string') return body;
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new MeshError('ARGUMENT_INVALID', 'the body is not JSON', { cause });
  }
}
