import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PlayedReport, Playout, type PlayoutFrame } from './playout.js';

function setUp(fps = 25) {
  const clock = { nowMs: 1000 };
  const seen: string[] = [];
  const blocks: Int16Array[] = [];
  const reports: PlayedReport[] = [];
  const stalls: number[] = [];
  const playout = new Playout({
    fps,
    sampleRateHz: 24_000,
    now: () => clock.nowMs,
    video: (i420) => seen.push(`v${i420[0]}@${clock.nowMs}`),
    audio: (block) => blocks.push(block),
    onPlayed: (report) => reports.push(report),
    onHeld: () => seen.push('held'),
    onStall: (ms) => stalls.push(ms),
  });
  const runTo = (untilMs: number): void => {
    for (;;) {
      const waitMs = playout.tick();
      if (waitMs === undefined || clock.nowMs + waitMs > untilMs) break;
      clock.nowMs += Math.max(waitMs, 1e-6);
    }
    clock.nowMs = untilMs;
  };
  return { clock, playout, seen, blocks, reports, stalls, runTo };
}

const frame = (serial: number, samples = 960, epoch = 0): PlayoutFrame => ({
  serial,
  epoch,
  chunk: serial,
  i420: new Uint8Array([serial]),
  pcm: new Int16Array(samples).fill(serial + 1),
});

test('nothing is played before the first frame', () => {
  const { playout, blocks } = setUp();
  assert.equal(playout.tick(), undefined);
  assert.equal(playout.running, false);
  assert.equal(blocks.length, 0);
});

test('a frame is shown every 40 ms together with four blocks of its audio', () => {
  const { playout, seen, blocks, runTo } = setUp();
  for (let i = 0; i < 3; i++) playout.push(frame(i));
  runTo(1119);
  assert.deepEqual(seen, ['v0@1000', 'v1@1040', 'v2@1080']);
  assert.deepEqual(
    blocks.map((block) => block[0]),
    [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3],
  );
  assert.ok(blocks.every((block) => block.length === 240 && block.buffer.byteLength === 480));
});

test('when a frame is late the previous one is held with silence', () => {
  const { playout, seen, blocks, reports, runTo } = setUp();
  playout.push(frame(7));
  runTo(1090);
  playout.push(frame(8));
  runTo(1150);
  assert.deepEqual(seen, ['v7@1000', 'held', 'v7@1040', 'held', 'v7@1080', 'v8@1120']);
  assert.equal(blocks.filter((block) => block.every((sample) => sample === 0)).length, 8);
  assert.deepEqual(
    reports.map((report) => report.serial),
    [7, 8],
  );
});

test('the clock does not drift over an hour', () => {
  const { clock, playout } = setUp();
  let shown = 0;
  const hour = new Playout({
    fps: 25,
    sampleRateHz: 24_000,
    now: () => clock.nowMs,
    video: () => shown++,
    audio: () => {},
    onPlayed: () => {},
    onHeld: () => {},
    onStall: (ms) => assert.fail(`stalled ${ms} ms`),
  });
  hour.push(frame(0));
  const startMs = clock.nowMs;
  // A timer that is always late by some fraction of a block.
  while (clock.nowMs < startMs + 3_600_000) clock.nowMs += (hour.tick() ?? 1) + 0.7;
  assert.ok(Math.abs(shown - 90_000) <= 1, `${shown} frames`);
  assert.equal(playout.running, false);
});

test('at 30 fps, with 800 samples per frame, no sample is lost or added', () => {
  const { playout, seen, blocks, runTo } = setUp(30);
  for (let i = 0; i < 6; i++) playout.push(frame(i, 800));
  runTo(1199);
  const joinedPcm = blocks.flatMap((block) => [...block]).slice(0, 4800);
  assert.deepEqual(
    joinedPcm,
    [0, 1, 2, 3, 4, 5].flatMap((i) => new Array(800).fill(i + 1)),
  );
  assert.equal(seen.filter((what) => what.startsWith('v')).length, 6);
});

test('blocks missed by a late timer are played in order, and audio and video stay together', () => {
  const { clock, playout, seen, blocks, reports } = setUp();
  for (let i = 0; i < 4; i++) playout.push(frame(i));
  playout.tick();
  clock.nowMs += 95;
  playout.tick();
  assert.deepEqual(seen, ['v0@1000', 'v1@1095', 'v2@1095']);
  assert.equal(blocks.length, 10);
  assert.ok(reports.every((report) => report.skewMs === 0));
  assert.equal(reports[1]?.lateMs, 55);
});

test('after a stall the schedule restarts instead of playing the backlog', () => {
  const { clock, playout, blocks, stalls } = setUp();
  for (let i = 0; i < 50; i++) playout.push(frame(i));
  playout.tick();
  clock.nowMs += 1000;
  playout.tick();
  assert.equal(blocks.length, 2);
  assert.deepEqual(stalls, [990]);
});

test('a flush drops queued frames of older epochs and returns their serials', () => {
  const { playout, seen, runTo } = setUp();
  for (let i = 0; i < 3; i++) playout.push(frame(i));
  playout.push(frame(1, 960, 1));
  assert.deepEqual(playout.flush(1, 1), [1, 2]);
  runTo(1060);
  assert.deepEqual(seen, ['v0@1000', 'v1@1040']);
});

test('an interrupt fades out the frame that is playing, at its next block, and leaves frames before it alone', () => {
  const { playout, blocks, runTo } = setUp();
  const loud = (serial: number): PlayoutFrame => ({ ...frame(serial), pcm: new Int16Array(960).fill(1200) });
  playout.push(loud(0));
  runTo(1005);
  playout.silence(1, 1);
  runTo(1015);
  playout.silence(1, 0);
  runTo(1039);
  const [first, second, faded, last] = blocks;
  assert.ok([first, second].every((block) => block?.every((sample) => sample === 1200)));
  assert.deepEqual([faded?.[0], faded?.[60], faded?.[119], faded?.[120]], [1200, 600, 9, 0]);
  assert.ok(last?.every((sample) => sample === 0));
});

test('a pause keeps the queue, and playout continues where it stopped', () => {
  const { clock, playout, seen, runTo } = setUp();
  for (let i = 0; i < 3; i++) playout.push(frame(i));
  runTo(1050);
  playout.pause();
  clock.nowMs = 9000;
  runTo(9045);
  assert.deepEqual(seen, ['v0@1000', 'v1@1040', 'v2@9020']);
});
