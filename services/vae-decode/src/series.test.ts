import { after, before, test } from 'node:test';
import { encodeLatent, newSessionId } from '@talkmesh/contracts';
import { loadModel } from '@talkmesh/inference';
import { createFixtureModel, type FixtureModel } from '@talkmesh/inference/testing';
import {
  assertSeriesStayConstant,
  createTestContext,
  type NatsServer,
  startNatsServer,
  TestWorker,
} from '@talkmesh/service-kit/testing';
import { parseConfig } from './config.js';
import { startVaeDecode } from './service.js';
import { Peers } from './testing/peers.js';

let nats: NatsServer;
let fixture: FixtureModel;
before(async () => {
  nats = await startNatsServer();
  fixture = await createFixtureModel();
});
after(async () => {
  await fixture?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

test('1,000 sessions leave as many time series as 10', async () => {
  const config = parseConfig({ TALKMESH_MODEL: fixture.folder, TALKMESH_UTILISATION_MAX: '10' });
  await using peers = await Peers.connect(nats.url);
  await using score = await createTestContext('score-model', undefined, nats.url);
  const context = await createTestContext('vae-decode', { ...config, natsUrl: nats.url, instanceId: '' }, nats.url);
  await using worker = await TestWorker.start(context, startVaeDecode);
  const { geometry } = await loadModel(fixture.folder);
  const chunk = {
    ...{ epoch: 0, turn: 0, chunk: 0, mediaTimeUs: 0, deadlineUs: 0, part: 0, parts: 1, steps: 2 },
    ...{ speaking: false, degraded: false, held: false, endOfTurn: false, endsIdle: false },
    ...{ speechSamples: 0, turnSamples: 0, closedTurn: 0 },
    values: new Float32Array(geometry.latentValues),
    pcm: new Int16Array(geometry.samplesPerChunk),
  };
  await assertSeriesStayConstant(context.metrics, async () => {
    const sessionId = newSessionId();
    await peers.watch(sessionId);
    await worker.open({ sessionId, takeOver: false, options: 'decode', decode: { avatar: 'ada', size: 0 } });
    score.bus.publish('latent', sessionId, encodeLatent({ ...chunk, sessionId }));
    await peers.framesUntil(sessionId, geometry.framesPerChunk);
    await worker.service.worker?.close(sessionId, 'ended');
    return sessionId;
  });
});
