import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FrameMessage } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { FrameSink } from './frame-sink.js';
import { JitterBuffer } from './jitter-buffer.js';
import type { EgressMetrics } from './metrics.js';
import type { EgressSession } from './session.js';
import { testChunk, testFrame } from './testing/frames.js';

const FPS = 100;

/** A sink of a session whose frames are all there. */
function setUp(frames: readonly FrameMessage[]) {
  const buffer = new JitterBuffer({ epoch: 0, capacityChunks: 99, awaitsGaps: () => false });
  for (const frame of frames) buffer.offer(frame);
  const state = { taken: 0, held: 0, played: [] as FrameMessage[] };
  const session = {
    watch: { connected: () => undefined, lost: () => undefined },
    take: (maxInFlight: number) => {
      state.taken += 1;
      return buffer.take(maxInFlight);
    },
    played: (serial: number) => state.played.push(buffer.played(serial) as FrameMessage),
    held: () => {
      state.held += 1;
    },
    restore: () => void buffer.restore(),
  };
  const count = { inc: () => undefined, dec: () => undefined, observe: () => undefined };
  const metrics = { viewers: count, stalls: count, lateness: count };
  const sink = new FrameSink({
    ...{ session: session as unknown as EgressSession, metrics: metrics as unknown as EgressMetrics, fps: FPS },
  });
  return { sink, state };
}

for (const lastFrame of [0, 3])
  test(`after a reader that leaves instead of frame ${lastFrame} nothing is taken or heard, and the next reader gets that frame`, async () => {
    const { sink, state } = setUp([...testChunk(0), ...testChunk(1)]);
    const read: number[] = [];
    const leaving = ({ frame }: FrameMessage): void => {
      if (frame === lastFrame) sink.detach(leaving);
      else read.push(frame);
    };
    sink.attach(leaving);
    await until('its end', () => state.taken > lastFrame);
    await sleep(60);
    assert.deepEqual([state.taken, state.played.length, state.held], [lastFrame + 1, lastFrame, 0]);
    const next = ({ frame }: FrameMessage): number => read.push(frame);
    sink.attach(next);
    await until('more', () => read.length > lastFrame + 2);
    await sink.close();
    assert.deepEqual(
      read,
      read.map((_, i) => i),
    );
  });

test('times have no gaps where a chunk was cut, and go on for the next reader', async () => {
  const cut = [0, 1, 2].map((frame) => testFrame(0, frame, { mediaTimeUs: 7_000_000 + frame * 10_000 }));
  const { sink, state } = setUp([...cut, ...testChunk(4), ...testChunk(5)]);
  const times: number[] = [];
  for (const count of [6, 12]) {
    const reader = ({ mediaTimeUs }: FrameMessage): number => times.push(mediaTimeUs);
    sink.attach(reader);
    await until('frames', () => times.length >= count);
    sink.detach(reader);
  }
  assert.ok(state.played.some(({ chunk }) => chunk === 4));
  assert.deepEqual(
    times,
    times.map((_, i) => 7_000_000 + i * 10_000),
  );
});
