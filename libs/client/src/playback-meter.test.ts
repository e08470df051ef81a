import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepLipSync } from './keep-lip-sync.js';
import { PlaybackMeter } from './playback-meter.js';
import type { CallStats } from './types.js';

/** A connection whose sound is `soundMs` late, and its clock, which a test moves. */
function setUp({ canDelay = true } = {}) {
  const receiver: { track: { kind: string }; jitterBufferTarget?: number | null } = { track: { kind: 'video' } };
  if (canDelay) receiver.jitterBufferTarget = null;
  let seconds = 0;
  const sound = { ms: 90 };
  let [bufferedS, frozenS] = [0, 0];
  const pc = {
    getReceivers: () => [{ track: { kind: 'audio' } }, receiver],
    getStats: async () => {
      seconds += 1;
      bufferedS += 48_000 * (sound.ms / 1000);
      const rows = [
        {
          type: 'inbound-rtp',
          kind: 'audio',
          jitterBufferDelay: bufferedS,
          jitterBufferEmittedCount: 48_000 * seconds,
        },
        { type: 'inbound-rtp', kind: 'video', freezeCount: 1, totalFreezesDuration: frozenS },
        {
          type: 'media-playout',
          kind: 'audio',
          totalPlayoutDelay: 1440 * seconds,
          totalSamplesCount: 48_000 * seconds,
        },
      ];
      return new Map(rows.map((row, i) => [String(i), row]));
    },
  } as unknown as RTCPeerConnection;
  let onFrame: ((now: number, frame: object) => void) | undefined;
  const video = {
    requestVideoFrameCallback: (callback: typeof onFrame) => {
      onFrame = callback;
      return 1;
    },
    cancelVideoFrameCallback: () => {
      onFrame = undefined;
    },
  } as unknown as HTMLVideoElement;
  const show = (frames: number, delayMs: number): void => {
    for (let i = 0; i < frames; i++)
      onFrame?.(0, { receiveTime: 1000 + 40 * i, expectedDisplayTime: 1000 + 40 * i + delayMs });
  };
  return { pc, video, receiver, sound, show, freeze: () => (frozenS += 1) };
}

async function measured(run: ReturnType<typeof setUp>, context: { mock: typeof test.mock }, times: number) {
  const seen: CallStats[] = [];
  const { mock } = context;
  mock.timers.enable({ apis: ['setInterval'] });
  const meter = new PlaybackMeter({ pc: () => run.pc, onStats: (stats) => void seen.push(stats) });
  meter.expectFrame();
  const stop = meter.observe(run.video);
  for (let i = 0; i < times; i++) {
    run.show(25, 40);
    mock.timers.tick(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { seen, stop, meter };
}

test('the picture is delayed by what the sound needs, jitter buffer and playout, and follows it', async (context) => {
  const run = setUp();
  const { seen, stop } = await measured(run, context, 2);
  assert.equal(seen[0]?.avSkewMs, undefined, 'the first report has nothing to compare with');
  assert.equal(Math.round(seen[1]?.avSkewMs ?? 0), 90, 'sound 130 ms, picture 40 ms: the picture is ahead');
  assert.equal(run.receiver.jitterBufferTarget, 140);
  run.sound.ms = 190;
  context.mock.timers.tick(1000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(run.receiver.jitterBufferTarget, 240);
  assert.equal(seen[2]?.avSkewMs, undefined, 'without frames there is no skew');
  stop();
  context.mock.timers.tick(5000);
  assert.equal(seen.length, 3);
});

test('the first frame, freezes and delays are in the statistics', async (context) => {
  const run = setUp();
  run.freeze();
  const { meter, stop } = await measured(run, context, 2);
  const stats = await meter.read();
  assert.ok(stats?.firstFrameMs !== undefined);
  assert.equal(stats.freezes, 1);
  assert.equal(stats.frozenMs, 1000);
  assert.equal(Math.round(stats.pictureDelayMs ?? 0), 40);
  assert.equal(Math.round(stats.soundDelayMs ?? 0), 130);
  stop();
});

test('a browser that does not say when frames are shown delays the picture all the same', async (context) => {
  const run = setUp();
  const seen: CallStats[] = [];
  context.mock.timers.enable({ apis: ['setInterval'] });
  const meter = new PlaybackMeter({ pc: () => run.pc, onStats: (stats) => void seen.push(stats) });
  const stop = meter.observe({} as HTMLVideoElement);
  for (let i = 0; i < 2; i++) {
    context.mock.timers.tick(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual([seen[1]?.avSkewMs, run.receiver.jitterBufferTarget], [undefined, 140]);
  stop();
});

test('a browser that cannot delay the picture is measured all the same', async (context) => {
  const run = setUp({ canDelay: false });
  const { seen, stop } = await measured(run, context, 2);
  assert.equal(Math.round(seen[1]?.avSkewMs ?? 0), 90);
  assert.equal('jitterBufferTarget' in run.receiver, false);
  stop();
});

test("the picture of another client's tracks is delayed by what their sound needs", async (context) => {
  const run = setUp();
  context.mock.timers.enable({ apis: ['setInterval'] });
  const [audio, video] = run.pc.getReceivers();
  const rows = async () => [...((await run.pc.getStats()) as unknown as ReadonlyMap<string, { kind: string }>)];
  // The report of a receiver is about its track only.
  const of = (kind: string) => async () => new Map((await rows()).filter(([, row]) => row.kind === kind));
  Object.assign(audio ?? {}, { getStats: of('audio') });
  Object.assign(video ?? {}, { getStats: of('video') });
  const seen: CallStats[] = [];
  const receivers = { audio, video } as { audio: RTCRtpReceiver; video: RTCRtpReceiver };
  const stop = keepLipSync(run.video, receivers, (stats) => void seen.push(stats));
  for (let i = 0; i < 2; i++) {
    run.show(25, 40);
    context.mock.timers.tick(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(run.receiver.jitterBufferTarget, 140);
  assert.equal(Math.round(seen[1]?.avSkewMs ?? 0), 90);
  stop();
  context.mock.timers.tick(5000);
  assert.equal(seen.length, 2);
});
