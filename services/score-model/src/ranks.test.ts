/** A score worker with a parallel plan: what becomes of it when one of its ranks dies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { newSessionId } from '@talkmesh/contracts';
import { createFixtureModel } from '@talkmesh/inference/testing';
import { waitUntil } from '@talkmesh/service-kit';
import { createTestContext, startNatsServer } from '@talkmesh/service-kit/testing';
import { parseConfig } from './config.js';
import { startScoreModel } from './service.js';

test('a rank that dies is counted, its group starts again and takes calls', async () => {
  await using nats = await startNatsServer();
  await using fixture = await createFixtureModel();
  const threads: Worker[] = [];
  const keep = (thread: Worker): unknown => threads.push(thread);
  process.on('worker', keep);
  const config = parseConfig({
    ...{ TALKMESH_NATS_URL: nats.url, TALKMESH_MODEL: fixture.folder, TALKMESH_UTILISATION_MAX: '1' },
    ...{ TALKMESH_SEQUENCE_RANKS: '2', TALKMESH_STEP_RANKS: '2' },
  });
  await using context = await createTestContext('score-model', { ...config, instanceId: '' }, nats.url);
  await context.retain();
  await using service = await startScoreModel(context);
  process.off('worker', keep);
  const restarts = async (): Promise<string[]> =>
    (await context.metrics.registry.metrics())
      .split('\n')
      .filter((line) => line.startsWith('talkmesh_rank_group_restarts_total{'));
  assert.equal(threads.length, 1 + 4, 'the thread of the executor, then the ranks');
  assert.deepEqual(await restarts(), []);
  threads.at(-1)?.postMessage({ op: 'leave', code: 1 });
  assert.ok(await waitUntil(() => threads.at(-1)?.threadId === -1, 20_000), 'it is gone');
  const sessionId = newSessionId();
  const score = { avatar: 'ada', seed: 1, unpaced: true, quality: '' };
  const request = { sessionId, epoch: 0, takeOver: false, instanceId: '', options: 'score' as const, score };
  const opened = () =>
    service.worker?.open(request, new AbortController().signal).then(
      () => true,
      () => false,
    );
  let isOpen = false;
  for (const end = Date.now() + 20_000; !isOpen && Date.now() < end; ) isOpen = (await opened()) ?? false;
  assert.ok(isOpen, 'the group is back');
  assert.deepEqual(await restarts(), ['talkmesh_rank_group_restarts_total{reason="exit"} 1']);
  await service.worker?.close(sessionId, 'ended');
});
