/** Sessions of several qualities on real workers: takeover, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  model,
  ObservedSession,
  openOn,
  startWorker,
  tone,
  uninterrupted,
  useScoreWorkers,
} from './testing/score-workers.js';

useScoreWorkers();

test('a session of best quality moves to another worker and goes on bit for bit in its own steps', async () => {
  const call = await ObservedSession.start();
  const speech = tone(Math.round(model.geometry.samplesPerChunk * 15.5));
  await using first = await startWorker();
  await openOn(first, call.sessionId, false, true, 'best');
  assert.equal(await first.metric('talkmesh_quality_sessions', { quality: 'best' }), 1);
  call.grant(0, 8);
  call.speak(1, speech);
  await call.until(8);
  call.grant(6, 8);
  await call.until(12);
  await first.die();
  await using second = await startWorker();
  await openOn(second, call.sessionId, true, true, '3x4');
  for (let chunk = 7; call.currentChunks().at(-1)?.endOfTurn !== true; chunk++) {
    call.grant(chunk, 8);
    await call.until(Math.min(16, chunk + 8));
  }
  const latents = call.currentChunks();
  assert.deepEqual([...new Set(latents.map(({ steps, degraded }) => `${steps} ${degraded}`))], ['4 false']);
  assert.ok(latents.some(({ epoch }) => epoch > 0));
  assert.deepEqual(
    latents.map(({ values }) => values),
    await uninterrupted(latents, 'best'),
  );
  assert.equal(await second.metric('talkmesh_takeovers_total', { outcome: 'exact' }), 1);
});

test('a quality that the model does not have is refused, and takes no place', async () => {
  await using worker = await startWorker();
  const { sessionId } = await ObservedSession.start();
  await assert.rejects(openOn(worker, sessionId, false, true, 'fast'), {
    reason: 'ARGUMENT_INVALID',
    message: /has no quality fast; possible: balanced \(3x2\), best \(3x4\)/,
  });
  assert.equal(await worker.metric('talkmesh_expected_utilisation_ratio', {}), 0);
  await openOn(worker, sessionId, false, true, 'best');
  const dear = await worker.metric('talkmesh_admitted_state_bytes', {});
  const { sessionId: other } = await ObservedSession.start();
  await openOn(worker, other);
  assert.ok(dear > (await worker.metric('talkmesh_admitted_state_bytes', {})) - dear, 'more steps hold more state');
});
