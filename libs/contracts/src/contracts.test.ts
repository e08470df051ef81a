import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason, MeshError, REASONS, sentence } from './errors.js';
import { isSessionId, newSessionId } from './ids.js';
import { chunkGeometry } from './manifest.js';
import { OPEN_ORDER, PIPELINE, SERVICES, STREAMS } from './pipeline.js';
import { v1 } from './protos.js';
import { parseSubject, subjectOf } from './subjects.js';

test('session ids are safe as subject tokens', () => {
  const ids = new Set(Array.from({ length: 1000 }, newSessionId));
  assert.equal(ids.size, 1000);
  for (const id of ids) assert.ok(isSessionId(id), id);
  for (const bad of [
    '',
    '>',
    '*',
    'a.b',
    `${newSessionId()}x`,
    newSessionId().toUpperCase().replace(/\d/g, 'A'),
    7,
    null,
  ])
    assert.equal(isSessionId(bad), false, String(bad));
  assert.throws(
    () => subjectOf('*', 'mic'),
    (error: MeshError) => error.reason === 'SESSION_ID_INVALID',
  );
});

test('a subject that was built can be parsed', () => {
  const id = newSessionId();
  for (const stream of STREAMS) assert.deepEqual(parseSubject(subjectOf(id, stream)), { sessionId: id, stream });
  for (const bad of ['tm.v1.x.mic', `tm.v2.${id}.mic`, `tm.v1.${id}.other`, `tm.v1.${id}.mic.more`])
    assert.equal(parseSubject(bad), undefined, bad);
});

test('in the pipeline table every stream has a producer and a consumer, and every served gRPC service exists', () => {
  for (const stream of STREAMS) {
    assert.ok(
      SERVICES.some((name) => PIPELINE[name].publishes.includes(stream)),
      `${stream} is published`,
    );
    assert.ok(
      SERVICES.some((name) => PIPELINE[name].subscribes.includes(stream)),
      `${stream} is subscribed`,
    );
  }
  for (const name of SERVICES) for (const served of PIPELINE[name].serves) assert.ok(Object.hasOwn(v1, served), served);
  for (const name of OPEN_ORDER) assert.ok(PIPELINE[name].serves.includes('StageService'), name);
});

test('stages are opened consumers before producers', () => {
  const position = (name: string): number => ([...OPEN_ORDER] as string[]).indexOf(name);
  for (const [producer, consumer] of [
    ['audio-ingest', 'audio-llm-bridge'],
    ['audio-llm-bridge', 'score-model'],
    ['score-model', 'vae-decode'],
    ['vae-decode', 'webrtc-egress'],
  ] as const)
    assert.ok(position(consumer) < position(producer), `${consumer} before ${producer}`);
});

test('the reason of an error determines its codes and its retryability', () => {
  const full = new MeshError('SESSION_LIMIT', 'full');
  assert.deepEqual(
    [full.grpcStatus, full.httpStatus, full.retryable, full.retryAfterMs],
    ['RESOURCE_EXHAUSTED', 429, true, 1000],
  );
  assert.equal(MeshError.from(new DOMException('x', 'TimeoutError')).reason, 'DEADLINE_EXCEEDED');
  assert.equal(MeshError.from(new DOMException('x', 'AbortError')).reason, 'CANCELLED');
  const hidden = MeshError.from(new Error('password=1'));
  assert.equal(hidden.reason, 'INTERNAL');
  assert.doesNotMatch(hidden.message, /password/);
  assert.ok(Object.keys(REASONS).every(isReason));
  assert.equal(isReason('toString'), false);
});

test('chunk geometry follows from the manifest, for both chunk sizes of the paper', () => {
  const sizes = {
    fps: 25,
    latent: { channels: 8, height: 2, width: 2 },
    audio: { sampleRateHz: 24_000 },
  };
  assert.deepEqual(chunkGeometry({ ...sizes, chunk: { latentFrames: 3, temporalCompression: 4 } }), {
    framesPerChunk: 12,
    chunkMs: 480,
    samplesPerFrame: 960,
    samplesPerChunk: 11_520,
    latentValues: 96,
    sinkValues: 0,
    tokens: 12,
  });
  assert.equal(chunkGeometry({ ...sizes, chunk: { latentFrames: 7, temporalCompression: 4 } }).chunkMs, 1120);
  const dit = { patch: { size: [2, 2] as [number, number], enter: '' }, context: { sink: 3, recent: 1, level: 0 } };
  const video = { ...sizes, fps: 16, chunk: { latentFrames: 3, temporalCompression: 4 }, score: { dit } };
  const { chunkMs, samplesPerFrame, sinkValues, tokens } = chunkGeometry(video);
  assert.deepEqual([chunkMs, samplesPerFrame, sinkValues, tokens], [750, 1500, 288, 3]);
});

test('a message becomes a sentence; names of the contract keep their letters', () => {
  for (const [message, expected] of [
    ['the call was cancelled', 'The call was cancelled.'],
    ['text is empty; send some', 'Text is empty; send some.'],
    ['sample_rate_hz must be 8000 to 48000', 'sample_rate_hz must be 8000 to 48000.'],
    ['Is it there?', 'Is it there?'],
    ['send "a: b."', 'Send "a: b."'],
    ['', ''],
  ] as const)
    assert.equal(sentence(message), expected);
});
