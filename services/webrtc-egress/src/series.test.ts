import { after, before, test } from 'node:test';
import { encodeFrame, newSessionId } from '@talkmesh/contracts';
import {
  assertSeriesStayConstant,
  createTestContext,
  type NatsServer,
  startNatsServer,
  TestWorker,
  until,
} from '@talkmesh/service-kit/testing';
import { parseConfig } from './config.js';
import { startWebrtcEgress } from './service.js';
import { testChunk } from './testing/frames.js';

let nats: NatsServer;
before(async () => {
  nats = await startNatsServer();
});
after(() => nats?.[Symbol.asyncDispose]());

const SIDE = 16;
const PATIENCE_MS = 30_000;

test('1,000 sessions leave as many time series as 10', async () => {
  await using vae = await createTestContext('vae-decode', undefined, nats.url);
  const config = { ...parseConfig({}), natsUrl: nats.url, instanceId: '' };
  const context = await createTestContext('webrtc-egress', config, nats.url);
  await using worker = await TestWorker.start(context, startWebrtcEgress);
  const egress = { sink: 'SINK_RECORD', width: SIDE, height: SIDE, fps: 25, livekit: null, disclosure: null };
  await assertSeriesStayConstant(context.metrics, async () => {
    const sessionId = newSessionId();
    await worker.open({ sessionId, takeOver: false, options: 'egress', egress: egress as never });
    for (const frame of testChunk(0, { sessionId })) vae.bus.publish('frame', sessionId, encodeFrame(frame));
    vae.bus.publish('frame', sessionId, new Uint8Array(3));
    const stats = () => worker.service.worker?.stats().find((one) => one.sessionId === sessionId);
    await until('the frames', () => (stats()?.itemsIn ?? 0) >= 12, PATIENCE_MS);
    await worker.service.worker?.close(sessionId, 'ended');
    return sessionId;
  });
});
