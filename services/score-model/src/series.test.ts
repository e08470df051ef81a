import { test } from 'node:test';
import { assertSeriesStayConstant } from '@talkmesh/service-kit/testing';
import { ObservedSession, openOn, startWorker, tone, useScoreWorkers } from './testing/score-workers.js';

useScoreWorkers();

test('1,000 sessions leave as many time series as 10', async () => {
  await using worker = await startWorker();
  const speech = tone(24_000);
  await assertSeriesStayConstant(worker.context.metrics, async () => {
    const call = await ObservedSession.start();
    await openOn(worker, call.sessionId);
    call.grant(0, 1);
    call.speak(1, speech);
    await call.until(1);
    await worker.service.worker?.close(call.sessionId, 'ended');
    return call.sessionId;
  });
});
