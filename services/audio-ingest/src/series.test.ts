import { after, before, test } from 'node:test';
import { encodePlayhead, newSessionId } from '@talkmesh/contracts';
import {
  assertSeriesStayConstant,
  createTestContext,
  type NatsServer,
  startNatsServer,
  TestWorker,
} from '@talkmesh/service-kit/testing';
import { parseConfig } from './config.js';
import { startAudioIngest } from './service.js';

let nats: NatsServer;
before(async () => {
  nats = await startNatsServer();
});
after(() => nats?.[Symbol.asyncDispose]());

test('1,000 sessions leave as many time series as 10', async () => {
  await using egress = await createTestContext('webrtc-egress', undefined, nats.url);
  const config = { ...parseConfig({}), natsUrl: nats.url, instanceId: '' };
  const context = await createTestContext('audio-ingest', config, nats.url);
  await using worker = await TestWorker.start(context, startAudioIngest);
  await assertSeriesStayConstant(context.metrics, async () => {
    const sessionId = newSessionId();
    const ingest = { vad: true, room: null };
    await worker.open({ sessionId, takeOver: false, options: 'ingest', ingest: ingest as never });
    const header = { sessionId, epoch: 0, turn: 0, chunk: 0, mediaTimeUs: 0, deadlineUs: 0 };
    const playhead = encodePlayhead({ ...header, frame: 0, creditChunks: 2, heldFrames: 0, turnPlayedMs: 0 });
    egress.bus.publish('playhead', sessionId, playhead);
    egress.bus.publish('playhead', sessionId, new Uint8Array(3));
    await egress.bus.flush();
    await context.bus.flush();
    await worker.service.worker?.close(sessionId, 'ended');
    return sessionId;
  });
});
