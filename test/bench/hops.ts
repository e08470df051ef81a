import { encodeAudio, encodeFrame, encodeLatent, newSessionId } from '@talkmesh/contracts';
import { createTestContext, startNatsServer } from '@talkmesh/service-kit/testing';
import { median, percentile } from '../support/statistics.js';
import type { Row } from './table.js';

const ROUNDS = 300;

interface Hop {
  readonly from: 'audio-ingest' | 'audio-llm-bridge' | 'score-model' | 'vae-decode';
  readonly to: 'audio-llm-bridge' | 'score-model' | 'vae-decode' | 'webrtc-egress';
  readonly stream: 'mic' | 'speech' | 'latent' | 'frame';
  readonly payload: Uint8Array;
}

function hops(sessionId: string, width: number, height: number): Hop[] {
  const head = { sessionId, epoch: 0, turn: 0, chunk: 0, mediaTimeUs: 0, deadlineUs: 0 };
  const flags = { speaking: true, degraded: false, held: false, endOfTurn: false, endsIdle: false };
  const i420 = new Uint8Array((width * height * 3) / 2);
  const spoken = { steps: 2, speechSamples: 11_520, turnSamples: 11_520, closedTurn: 0 };
  const [values, pcm] = [new Float32Array(96), new Int16Array(11_520)];
  const latent = { ...head, ...flags, ...spoken, part: 0, parts: 1, values, pcm };
  const sound = { pcm: new Int16Array(960), turnSamples: 960 };
  const frame = { ...head, ...flags, ...sound, frame: 0, framesInChunk: 12, width, height, i420 };
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
    { from: 'audio-llm-bridge', to: 'score-model', stream: 'speech', payload: encodeAudio(audio) },
    { from: 'score-model', to: 'vae-decode', stream: 'latent', payload: encodeLatent(latent) },
    { from: 'vae-decode', to: 'webrtc-egress', stream: 'frame', payload: encodeFrame(frame) },
  ];
}

/** A sender and a receiver of one hop on one server. */
async function way(hop: Hop, sessionId: string, url: string, retained: boolean) {
  const producer = await createTestContext(hop.from, {}, url);
  const consumer = await createTestContext(hop.to, {}, url);
  if (retained) await producer.retain();
  let arrived: () => void = () => {};
  consumer.bus.subscribe(hop.stream, sessionId, () => arrived());
  await consumer.bus.flush();
  return {
    async once(): Promise<number> {
      const startedMs = performance.now();
      await new Promise<void>((resolve) => {
        arrived = resolve;
        producer.bus.publish(hop.stream, sessionId, hop.payload);
      });
      return performance.now() - startedMs;
    },
    async [Symbol.asyncDispose]() {
      await producer[Symbol.asyncDispose]();
      await consumer[Symbol.asyncDispose]();
    },
  };
}

/**
 * Time from publish to the subscriber's handler through a real nats-server, one message in flight; a copy in memory is the baseline.
 * Rounds alternate with a second server that retains what a takeover needs. The streams that are not retained show the noise.
 */
export async function measureHops(chunkMs: number, width: number, height: number): Promise<Row[]> {
  await using server = await startNatsServer();
  await using retaining = await startNatsServer();
  const sessionId = newSessionId();
  const rows: Row[] = [];
  for (const hop of hops(sessionId, width, height)) {
    await using plain = await way(hop, sessionId, server.url, false);
    await using retained = await way(hop, sessionId, retaining.url, true);
    const [through, kept, copies]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < ROUNDS; round++) {
      through.push(await plain.once());
      kept.push(await retained.once());
      const startedMs = performance.now();
      hop.payload.slice();
      copies.push(performance.now() - startedMs);
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
      'x retaining': median(kept) / p50,
      'p95 x retaining': percentile(kept, 0.95) / percentile(through, 0.95),
    });
  }
  return rows;
}
