import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../support/seeded-random.js';
import { fourteenBillion, simulateWorker, trafficOfCall } from '../simulate.js';
import { drawTimes, type QueueModel, simulateQueues } from './queues.js';

const model = (changes: Partial<QueueModel>): QueueModel => ({
  sessions: 1,
  chunkMs: 480,
  steps: 2,
  scoreMs: () => 40,
  decodeMs: () => 60,
  hopMs: () => 1,
  scoreDownstreamMs: 80,
  decodeDownstreamMs: 20,
  seconds: 120,
  random: seededRandom(1),
  ...changes,
});

test('one call alone waits for nothing: its latency is the sum of its parts', () => {
  const { latenciesMs, lateShare, degradedShare, scoreUtilisation } = simulateQueues(model({}));
  assert.ok(latenciesMs.length >= 240);
  assert.ok(latenciesMs.every((ms) => Math.abs(ms - 102) < 1e-6));
  assert.deepEqual([lateShare, degradedShare], [0, 0]);
  assert.ok(Math.abs(scoreUtilisation - 40 / 481) < 0.01);
});

test('waiting grows with the calls; what does not fit is degraded before it is late', () => {
  const mean = ({ latenciesMs }: { latenciesMs: readonly number[] }): number =>
    latenciesMs.reduce((sum, ms) => sum + ms, 0) / latenciesMs.length;
  const runs = [1, 5, 7, 12].map((sessions) => simulateQueues(model({ sessions, random: seededRandom(sessions) })));
  const latencies = runs.map(mean);
  assert.ok((latencies[0] as number) < (latencies[1] as number) && (latencies[1] as number) < (latencies[2] as number));
  assert.deepEqual(
    runs.slice(0, 3).map(({ lateShare }) => lateShare),
    [0, 0, 0],
  );
  assert.ok((runs[3]?.degradedShare ?? 0) > 0.2, 'twelve calls of 60 ms are half too many for a decoder');
  assert.ok((runs[3]?.decodeUtilisation ?? 0) > 0.8);
});

test('a pipeline of two devices carries a chunk that takes longer than its own time', () => {
  const long = { scoreMs: () => 600, hopMs: () => 1, scoreDownstreamMs: 0, decodeMs: () => 1 };
  const alone = simulateQueues(model({ ...long, sessions: 2 }));
  const piped = simulateQueues(model({ ...long, sessions: 2, scoreDepth: 2 }));
  assert.ok(piped.degradedShare <= alone.degradedShare);
  assert.ok(piped.scoreUtilisation < alone.scoreUtilisation + 1e-9);
});

test('draws have the median and the p95 they were asked for', () => {
  const draw = drawTimes(50, 90, seededRandom(3));
  const sorted = Array.from({ length: 20_000 }, draw).sort((a, b) => a - b);
  assert.ok(Math.abs((sorted[10_000] as number) - 50) < 1.5);
  assert.ok(Math.abs((sorted[19_000] as number) - 90) < 4);
});

test('the traffic of a call is mostly its frames; simulations repeat exactly', () => {
  const shape = fourteenBillion(3);
  const { bytesPerS, frameBytesPerS } = trafficOfCall(shape);
  assert.ok(frameBytesPerS / bytesPerS > 0.8 && frameBytesPerS < bytesPerS);
  assert.deepEqual(simulateWorker(shape, 1), simulateWorker(shape, 1));
});
