import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { ChunkCost } from '@talkmesh/chunk-worker';
import { chunkGeometry, type LatentMessage, newSessionId } from '@talkmesh/contracts';
import type { DecodedChunk } from '@talkmesh/inference';
import { RollingPercentiles } from '@talkmesh/service-kit';
import { type ChunkDecoder, type DecodeOutput, DecodeScheduler } from './scheduler.js';

const SESSION = newSessionId();
const SIZE = { width: 2, height: 2, cost: 1 };
const geometry = chunkGeometry({
  fps: 25,
  chunk: { latentFrames: 3, temporalCompression: 4 },
  latent: { channels: 8, height: 2, width: 2 },
  audio: { sampleRateHz: 24_000 },
});

class FakeDecoder implements ChunkDecoder {
  readonly decoded: number[] = [];
  readonly rollbacks: number[] = [];
  disposed = false;
  missing = 0;
  during: (chunk: number) => void = () => undefined;
  #abandoned = false;

  async decode(chunk: number): Promise<DecodedChunk | undefined> {
    this.decoded.push(chunk);
    this.#abandoned = false;
    await Promise.resolve();
    this.during(chunk);
    if (this.#abandoned) return undefined;
    return { frames: Array.from({ length: 12 }, (_, i) => new Uint8Array(6).fill(i)), missing: this.missing };
  }

  rollback(fromChunk: number): void {
    this.rollbacks.push(fromChunk);
    if ((this.decoded.at(-1) ?? -1) >= fromChunk) this.#abandoned = true;
  }

  dispose(): void {
    this.disposed = true;
  }
}

let nowMs = 0;
const clock = { nowMs: () => nowMs, wallUs: () => nowMs * 1000, traceUs: () => nowMs * 1000, sleep: async () => {} };
let stage: DecodeScheduler;
beforeEach(() => {
  nowMs = 1000;
  stage = new DecodeScheduler({ geometry, fps: 25, clock });
});

function open(sessionId = SESSION, queueChunks = 8): FakeDecoder {
  const decoder = new FakeDecoder();
  stage.open({ sessionId, epoch: 0, queueChunks, size: SIZE }, decoder, new RollingPercentiles());
  return decoder;
}

const latent = (chunk: number, changes: Partial<LatentMessage> = {}): LatentMessage => ({
  sessionId: SESSION,
  epoch: 0,
  turn: 2,
  chunk,
  mediaTimeUs: chunk * 480_000,
  deadlineUs: 0,
  part: 0,
  parts: 1,
  values: new Float32Array(geometry.latentValues),
  pcm: Int16Array.from({ length: geometry.samplesPerChunk }, (_, i) => i),
  speaking: true,
  degraded: false,
  held: false,
  endOfTurn: false,
  endsIdle: false,
  steps: 2,
  speechSamples: 11_520,
  turnSamples: 11_520,
  closedTurn: 0,
  ...changes,
});

async function drain(onOutput: (output: DecodeOutput) => void = () => undefined): Promise<DecodeOutput[]> {
  const outputs: DecodeOutput[] = [];
  for (;;) {
    const before = outputs.length;
    for await (const output of stage.step()) {
      outputs.push(output);
      onOutput(output);
    }
    if (outputs.length === before) return outputs;
  }
}

const frames = (outputs: readonly DecodeOutput[]) =>
  outputs.flatMap((output) => (output.type === 'frame' ? [output.message] : []));
const outcomes = (outputs: readonly DecodeOutput[]): string[] =>
  outputs.flatMap((output) => (output.type === 'chunk' ? [output.outcome] : []));

test('a chunk becomes its frames, each with its slice of the sound, its time and its deadline', async () => {
  open();
  stage.latent(latent(3, { deadlineUs: 9_000_000, epoch: 0, degraded: true, endOfTurn: true }));
  const shown = frames(await drain());
  assert.equal(shown.length, 12);
  for (const [i, frame] of shown.entries()) {
    assert.deepEqual([frame.chunk, frame.frame, frame.framesInChunk, frame.turn], [3, i, 12, 2]);
    assert.deepEqual([frame.mediaTimeUs, frame.deadlineUs], [1_440_000 + i * 40_000, 9_000_000 + i * 40_000]);
    assert.deepEqual([frame.pcm.length, frame.pcm[0]], [960, i * 960]);
    assert.deepEqual([frame.i420[0], frame.speaking, frame.degraded, frame.endOfTurn], [i, true, true, true]);
    assert.ok(!('values' in frame) && !('parts' in frame));
  }
});

test('a late chunk is shown all the same, and counted', async () => {
  const decoder = open();
  decoder.during = () => {
    nowMs += 100;
  };
  stage.latent(latent(0, { deadlineUs: 1_050_000 }));
  stage.latent(latent(1, { deadlineUs: 1_500_000 }));
  const outputs = await drain();
  assert.deepEqual(outcomes(outputs), ['late', 'ok']);
  assert.equal(frames(outputs).length, 24);
  const [stats] = stage.stats();
  assert.deepEqual([stats?.itemsIn, stats?.itemsOut, stats?.late, stats?.chunk], [2, 24, 1, 2]);
});

test('a chunk that would be late goes out in time without a picture, and nothing is missing afterwards', async () => {
  const decoder = open();
  decoder.during = () => {
    nowMs += 40;
  };
  stage.latent(latent(0));
  await drain();
  stage.latent(latent(1, { deadlineUs: nowMs * 1000 - 500_000 }));
  const outputs = await drain();
  const held = frames(outputs);
  assert.equal(held.length, 12);
  assert.ok(held.every((frame) => frame.held && frame.degraded && frame.i420.length === 0 && frame.pcm.length === 960));
  assert.ok(outputs.some((output) => output.type === 'chunk' && output.degraded === 'late'));
  stage.latent(latent(2, { held: true, values: new Float32Array(0), steps: 0, degraded: true }));
  const passedOn = await drain();
  assert.ok(frames(passedOn).every((frame) => frame.held && frame.i420.length === 0));
  assert.ok(
    passedOn.some((output) => output.type === 'chunk' && output.outcome === 'held' && output.degraded === undefined),
  );
  decoder.missing = 2;
  stage.latent(latent(3));
  const after = await drain();
  assert.ok(frames(after).every((frame) => !frame.held && frame.i420.length > 0));
  assert.ok(
    after.some((output) => output.type === 'chunk' && output.missing === 0),
    'held chunks are not lost ones',
  );
});

test('the chunk that is due first is decoded first; sessions without a clock take turns', async () => {
  const [soon, late, a, b] = [newSessionId(), newSessionId(), newSessionId(), newSessionId()];
  for (const sessionId of [late, a, b, soon]) open(sessionId);
  stage.latent(latent(0, { sessionId: late, deadlineUs: 1_400_000 }));
  stage.latent(latent(0, { sessionId: soon, deadlineUs: 1_200_000 }));
  for (const chunk of [0, 1]) for (const sessionId of [a, b]) stage.latent(latent(chunk, { sessionId }));
  const order: string[] = [];
  for (let output = 0; output < 6; output++) {
    nowMs += 1;
    for await (const item of stage.step())
      if (item.type === 'frame' && item.message.frame === 0) order.push(item.message.sessionId);
  }
  assert.ok(order.indexOf(soon) < order.indexOf(late));
  assert.deepEqual(
    order.filter((id) => id === a || id === b).map((id) => (id === a ? 'a' : 'b')),
    ['a', 'b', 'a', 'b'],
  );
});

test('a flush drops chunks that wait, stops the frames of one being shown and rolls the decoder back', async () => {
  const decoder = open();
  for (const chunk of [0, 1, 2]) stage.latent(latent(chunk));
  const outputs = await drain((output) => {
    if (output.type === 'frame' && output.message.chunk === 1 && output.message.frame === 4)
      assert.equal(stage.flush(SESSION, 1, 1), 1);
  });
  assert.deepEqual(
    frames(outputs).map((frame) => frame.chunk),
    [...Array(12).fill(0), ...Array(5).fill(1)],
  );
  assert.deepEqual(outcomes(outputs), ['ok', 'flushed']);
  assert.deepEqual(decoder.rollbacks, [1]);
  assert.equal(stage.latent(latent(3)), 'stale', 'of the old epoch, still on its way');
  assert.equal(stage.latent(latent(1, { epoch: 1 })), 'queued');
  assert.deepEqual(frames(await drain()).map((frame) => [frame.chunk, frame.epoch])[0], [1, 1]);
  assert.equal(stage.stats()[0]?.dropped, 2);
});

test('chunks before a flush are still played', async () => {
  open();
  for (const chunk of [0, 1]) stage.latent(latent(chunk));
  stage.flush(SESSION, 1, 2);
  assert.equal(frames(await drain()).length, 24);
});

test('a chunk of a newer epoch flushes by itself; an older flush that comes later drops its chunks, without a rollback', async () => {
  const decoder = open();
  for (const chunk of [0, 1, 2]) stage.latent(latent(chunk));
  assert.equal(stage.latent(latent(1, { epoch: 2 })), 'queued');
  assert.deepEqual(decoder.rollbacks, [1]);
  assert.equal(stage.flush(SESSION, 1, 0), 1);
  assert.equal(stage.flush(SESSION, 2, 1), 0, 'the event of the same flush');
  assert.deepEqual(decoder.rollbacks, [1]);
  assert.deepEqual(
    frames(await drain())
      .filter((frame) => frame.frame === 0)
      .map(({ chunk, epoch }) => [chunk, epoch]),
    [[1, 2]],
  );
});

test('a flush while a chunk is decoded gives it up', async () => {
  const decoder = open();
  decoder.during = () => {
    stage.flush(SESSION, 1, 0);
  };
  stage.latent(latent(0));
  const outputs = await drain();
  assert.deepEqual([frames(outputs).length, outcomes(outputs)], [0, ['flushed']]);
});

test('too many chunks: the oldest goes', async () => {
  const decoder = open(SESSION, 2);
  assert.deepEqual(
    [0, 1, 2].map((chunk) => stage.latent(latent(chunk))),
    ['queued', 'queued', 'overflow'],
  );
  await drain();
  assert.deepEqual(decoder.decoded, [1, 2]);
});

test('a failing session ends alone; a session closed meanwhile leaves nothing', async () => {
  const [bad, good, closed] = [newSessionId(), newSessionId(), newSessionId()];
  const failing = open(bad);
  failing.during = () => {
    throw new Error('no');
  };
  open(good);
  open(closed).during = () => {
    stage.close(closed);
  };
  for (const sessionId of [bad, good, closed]) stage.latent(latent(0, { sessionId }));
  const outputs = await drain();
  assert.deepEqual(
    outputs.filter((output) => output.type === 'failed').map((output) => output.sessionId),
    [bad],
  );
  assert.ok(failing.disposed);
  assert.ok(frames(outputs).every((frame) => frame.sessionId === good));
  assert.deepEqual(
    stage.stats().map((entry) => entry.sessionId),
    [good],
  );
  assert.equal(stage.latent(latent(1, { sessionId: bad })), 'stale');
});

test('run waits for chunks and ends when aborted', async () => {
  open();
  const abort = new AbortController();
  const outputs: DecodeOutput[] = [];
  const running = (async () => {
    for await (const output of stage.run(abort.signal)) outputs.push(output);
  })();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(outputs.length, 0);
  stage.latent(latent(0));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(frames(outputs).length, 12);
  abort.abort();
  await running;
});

test('chunks that are made again have the time that is left, and are no duplicates', async () => {
  const decoder = open();
  const pastUs = nowMs * 1000 - 1;
  for (const chunk of [0, 1]) stage.latent(latent(chunk));
  await drain();
  assert.equal(stage.latent(latent(1)), 'duplicate');
  stage.acceptRepeats(SESSION);
  // One that comes while they are read back.
  stage.latent(latent(3));
  stage.requeue([latent(1, { deadlineUs: pastUs }), latent(2, { deadlineUs: pastUs }), latent(3)]);
  const outputs = await drain();
  assert.deepEqual(decoder.decoded, [0, 1, 3, 1, 2]);
  const deadlines = outputs.flatMap((output) =>
    output.type === 'frame' && output.message.frame === 0 ? [output.message.deadlineUs] : [],
  );
  assert.deepEqual(deadlines, [0, nowMs * 1000 + 480_000, nowMs * 1000 + 960_000]);
});

test('frames have the size of their session, and a chunk counts as what its size costs', async () => {
  const cost = new ChunkCost(0);
  stage = new DecodeScheduler({ geometry, fps: 25, clock, cost });
  const decoder = new FakeDecoder();
  decoder.during = () => {
    nowMs += 90;
  };
  const size = { width: 4, height: 6, cost: 3 };
  stage.open({ sessionId: SESSION, epoch: 0, queueChunks: 8, size }, decoder, new RollingPercentiles());
  stage.latent(latent(0));
  const frames = (await drain()).flatMap((output) => (output.type === 'frame' ? [output.message] : []));
  assert.equal(frames.length, 12);
  assert.ok(frames.every(({ width, height }) => width === 4 && height === 6));
  assert.equal(cost.ms, 30, 'in chunks of the own size');
  // 85 ms are left with what is tolerated: enough for a chunk of the own size, not for this one.
  stage.latent(latent(1, { deadlineUs: (nowMs + 5) * 1000 }));
  const outcomes = (await drain()).flatMap((output) => (output.type === 'chunk' ? [output.outcome] : []));
  assert.deepEqual(outcomes, ['held']);
});
