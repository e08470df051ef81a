import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import type { HeldSession } from './control.js';
import { openHeld } from './open-held.js';
import { type ListenerHost, RoomMicrophone } from './room-microphone.js';
import type { IngestSession } from './session.js';

type Listener = Parameters<ListenerHost['open']>[2];

function setUp() {
  const calls: string[] = [];
  const session = {
    heardOf: () => {},
    close: async (reason: string) => void calls.push(`session ${reason}`),
  } as unknown as IngestSession;
  const joins: { listener: Listener; reject: (error: MeshError) => void }[] = [];
  const host: ListenerHost = {
    open: (_id, _request, listener) => {
      calls.push('open');
      return new Promise((_resolve, reject) => joins.push({ listener, reject }));
    },
    post: () => true,
    close: async () => void calls.push('close'),
  };
  const connect = () =>
    new RoomMicrophone({
      ...{ host, session, url: 'ws://rooms', token: 't', rejoinMs: 1000 },
      setup: { identity: '', attributes: {}, avatar: 'mia' },
    });
  return { calls, session, joins, connect, sessions: new Map<string, HeldSession>() };
}

const refused = (reason: string) => (error: unknown) => error instanceof MeshError && error.reason === reason;

test('a session whose room is not joined because the child crashes is forgotten, and its microphone is closed', async () => {
  const { calls, session, joins, connect, sessions } = setUp();
  const opening = openHeld(sessions, 's', { session, connect, flush: async () => {}, awaitsJoin: true });
  await until('the join', () => joins.length > 0);
  assert.deepEqual([...sessions.keys()], ['s']);
  joins[0]?.reject(new MeshError('PEER_LOST', 'the child crashed'));
  joins[0]?.listener.onLost();
  await assert.rejects(opening, refused('PEER_LOST'));
  assert.deepEqual(calls, ['open', 'close', 'session failed']);
  assert.equal(sessions.size, 0);
});

test('a session that may not connect to the server of its room is closed', async () => {
  const { calls, session, sessions } = setUp();
  const connect = () => {
    throw new MeshError('ARGUMENT_INVALID', 'this worker may not connect to that LiveKit server');
  };
  const opening = openHeld(sessions, 's', { session, connect, flush: async () => {}, awaitsJoin: true });
  await assert.rejects(opening, refused('ARGUMENT_INVALID'));
  assert.deepEqual(calls, ['session failed']);
});
