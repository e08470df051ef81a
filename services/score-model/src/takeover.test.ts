import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeLatent } from '@talkmesh/contracts';
import { createTestContext, NatsProxy, until } from '@talkmesh/service-kit/testing';
import {
  egress,
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
  vae,
} from './testing/score-workers.js';

useScoreWorkers();

test('a worker dies in the middle of a word: another continues with the next sample and the same frames', async () => {
  const call = await ObservedSession.start();
  const { samplesPerChunk } = model.geometry;
  const speech = tone(Math.round(samplesPerChunk * 20.4));
  await using first = await startWorker();
  await openOn(first, call.sessionId);
  call.grant(0, 8);
  call.speak(1, speech);
  await call.until(8);
  call.grant(6, 8);
  await call.until(12);
  await first.die();
  await using second = await startWorker();
  await openOn(second, call.sessionId, true);
  for (let chunk = 7; call.currentChunks().at(-1)?.endOfTurn !== true; chunk++) {
    call.grant(chunk, 8);
    await call.until(Math.min(21, chunk + 8));
  }
  const latents = call.currentChunks();
  assert.equal(latents.length, 21);
  assert.deepEqual(spoken(latents, 1), [...speech], 'every sample once, in order');
  const flush = call.events.find((event) => event.type === 'flush');
  assert.ok(flush?.type === 'flush' && flush.cause === 'takeover');
  assert.ok(latents.every(({ chunk, epoch }) => epoch === (chunk < flush.fromChunk ? 0 : flush.epoch)));
  assert.ok(latents.some(({ epoch }) => epoch === 0) && latents.some(({ epoch }) => epoch === flush.epoch));
  assert.deepEqual(
    latents.map(({ values }) => values),
    await uninterrupted(latents),
    'bit for bit',
  );
  assert.equal(await second.metric('talkmesh_takeovers_total', { outcome: 'exact' }), 1);
});

test('an interrupt that the dead worker never carried out: its turn is not repeated, the next one is spoken', async () => {
  const call = await ObservedSession.start();
  const { samplesPerChunk } = model.geometry;
  const [first, second] = [tone(samplesPerChunk * 9), tone(samplesPerChunk * 2)];
  await using dying = await startWorker();
  await openOn(dying, call.sessionId);
  call.grant(0, 6);
  call.speak(1, first);
  await call.until(6);
  await dying.die();
  peer.bus.publishEvent({ type: 'interrupt', cause: 'barge-in', sessionId: call.sessionId, epoch: 0, turn: 1 });
  call.speak(2, second);
  await peer.bus.flush();
  await using worker = await startWorker();
  await openOn(worker, call.sessionId, true);
  call.grant(0, 6);
  await until(
    'the end of the turn',
    () => call.currentChunks().some(({ turn, endOfTurn }) => turn === 2 && endOfTurn),
    PATIENCE_MS,
  );
  const turns = call.currentChunks().map(({ turn }) => turn);
  assert.deepEqual(turns, [1, 2, 2], 'cut after the chunk that is being played');
  assert.deepEqual(spoken(call.currentChunks(), 2), [...second]);
});

test('nothing is retained, or what is makes no sense: the call goes on from silence', async () => {
  const call = await ObservedSession.start();
  call.grant(4, 3);
  vae.bus.publishEvent({
    type: 'error',
    service: 'x',
    reason: 'y',
    message: 'z',
    sessionId: call.sessionId,
    epoch: 0,
    turn: 0,
  });
  await using raw = await createTestContext('score-model', undefined, nats.url);
  raw.bus.publish('latent', call.sessionId, Uint8Array.of(9, 9, 9));
  await raw.bus.flush();
  call.latents.length = 0;
  await using worker = await startWorker();
  await openOn(worker, call.sessionId, true);
  call.speak(1, tone(100));
  await peer.bus.flush();
  await until('the first latent', () => call.latents.length > 0, PATIENCE_MS);
  assert.equal(call.latents[0]?.chunk, 5, 'after the chunk being played');
  assert.equal(await worker.metric('talkmesh_takeovers_total', { outcome: 'silence' }), 1);
  assert.equal(await worker.metric('talkmesh_retained_skipped_total', { stream: 'latent' }), 1);
});

test('a worker that only looked dead stops when another took its session', async () => {
  const call = await ObservedSession.start();
  await using zombie = await startWorker();
  await openOn(zombie, call.sessionId);
  call.grant(0, 8);
  call.speak(1, tone(model.geometry.samplesPerChunk * 3 + 5), { endOfTurn: false });
  await call.until(3);
  await using worker = await startWorker();
  await openOn(worker, call.sessionId, true);
  await until('the old worker stops', () => zombie.service.worker?.sessions() === 0, PATIENCE_MS);
  call.speak(1, tone(4000), { fromSample: model.geometry.samplesPerChunk * 3 + 5 });
  await until('the end of the turn', () => call.currentChunks().some(({ endOfTurn }) => endOfTurn), PATIENCE_MS);
  const late = call.latents.filter(({ chunk }) => chunk >= 3);
  assert.ok(
    late.every(({ epoch }) => epoch > 0),
    'only the new worker speaks',
  );
  assert.equal(worker.service.worker?.sessions(), 1);
});

test('moved by hand: the old worker says nothing more, the new one goes on bit for bit', async () => {
  const call = await ObservedSession.start();
  const speech = tone(model.geometry.samplesPerChunk * 9 + 77);
  await using old = await startWorker();
  await using next = await startWorker();
  await openOn(old, call.sessionId);
  call.grant(0, 5);
  call.speak(1, speech);
  await call.until(3);
  await old.service.worker?.close(call.sessionId, 'moved');
  await openOn(next, call.sessionId, true);
  call.grant(6, 8);
  await call.until(10);
  const latents = call.currentChunks();
  assert.deepEqual(spoken(latents, 1), [...speech]);
  assert.deepEqual(
    latents.map(({ values }) => values),
    await uninterrupted(latents),
  );
});

test("a worker's wire is cut in a turn: what it missed is read back, what it said is said again", async () => {
  const call = await ObservedSession.start();
  const { samplesPerChunk } = model.geometry;
  const speech = tone(samplesPerChunk * 8 + 300);
  await using proxy = await NatsProxy.start(nats.url);
  await using worker = await startWorker(proxy.url);
  await openOn(worker, call.sessionId);
  call.grant(0, 20);
  call.speak(1, speech.subarray(0, samplesPerChunk * 2), { endOfTurn: false });
  await call.until(1);
  proxy.cut(worker.context.config.instanceId);
  await until('the loss of NATS', () => !worker.context.bus.connected, PATIENCE_MS);
  call.speak(1, speech.subarray(samplesPerChunk * 2, samplesPerChunk * 6), {
    endOfTurn: false,
    fromSample: samplesPerChunk * 2,
  });
  await peer.bus.flush();
  proxy.heal(worker.context.config.instanceId);
  await until('the connection', () => worker.context.bus.connected, PATIENCE_MS);
  call.grant(2, 8);
  call.speak(1, speech.subarray(samplesPerChunk * 6), { fromSample: samplesPerChunk * 6 });
  await until('the end of the turn', () => call.currentChunks().some(({ endOfTurn }) => endOfTurn), PATIENCE_MS);
  assert.deepEqual(spoken(call.currentChunks(), 1), [...speech]);
  assert.equal(await worker.metric('talkmesh_speech_gaps_total', { outcome: 'read_back' }), 1);
  assert.equal(await worker.metric('talkmesh_speech_gaps_total', { outcome: 'lost' }), 0);
});

test('NATS restarts in a turn and forgets everything: the call survives, what the bridge says again is heard once', async () => {
  const call = await ObservedSession.start();
  const { samplesPerChunk } = model.geometry;
  const speech = tone(samplesPerChunk * 6 + 100);
  await using worker = await startWorker();
  await openOn(worker, call.sessionId);
  call.grant(0, 20);
  call.speak(1, speech.subarray(0, samplesPerChunk * 3), { endOfTurn: false });
  await call.until(2);
  await nats.kill();
  await until('the loss of NATS', () => !worker.context.bus.connected && !peer.bus.connected, PATIENCE_MS);
  call.latents.length = 0;
  await nats.start();
  const all = [worker.context, peer, egress, vae];
  await until('all connections', () => all.every(({ bus }) => bus.connected), PATIENCE_MS);
  await Promise.all(all.map(({ bus }) => bus.flush()));
  // The bridge does not know what arrived: everything that was not played comes again.
  call.speak(1, speech);
  await until('the end of the turn', () => call.currentChunks().some(({ endOfTurn }) => endOfTurn), PATIENCE_MS);
  const kept = await vae.bus.readBack('latent', call.sessionId, { deadlineMs: 5000 });
  const chunks = new Map(kept.map(({ payload }) => [decodeLatent(payload).chunk, decodeLatent(payload)]));
  assert.deepEqual([...chunks.keys()], [0, 1, 2, 3, 4, 5, 6], 'those from before are retained again');
  assert.deepEqual(spoken([...chunks.values()], 1), [...speech]);
});
