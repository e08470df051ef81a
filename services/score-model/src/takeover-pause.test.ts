import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { NatsProxy, until } from '@talkmesh/service-kit/testing';
import {
  model,
  nats,
  ObservedSession,
  openOn,
  PATIENCE_MS,
  peer,
  spoken,
  startWorker,
  tone,
  uninterrupted,
  useScoreWorkers,
} from './testing/score-workers.js';

useScoreWorkers();

test('a worker dies in a pause: its successor generates idle chunks, and after the resume continues with the next sample', async () => {
  const call = await ObservedSession.start();
  const { samplesPerChunk } = model.geometry;
  const speech = tone(Math.round(samplesPerChunk * 7.3));
  const ask = (type: 'pause' | 'resume'): void =>
    peer.bus.publishEvent({ type, cause: 'command', sessionId: call.sessionId, epoch: 0, turn: 0 });
  const reported = (): string[] => call.events.flatMap(({ type }) => (type.startsWith('turn.') ? [type] : []));
  await using first = await startWorker();
  await openOn(first, call.sessionId, false, false);
  call.speak(1, speech);
  await peer.bus.flush();
  call.grant(0, 4);
  await until(
    'three chunks of the turn',
    () => call.currentChunks().filter(({ turn }) => turn === 1).length >= 3,
    PATIENCE_MS,
  );
  call.grant(1, 4);
  await until('chunk 4', () => (call.currentChunks().at(-1)?.chunk ?? 0) >= 4, PATIENCE_MS);
  ask('pause');
  await until('the pause', () => reported().includes('turn.paused'), PATIENCE_MS);
  const at = call.events.find(({ type }) => type === 'turn.paused');
  call.grant(3, 4);
  await until('chunk 6', () => (call.currentChunks().at(-1)?.chunk ?? 0) >= 6, PATIENCE_MS);
  assert.ok(at?.type === 'turn.paused' && at.turn === 1 && at.heardMs > 0, JSON.stringify(at));
  await first.die();
  await using second = await startWorker();
  await openOn(second, call.sessionId, true, false);
  assert.equal(second.service.worker?.stats()[0]?.paused, true);
  call.grant(6, 4);
  await until('chunk 9', () => (call.currentChunks().at(-1)?.chunk ?? 0) >= 9, PATIENCE_MS);
  const paused = call.currentChunks().filter(({ turn, chunk }) => turn === 0 && chunk > 0);
  assert.ok(paused.length >= 6 && paused.some(({ epoch }) => epoch >= 16), 'both made idle chunks');
  const heardMs = (spoken(call.currentChunks(), 1).length * 1000) / SPEECH_RATE_HZ;
  assert.equal(at.heardMs, heardMs);
  ask('resume');
  for (let chunk = 7; !call.currentChunks().some(({ endOfTurn }) => endOfTurn); chunk++) {
    assert.ok(chunk < 40);
    call.grant(chunk, 4);
    await until(`chunk ${chunk + 3}`, () => (call.currentChunks().at(-1)?.chunk ?? 0) >= chunk + 3, PATIENCE_MS);
  }
  assert.deepEqual(spoken(call.currentChunks(), 1), [...speech], 'every sample once, in order');
  assert.deepEqual(reported(), ['turn.paused', 'turn.resumed'], 'listeners are notified once');
  const made = call.currentChunks();
  assert.deepEqual(
    made.map(({ values }) => values),
    await uninterrupted(made),
    'bit for bit',
  );
});

test('a worker is disconnected from NATS while a pause ends: it reads the resume back, and speaks', async () => {
  const call = await ObservedSession.start();
  const { samplesPerChunk } = model.geometry;
  const speech = tone(samplesPerChunk * 5);
  await using proxy = await NatsProxy.start(nats.url);
  await using worker = await startWorker(proxy.url);
  await openOn(worker, call.sessionId);
  const ask = (type: 'pause' | 'resume'): void =>
    peer.bus.publishEvent({ type, cause: 'command', sessionId: call.sessionId, epoch: 0, turn: 0 });
  ask('pause');
  await until('the pause', () => call.events.some(({ type }) => type === 'turn.paused'), PATIENCE_MS);
  proxy.cut(worker.context.config.instanceId);
  await until('the loss of NATS', () => !worker.context.bus.connected, PATIENCE_MS);
  call.speak(1, speech);
  ask('resume');
  await peer.bus.flush();
  proxy.heal(worker.context.config.instanceId);
  await until('the connection', () => worker.context.bus.connected, PATIENCE_MS);
  const isOver = (): boolean => {
    // As the egress does: a playhead that is published before the worker has subscribed again does not arrive.
    call.grant(0, 8);
    return call.currentChunks().some(({ endOfTurn }) => endOfTurn);
  };
  await until('the end of the turn', isOver, PATIENCE_MS);
  assert.deepEqual(spoken(call.currentChunks(), 1), [...speech]);
});
