import { MeshError } from '@talkmesh/contracts';
import type { z } from 'zod';
import { type Auth, ownerFilter, requireSession } from '../auth.js';
import { newSession } from '../new-session.js';
import * as schemas from '../schemas.js';
import type { ConversationCommand, Sessions } from '../sessions.js';
import { check, publicSession } from './problems.js';
import { callerSignal, keyOf, type Operation, openerOf, param } from './routes.js';

/** Sessions over REST; gRPC SessionService has the same operations. */
export function sessionOperations(sessions: Sessions, auth: Auth): Operation[] {
  const one = { path: '/v1/sessions/{id}', access: 'session' } as const;
  return [
    {
      method: 'POST',
      path: '/v1/sessions',
      id: 'createSession',
      summary: 'Creates a session: one talk with one avatar',
      access: 'opener',
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
        'PROVIDER_FAILED',
        'PERMISSION_DENIED',
        'ROOM_REFUSED',
        'ROOM_UNREACHABLE',
        'RECORDING_UNAVAILABLE',
        'SESSION_LIMIT',
        'NO_WORKER',
        'DRAINING',
        'NATS_UNAVAILABLE',
      ],
      handle: async (request, reply) => {
        const body = check(schemas.createSessionBody, request.body ?? {});
        const record = await sessions.create(newSession(body, openerOf(request)), callerSignal(reply));
        const { id } = record;
        reply.header('location', `/v1/sessions/${id}`);
        const paths = { whip: `/v1/whip/${id}`, whep: `/v1/whep/${id}`, events: `/v1/sessions/${id}/events` };
        return { session: publicSession(record), ...(await auth.issue(id, record.limits?.origins)), ...paths };
      },
    },
    {
      method: 'GET',
      path: '/v1/sessions',
      id: 'listSessions',
      summary: 'Sessions of the caller that have not ended, oldest first; an admin key sees those of every key',
      access: 'key',
      status: 200,
      answer: { schema: schemas.sessionList, type: 'application/json' },
      errors: ['NATS_UNAVAILABLE'],
      handle: async (request) => ({
        sessions: (await sessions.list(ownerFilter(keyOf(request)))).map(publicSession),
      }),
    },
    {
      method: 'GET',
      ...one,
      id: 'getSession',
      summary: 'One session; an ended one remains readable for about an hour',
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
      summary: 'Ends a session; idempotent',
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
      summary: 'Makes the avatar say a text',
      body: { schema: schemas.sayBody },
      status: 200,
      answer: { schema: schemas.said, type: 'application/json' },
      errors: ['ARGUMENT_INVALID', 'SESSION_NOT_FOUND', 'SESSION_ENDED', 'TTS_UNAVAILABLE', 'PEER_LOST'],
      handle: async (request, reply) => {
        const { text } = check(schemas.sayBody, request.body ?? {});
        const { turn, cancelled } = await sessions.say(param(request, 'id'), text, callerSignal(reply));
        return { turn, cancelled };
      },
    },
    {
      method: 'POST',
      path: `${one.path}/tool-results`,
      access: one.access,
      id: 'answerTool',
      summary: 'Answers a tool call of the model, which is an event of type tool.call',
      body: { schema: schemas.toolResultBody },
      status: 204,
      errors: ['ARGUMENT_INVALID', 'SESSION_NOT_FOUND', 'SESSION_ENDED', 'NOT_FOUND', 'PEER_LOST'],
      handle: async (request, reply) => {
        const { callId, output } = check(schemas.toolResultBody, request.body ?? {});
        await sessions.answerTool(param(request, 'id'), callId, output, callerSignal(reply));
      },
    },
    ...conversationOperations(sessions),
    {
      method: 'POST',
      path: `${one.path}/token`,
      access: one.access,
      id: 'renewToken',
      summary: 'Issues a new token for a session that has not ended',
      status: 201,
      answer: { schema: schemas.issuedToken, type: 'application/json' },
      errors: ['SESSION_NOT_FOUND', 'SESSION_ENDED'],
      handle: async (request) => {
        const { id, limits } = await sessions.getLive(param(request, 'id'));
        return auth.issue(id, limits?.origins);
      },
    },
    {
      method: 'POST',
      path: `${one.path}/beacon`,
      access: 'public',
      id: 'beacon',
      summary: 'Ends a session from navigator.sendBeacon, which cannot set headers: the token is in the body',
      body: { schema: schemas.beaconBody, types: ['application/json', 'text/plain'] },
      bodyLimitBytes: 8192,
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
    throw new MeshError('ARGUMENT_INVALID', 'the body is not valid JSON', { cause });
  }
}

const CONVERSATION_COMMANDS = {
  interrupt: { summary: 'Stops what the avatar is saying and discards the rest of it', answer: schemas.interrupted },
  pause: { summary: 'Silences the avatar at once and keeps the rest of its speech', answer: schemas.paused },
  resume: {
    summary: 'Ends a pause: speech continues from the sample that the viewer heard last',
    answer: schemas.resumed,
  },
  startInput: {
    path: 'input/start',
    summary: 'Push-to-talk: the user begins to speak, which interrupts the avatar',
    answer: schemas.inputStarted,
  },
  commitInput: {
    path: 'input/commit',
    summary: 'Push-to-talk: the user has spoken, and the provider answers',
    answer: schemas.inputCommitted,
  },
  cancelInput: {
    path: 'input/cancel',
    summary: 'Push-to-talk: drops what the user said since input/start',
    answer: schemas.inputCancelled,
  },
} as const;

/** The commands differ only in name, path, summary and answer. */
function conversationOperations(sessions: Sessions): Operation[] {
  const commands = Object.entries(CONVERSATION_COMMANDS) as [
    ConversationCommand,
    { path?: string; summary: string; answer: z.ZodType },
  ][];
  return commands.map(([command, { path = command, summary, answer }]) => ({
    method: 'POST',
    path: `/v1/sessions/{id}/${path}`,
    access: 'session',
    id: command,
    summary,
    status: 200,
    answer: { schema: answer, type: 'application/json' },
    errors: ['ARGUMENT_INVALID', 'SESSION_NOT_FOUND', 'SESSION_ENDED', 'PEER_LOST'],
    handle: (request, reply) => sessions.command(param(request, 'id'), command, callerSignal(reply)),
  }));
}
