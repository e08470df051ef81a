import { encodeAudio, encodeFrame, encodeLatent, newSessionId } from '@talkmesh/contracts';
import { createTestContext, startNatsServer } from '@talkmesh/service-kit/testing';
import { median, percentile } from '../support/statistics.js';
import type { Row } from './table.js';

const ROUNDS = 300;

interface Hop {
  readonly from: 'audio-ingest' | 'score-model' | 'vae-decode';
  readonly to: 'audio-llm-bridge' | 'vae-decode' | 'webrtc-egress';
  readonly stream: 'mic' | 'latent' | 'frame';
  readonly payload: Uint8Array;
}

function hops(sessionId: string, width: number, height: number): Hop[] {
  const head = { sessionId, epoch: 0, turn: 0, chunk: 0, mediaTimeUs: 0, deadlineUs: 0 };
  const flags = { speaking: true, degraded: false, held: false, endOfTurn: false };
  const i420 = new Uint8Array((width * height * 3) / 2);
  const spoken = { steps: 2, turnSamples: 11_520, closedTurn: 0 };
  const [values, pcm] = [new Float32Array(96), new Int16Array(11_520)];
  const latent = { ...head, ...flags, ...spoken, part: 0, parts: 1, values, pcm };
  const frame = { ...head, ...flags, frame: 0, framesInChunk: 12, width, height, i420, pcm: new Int16Array(960) };
  const audio = {
    ...head,
    sequence: 0,
    sampleRateHz: 24_000,
    pcm: new Int16Array(480),
    fromSample: 0,
    endOfTurn: false,
  };
  return [
    { from: 'audio-ingest', to: 'audio-llm-bridge', stream: 'mic', payload: encodeAudio(audio) },
    { from: 'score-model', to: 'vae-decode', stream: 'latent', payload: encodeLatent(latent) },
    { from: 'vae-decode', to: 'webrtc-egress', stream: 'frame', payload: encodeFrame(frame) },
  ];
}

/** Time from publish to the subscriber's handler through a real nats-server, one message in flight; a copy in memory is the baseline. */
export async function measureHops(chunkMs: number, width: number, height: number): Promise<Row[]> {
  await using server = await startNatsServer();
  const sessionId = newSessionId();
  const rows: Row[] = [];
  for (const hop of hops(sessionId, width, height)) {
    await using producer = await createTestContext(hop.from, {}, server.url);
    await using consumer = await createTestContext(hop.to, {}, server.url);
    let arrived: () => void = () => {};
    consumer.bus.subscribe(hop.stream, sessionId, () => arrived());
    await consumer.bus.flush();
    const [through, copies]: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      const started = performance.now();
      await new Promise<void>((resolve) => {
        arrived = resolve;
        producer.bus.publish(hop.stream, sessionId, hop.payload);
      });
      const received = performance.now();
      hop.payload.slice();
      through.push(received - started);
      copies.push(performance.now() - received);
    }
    const p50 = median(through);
    rows.push({
      hop: `${hop.from} > ${hop.to}`,
      stream: hop.stream,
      bytes: hop.payload.byteLength,
      p50Ms: p50,
      p95Ms: percentile(through, 0.95),
      'x a copy': p50 / median(copies),
      '% of a chunk': (100 * p50) / chunkMs,
    });
  }
  return rows;
}
