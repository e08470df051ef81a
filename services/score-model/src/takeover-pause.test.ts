import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { waitUntil } from '@talkmesh/service-kit';
import {
  Call,
  model,
  PATIENCE_MS,
  peer,
  setUp,
  spoken,
  tearDown,
  tone,
  uninterrupted,
  Wire,
  Worker,
} from './testing/score-workers.js';

before(setUp);
after(tearDown);

test('a worker dies in a pause: its successor stays silent and alive, and goes on with the sample where it stopped', async () => {
  const call = await Call.begin();
  const { samplesPerChunk } = model.geometry;
  const speech = tone(Math.round(samplesPerChunk * 7.3));
  const ask = (type: 'pause' | 'resume'): void =>
    peer.bus.publishEvent({ type, sid: call.sessionId, epoch: 0, turn: 0 });
  const told = (): string[] => call.events.flatMap(({ type }) => (type.startsWith('turn.') ? [type] : []));
  await using first = await Worker.start();
  await first.open(call.sessionId, false, false);
  call.speak(1, speech);
  await peer.bus.flush();
  call.grant(0, 4);
  assert.ok(await waitUntil(() => call.standing().filter(({ turn }) => turn === 1).length >= 3, PATIENCE_MS));
  call.grant(1, 4);
  assert.ok(await waitUntil(() => (call.standing().at(-1)?.chunk ?? 0) >= 4, PATIENCE_MS));
  ask('pause');
  assert.ok(await waitUntil(() => told().includes('turn.paused'), PATIENCE_MS));
  const at = call.events.find(({ type }) => type === 'turn.paused');
  call.grant(3, 4);
  assert.ok(await waitUntil(() => (call.standing().at(-1)?.chunk ?? 0) >= 6, PATIENCE_MS));
  assert.ok(at?.type === 'turn.paused' && at.turn === 1 && at.heardMs > 0, JSON.stringify(at));
  await first.die();
  await using second = await Worker.start();
  await second.open(call.sessionId, true, false);
  assert.equal(second.service.worker?.stats()[0]?.paused, true);
  call.grant(6, 4);
  assert.ok(await waitUntil(() => (call.standing().at(-1)?.chunk ?? 0) >= 9, PATIENCE_MS));
  const paused = call.standing().filter(({ turn, chunk }) => turn === 0 && chunk > 0);
  assert.ok(paused.length >= 6 && paused.some(({ epoch }) => epoch >= 16), 'both made idle chunks');
  const heardMs = (spoken(call.standing(), 1).length * 1000) / SPEECH_RATE_HZ;
  assert.equal(at.heardMs, heardMs);
  ask('resume');
  for (let chunk = 7; !call.standing().some(({ endOfTurn }) => endOfTurn); chunk++) {
    assert.ok(chunk < 40);
    call.grant(chunk, 4);
    await waitUntil(() => (call.standing().at(-1)?.chunk ?? 0) >= chunk + 3, PATIENCE_MS);
  }
  assert.deepEqual(spoken(call.standing(), 1), [...speech], 'every sample once, in order');
  assert.deepEqual(told(), ['turn.paused', 'turn.resumed'], 'listeners are told once');
  const made = call.standing();
  assert.deepEqual(
    made.map(({ values }) => values),
    await uninterrupted(made),
    'bit for bit',
  );
});

test("a worker's wire is cut in a pause that ends meanwhile: it hears of it, and speaks", async () => {
  const call = await Call.begin();
  const { samplesPerChunk } = model.geometry;
  const speech = tone(samplesPerChunk * 5);
  await using wire = await Wire.to();
  await using worker = await Worker.start({}, wire.url);
  await worker.open(call.sessionId);
  const ask = (type: 'pause' | 'resume'): void =>
    peer.bus.publishEvent({ type, sid: call.sessionId, epoch: 0, turn: 0 });
  ask('pause');
  assert.ok(await waitUntil(() => call.events.some(({ type }) => type === 'turn.paused'), PATIENCE_MS));
  await wire.cut();
  assert.ok(await waitUntil(() => !worker.context.bus.connected, PATIENCE_MS));
  call.speak(1, speech);
  ask('resume');
  await peer.bus.flush();
  await wire.join();
  assert.ok(await waitUntil(() => worker.context.bus.connected, PATIENCE_MS));
  call.grant(0, 8);
  assert.ok(await waitUntil(() => call.standing().some(({ endOfTurn }) => endOfTurn), PATIENCE_MS));
  assert.deepEqual(spoken(call.standing(), 1), [...speech]);
});
