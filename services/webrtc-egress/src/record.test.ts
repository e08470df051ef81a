import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ClientReadableStream } from '@grpc/grpc-js';
import { MeshError, type v1 } from '@talkmesh/contracts';
import { fromServiceError } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { EgressBench } from './testing/bench.js';
import { FRAMES_PER_CHUNK, testFrame } from './testing/frames.js';

const SIDE = 256;
type Recorded = ReturnType<(typeof v1.RecordService)['service']['Record']['responseDeserialize']>;
const numbered = (sessionId: string, chunk: number, frame: number) =>
  testFrame(chunk, frame, { sessionId, width: SIDE, height: SIDE, turn: 1, speaking: chunk < 2 });

let bench: EgressBench;
before(async () => {
  bench = await EgressBench.start({ TALKMESH_VIEWER_GONE_MS: '300', TALKMESH_RECORD_STALL_MS: '1500' });
});
after(() => bench[Symbol.asyncDispose]());

const openRecord = () => bench.open('SINK_RECORD', SIDE, numbered);
const close = (sessionId: string) => bench.call(bench.stage, 'Close', { sessionId, reason: 'ended' });
const record = (sessionId: string, stopAfterFrames = 0) => bench.recording.Record({ sessionId, stopAfterFrames });
const refused = (reason: string) => (error: unknown) => error instanceof MeshError && error.reason === reason;

async function readAll(stream: ClientReadableStream<Recorded>): Promise<Recorded[]> {
  const frames: Recorded[] = [];
  try {
    for await (const frame of stream) frames.push(frame as Recorded);
  } catch (thrown) {
    throw fromServiceError(thrown);
  }
  return frames;
}

test('every frame is recorded in order with its audio, no faster than the reader reads', async () => {
  const producer = await openRecord();
  assert.deepEqual([producer.playhead?.creditChunks, producer.nextChunk], [4, 4]);
  const frames = await readAll(record(producer.sessionId, 90));
  assert.deepEqual(
    frames.map(({ index }) => index),
    Array.from({ length: 90 }, (_, i) => i),
  );
  assert.ok(
    frames.every(({ index, chunk, mediaTimeUs }) => chunk === Math.floor(index / 12) && mediaTimeUs === index * 40_000),
  );
  assert.ok(
    frames.every(
      ({ index, i420, pcm }) =>
        i420.length === (SIDE * SIDE * 3) / 2 &&
        i420[0] === 16 + index &&
        pcm.readInt16LE(0) === index + 1 &&
        pcm.length === 1920,
    ),
  );
  await until('the playhead', () => producer.playhead?.chunk === 7);
  assert.equal(producer.playhead?.turnPlayedMs, 2 * 480);
  assert.equal(producer.eventsOf('viewer.connected').length, 1);
  await until('viewer.gone', () => producer.eventsOf('viewer.gone').length === 1);
  await close(producer.sessionId);
});

test('when the reader pauses, credit stops the producer and no frame is lost', async () => {
  const producer = await openRecord();
  const stream = record(producer.sessionId);
  const frames: Recorded[] = [];
  stream.on('error', () => {});
  stream.on('data', (frame: Recorded) => frames.push(frame));
  await until('some frames', () => frames.length >= 30);
  stream.pause();
  let produced = -1;
  await until('standstill', async () => {
    const before = producer.nextChunk;
    await new Promise((resolve) => setTimeout(resolve, 300));
    produced = producer.nextChunk;
    return produced === before;
  });
  const ahead = produced * FRAMES_PER_CHUNK - frames.length;
  assert.ok(ahead <= 8 * FRAMES_PER_CHUNK, `${ahead} frames were produced but not read`);
  stream.resume();
  await until('more frames', () => frames.length > (produced + 3) * FRAMES_PER_CHUNK);
  assert.ok(frames.every(({ index }, i) => index === i));
  await close(producer.sessionId);
  await until('the end', () => stream.closed || stream.destroyed);
});

test('a flush drops frames that were not sent, and frames of the new epoch follow', async () => {
  const producer = await openRecord();
  producer.producing = false;
  producer.epoch = 1;
  bench.score.bus.publishEvent({
    type: 'flush',
    fromChunk: 2,
    cause: 'speech',
    sessionId: producer.sessionId,
    epoch: 1,
    turn: 0,
  });
  await until('the flush', async () => (await statsOf(producer.sessionId))?.epoch === 1);
  producer.publish(2);
  const frames = await readAll(record(producer.sessionId, 3 * FRAMES_PER_CHUNK));
  assert.deepEqual(frames.map(({ chunk, epoch }) => [chunk, epoch])[2 * FRAMES_PER_CHUNK], [2, 1]);
  assert.ok(frames.every(({ chunk }, i) => chunk === Math.floor(i / FRAMES_PER_CHUNK)));
  await close(producer.sessionId);
});

async function statsOf(sessionId: string) {
  const { sessions } = await bench.call<{ sessions: { sessionId: string; epoch: number; dropped: number }[] }>(
    bench.stage,
    'Stats',
    {},
  );
  return sessions.find((entry) => entry.sessionId === sessionId);
}

test('a session has one reader: a second is refused, and a reader that disconnects is reported at once', async () => {
  const producer = await openRecord();
  const stream = record(producer.sessionId);
  stream.on('error', () => {});
  stream.resume();
  await until('the first reader', () => producer.eventsOf('viewer.connected').length === 1);
  await assert.rejects(readAll(record(producer.sessionId)), refused('SESSION_EXISTS'));
  stream.cancel();
  await until('viewer.gone', () => producer.eventsOf('viewer.gone').length === 1);
  await close(producer.sessionId);
});

test('a reader that takes no frame for too long is disconnected', async () => {
  const producer = await openRecord();
  const stream = record(producer.sessionId);
  const ended = new Promise<unknown>((resolve) => stream.once('error', resolve));
  stream.once('data', () => stream.pause());
  await until('viewer.gone', () => producer.eventsOf('viewer.gone').length === 1);
  stream.resume();
  assert.equal(fromServiceError(await ended).reason, 'DEADLINE_EXCEEDED');
  await close(producer.sessionId);
});

test('a recording ends without an error when its session ends; a later one is refused', async () => {
  const producer = await openRecord();
  const reading = readAll(record(producer.sessionId));
  await until('play', () => (producer.playhead?.chunk ?? 0) > 3);
  await close(producer.sessionId);
  assert.ok((await reading).length > 3 * FRAMES_PER_CHUNK);
  await assert.rejects(readAll(record(producer.sessionId)), refused('SESSION_NOT_FOUND'));
});

test('a recording session refuses a viewer, and invalid options open no session', async () => {
  const producer = await openRecord();
  await assert.rejects(
    bench.call(bench.signalling, 'Offer', { sessionId: producer.sessionId, sdp: 'v=0' }),
    refused('ARGUMENT_INVALID'),
  );
  await close(producer.sessionId);
  const bad = [
    { sink: 'SINK_UNSPECIFIED', width: 256, height: 256, fps: 25 },
    { sink: 'SINK_RECORD', width: 255, height: 256, fps: 25 },
    { sink: 'SINK_RECORD', width: 256, height: 256, fps: 7 },
  ];
  for (const egress of bad)
    await assert.rejects(
      bench.call(bench.stage, 'Open', { sessionId: producer.sessionId, epoch: 0, egress }),
      refused('ARGUMENT_INVALID'),
    );
});

test('SIGTERM without sessions exits with code 0', async () => {
  assert.equal(await bench.service.terminate(), 0);
});
