import { after, before, test } from 'node:test';
import { encodeAudio, encodePlayhead, newSessionId } from '@talkmesh/contracts';
import {
  assertSeriesStayConstant,
  createTestContext,
  type NatsServer,
  startNatsServer,
  TestWorker,
  until,
} from '@talkmesh/service-kit/testing';
import { parseConfig } from './config.js';
import { startBridge } from './service.js';

let nats: NatsServer;
before(async () => {
  nats = await startNatsServer();
});
after(() => nats?.[Symbol.asyncDispose]());

const PATIENCE_MS = 30_000;
const SAMPLES = 4800;

test('1,000 sessions leave as many time series as 10', async () => {
  await using ingest = await createTestContext('audio-ingest', undefined, nats.url);
  await using egress = await createTestContext('webrtc-egress', undefined, nats.url);
  const config = { ...parseConfig({}), natsUrl: nats.url, instanceId: '' };
  const context = await createTestContext('audio-llm-bridge', config, nats.url);
  await using worker = await TestWorker.start(context, startBridge);
  await assertSeriesStayConstant(context.metrics, async () => {
    const sessionId = newSessionId();
    const header = { sessionId, epoch: 0, turn: 0, chunk: 0, mediaTimeUs: 0, deadlineUs: 0 };
    const told: string[] = [];
    egress.bus.subscribeEvents(sessionId, ({ type }) => void told.push(type));
    await egress.bus.flush();
    const bridge = { provider: 'external' };
    await worker.open({ sessionId, takeOver: false, options: 'bridge', bridge: bridge as never });
    const audio = { ...header, sequence: 0, sampleRateHz: 24_000, pcm: new Int16Array(SAMPLES), fromSample: 0 };
    ingest.bus.publish('mic', sessionId, encodeAudio({ ...audio, endOfTurn: true }));
    await until('the turn', () => told.includes('turn.queued'), PATIENCE_MS);
    const played = { ...header, turn: 1, frame: 0, creditChunks: 2, heldFrames: 0, turnPlayedMs: SAMPLES / 24 };
    egress.bus.publish('playhead', sessionId, encodePlayhead(played), { 'webrtc-egress': 5 });
    await until('its end', () => told.includes('turn.finished'), PATIENCE_MS);
    await worker.service.worker?.close(sessionId, 'ended');
    return sessionId;
  });
});
