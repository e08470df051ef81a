import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { RoomMember, type RoomMemberOptions } from './room-member.js';

type Host = RoomMemberOptions<string, string, string>['host'];

/** Longer than any pause between two joins, so that one too many would be seen. */
const SETTLED_MS = 800;

interface Opened {
  readonly answer: () => void;
  readonly refuse: (error: MeshError) => void;
  /** As the host does when the child exits: the request that waits is rejected, and the listener is told. */
  readonly crash: () => void;
}

function setUp() {
  const rooms: Opened[] = [];
  const ids: string[] = [];
  const calls: string[] = [];
  const ends: string[] = [];
  const host: Host = {
    open: (id, _request, listener) => {
      calls.push(`open ${ids.push(id) - 1}`);
      return new Promise((resolve, reject) => {
        const crash = (): void => {
          reject(new MeshError('PEER_LOST', 'the child crashed'));
          listener.onLost();
        };
        rooms.push({ answer: () => resolve({}), refuse: reject, crash });
      });
    },
    post: () => true,
    close: async (id) => void calls.push(`close ${ids.indexOf(id)}`),
  };
  const member = new RoomMember<string, string, string>({
    ...{ host, url: 'ws://rooms', token: 't', rejoinMs: 1000, setup: '' },
    ...{ onJoining: () => {}, onState: () => {}, onMessage: () => {}, onCompany: () => {}, onCrash: () => {} },
    onEnd: (end) => ends.push(end),
  });
  const opened = (count: number): Promise<void> => until(`join ${count}`, () => rooms.length === count);
  const joined = async (): Promise<void> => {
    const joining = member.join(true);
    rooms[0]?.answer();
    await joining;
  };
  return { member, rooms, calls, ends, opened, joined };
}

test('a crash while the room is joined again starts no second loop, and each room is closed before the next join', async () => {
  const { member, rooms, calls, ends, opened, joined } = setUp();
  await joined();
  rooms[0]?.crash();
  await opened(2);
  rooms[1]?.crash();
  await opened(3);
  rooms[2]?.answer();
  await sleep(SETTLED_MS);
  assert.deepEqual(calls, ['open 0', 'close 0', 'open 1', 'close 1', 'open 2']);
  rooms[2]?.crash();
  await opened(4);
  rooms[3]?.refuse(new MeshError('DEADLINE_EXCEEDED', 'the child hangs'));
  await opened(5);
  rooms[4]?.answer();
  await member.close();
  assert.deepEqual(calls.slice(5), ['close 2', 'open 3', 'close 3', 'open 4', 'close 4']);
  assert.deepEqual(ends, []);
});

test('a crash while the first join is awaited fails that join, and the room is not joined later', async () => {
  const { member, rooms, calls } = setUp();
  const joining = member.join(true);
  rooms[0]?.crash();
  await assert.rejects(joining, (error) => error instanceof MeshError && error.reason === 'PEER_LOST');
  await sleep(SETTLED_MS);
  assert.deepEqual(calls, ['open 0']);
});

test('a membership that is closed between a crash and the next join stays closed', async () => {
  const { member, rooms, calls, ends, joined } = setUp();
  await joined();
  rooms[0]?.crash();
  await member.close();
  await sleep(SETTLED_MS);
  assert.ok(!calls.includes('open 1'), calls.join(', '));
  assert.deepEqual(ends, []);
});

test('a join after a crash that fails for another reason ends the membership', async () => {
  const { rooms, ends, opened, joined } = setUp();
  await joined();
  rooms[0]?.crash();
  await opened(2);
  rooms[1]?.refuse(new MeshError('INTERNAL', 'the library failed'));
  await until('the end', () => ends.length > 0);
  assert.deepEqual(ends, ['unreachable']);
});
