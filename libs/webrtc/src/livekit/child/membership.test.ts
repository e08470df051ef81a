import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { type JoinEvents, PATIENCE_MS, RoomMembership } from './membership.js';

interface Attempt {
  readonly events: JoinEvents;
  succeed(): void;
  fail(reason: 'ROOM_REFUSED' | 'ROOM_UNREACHABLE'): void;
  left: boolean;
}

/** A membership on a virtual clock, whose joins the test decides. */
function setUp({ joinMs = 5000, rejoinMs = 20_000 } = {}) {
  let nowMs = 0;
  const pauses: { readonly atMs: number; readonly done: () => void }[] = [];
  const attempts: Attempt[] = [];
  const states: string[] = [];
  const membership = new RoomMembership({
    joinMs,
    rejoinMs,
    now: () => nowMs,
    pause: (ms) => new Promise((resolve) => pauses.push({ atMs: nowMs + ms, done: resolve })),
    onState: (state, end) => states.push(end === undefined ? state : `${state} ${end}`),
    join: (events) =>
      new Promise((resolve, reject) => {
        const attempt: Attempt = {
          events,
          left: false,
          succeed: () =>
            resolve({
              leave: async () => {
                attempt.left = true;
              },
            }),
          fail: (reason) => reject(new MeshError(reason, 'no')),
        };
        attempts.push(attempt);
      }),
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const advance = async (ms: number): Promise<void> => {
    nowMs += ms;
    for (const pause of pauses.splice(0))
      if (pause.atMs <= nowMs) pause.done();
      else pauses.push(pause);
    await settle();
  };
  const last = (): Attempt => attempts.at(-1) as Attempt;
  return { membership, attempts, states, settle, advance, last };
}

test('a join that fails is tried again, and one that is refused is not', async () => {
  const { membership, attempts, states, settle, advance, last } = setUp();
  membership.start();
  last().fail('ROOM_UNREACHABLE');
  await settle();
  await advance(100);
  assert.equal(attempts.length, 2);
  last().succeed();
  await settle();
  assert.deepEqual(states, ['connected']);

  const other = setUp();
  other.membership.start();
  other.last().fail('ROOM_REFUSED');
  await other.settle();
  assert.deepEqual(other.states, ['failed refused']);
});

test('joins end as unreachable when the time is up', async () => {
  const { membership, states, settle, advance, last } = setUp({ joinMs: 600 });
  membership.start();
  for (let tries = 0; states.length === 0 && tries < 10; tries += 1) {
    last().fail('ROOM_UNREACHABLE');
    await settle();
    await advance(400);
  }
  assert.deepEqual(states, ['failed unreachable']);
});

test('a server that never answers is given up soon after the time is up', async () => {
  const { membership, attempts, states, settle, advance } = setUp({ joinMs: 5000 });
  membership.start();
  await advance(7999);
  assert.deepEqual([attempts.length, states], [1, []]);
  await advance(1);
  await settle();
  assert.deepEqual(states, ['failed unreachable']);
});

test('the library may restore a connection; when it takes too long, the room is left and joined anew', async () => {
  const { membership, attempts, states, settle, advance, last } = setUp();
  membership.start();
  const first = last();
  first.succeed();
  await settle();
  first.events.interrupted();
  first.events.restored();
  await advance(PATIENCE_MS);
  assert.equal(attempts.length, 1);
  first.events.interrupted();
  await advance(PATIENCE_MS);
  assert.equal(first.left, true);
  assert.equal(attempts.length, 2);
  first.events.lost('removed');
  last().succeed();
  await settle();
  assert.deepEqual(states, ['connected', 'disconnected', 'connected', 'disconnected', 'connected']);
});

test('a final reason of the server ends the membership, any other one does not', async () => {
  const { membership, attempts, states, settle, last } = setUp();
  membership.start();
  last().succeed();
  await settle();
  last().events.lost(undefined);
  await settle();
  assert.equal(attempts.length, 2);
  last().succeed();
  await settle();
  last().events.lost('removed');
  await settle();
  assert.deepEqual(states, ['connected', 'disconnected', 'connected', 'failed removed']);
  assert.equal(attempts.length, 2);
});

test('a join that is lost while its media is published is tried again', async () => {
  const { membership, attempts, states, settle, advance, last } = setUp();
  membership.start();
  const first = last();
  first.events.lost(undefined);
  first.succeed();
  await settle();
  await advance(100);
  assert.deepEqual([first.left, attempts.length, states.length], [true, 2, 0]);
});

test('a join that succeeds after the deadline or after the end is left, and reported by no state', async () => {
  const { membership, attempts, states, settle, advance, last } = setUp({ joinMs: 60_000 });
  membership.start();
  const slow = last();
  await advance(10_000);
  await advance(100);
  assert.equal(attempts.length, 2);
  slow.succeed();
  await settle();
  assert.equal(slow.left, true);
  const late = last();
  await membership.close();
  late.succeed();
  await settle();
  assert.equal(late.left, true);
  assert.deepEqual(states, []);
});
