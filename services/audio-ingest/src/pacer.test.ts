import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { StreamPacer } from './pacer.js';

const never = new AbortController().signal;

function setUp(headUs?: number) {
  let timer: (() => void) | undefined;
  const pacer = new StreamPacer(
    {
      aheadMs: 1000,
      stallMs: 50,
      setTimer: (callback) => {
        timer = callback;
        return callback;
      },
      clearTimer: (handle) => {
        if (timer === handle) timer = undefined;
      },
    },
    headUs,
  );
  return { pacer, stall: () => timer?.(), waiting: () => timer !== undefined };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('audio is accepted up to the limit, then only as the playhead moves', async () => {
  const { pacer, waiting } = setUp(0);
  pacer.sent(999);
  await pacer.room(never);
  pacer.sent(501);
  let free = false;
  const room = pacer.room(never).then(() => {
    free = true;
  });
  pacer.playhead(400_000);
  await turn();
  assert.equal(free, false, '1,100 ms are ahead');
  pacer.playhead(600_000);
  await room;
  assert.equal(pacer.aheadMs, 900);
  assert.equal(waiting(), false);
});

test('only playback after the start counts, and a playhead that moves back subtracts nothing', () => {
  const { pacer } = setUp();
  pacer.playhead(60_000_000);
  assert.equal(pacer.aheadMs, 0);
  pacer.playhead(60_400_000);
  pacer.playhead(60_100_000);
  assert.equal(pacer.aheadMs, -400);
  pacer.playhead(60_300_000);
  assert.equal(pacer.aheadMs, -600);
});

test('a playhead that does not move ends the wait with an error', async () => {
  const { pacer, stall } = setUp(0);
  pacer.sent(1000);
  const room = pacer.room(never);
  pacer.playhead(0);
  stall();
  await assert.rejects(room, (error) => error instanceof MeshError && error.reason === 'DEADLINE_EXCEEDED');
});

test('a cancelled sender stops waiting', async () => {
  const { pacer, waiting } = setUp(0);
  const abort = new AbortController();
  pacer.sent(2000);
  const room = pacer.room(abort.signal);
  abort.abort(new MeshError('CANCELLED', 'gone'));
  await assert.rejects(room, /gone/);
  assert.equal(waiting(), false);
});
