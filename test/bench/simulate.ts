/**
 * What the design holds at 10, 1,000 and 100,000 calls, from the times of single chunks and the sizes of messages. Measured
 * numbers come from `bench sessions` on the machine at hand or from a file; those of large models are derived, and say so.
 */
import { AUDIO_FRAME_MS, HEADER_BYTES, type ModelManifest, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { seededRandom } from '../support/seeded-random.js';
import { drawTimes, simulateQueues } from './simulation/queues.js';
import type { Row } from './table.js';

/** A model and the devices that a worker of it has. */
export interface Shape {
  readonly name: string;
  /** Where the numbers come from. */
  readonly basis: 'measured' | 'derived';
  readonly chunkMs: number;
  readonly steps: number;
  readonly fps: number;
  readonly width: number;
  readonly height: number;
  /** Bytes of one chunk's latents as they travel. */
  readonly latentBytes: number;
  readonly scoreMs: { readonly median: number; readonly p95: number };
  readonly decodeMs: { readonly median: number; readonly p95: number };
  /** Devices of one score worker, and chunks under way at once on them. */
  readonly scoreDevices: number;
  readonly scoreDepth: number;
  readonly leadChunks: number;
  /** State of one session on a score worker, bytes: K/V of c_0 and of every chunk that can be rolled back. */
  readonly stateBytes: number;
  /** What a worker has for state, beside the weights, bytes. */
  readonly stateBytesMax: number;
}

const GIB = 2 ** 30;
const KV_BYTES_BF16 = 2;

/**
 * 14 B parameters at 512x512: 40 layers, width 5120, 3072 tokens a chunk (WAN facts); 98 TFLOP a pass with c_0, c_{t-1} and
 * the chunk in attention, two steps; at 400 TFLOP/s that an H100 reaches 245 ms a step, one step a device. The decoder: 26.6
 * TFLOP a chunk in convolutions, at 150 TFLOP/s. `keepChunks` beside c_0 can be rolled back.
 */
export function fourteenBillion(keepChunks: number): Shape {
  const [layers, dim, tokens, steps] = [40, 5120, 3072, 2];
  const chunkBytes = 2 * layers * dim * tokens * KV_BYTES_BF16 * steps;
  return {
    name: `14B, 512x512, ${keepChunks} chunks kept`,
    basis: 'derived',
    chunkMs: 480,
    steps,
    fps: 25,
    width: 512,
    height: 512,
    latentBytes: 16 * 3 * 64 * 64 * 4,
    scoreMs: { median: 490, p95: 515 },
    decodeMs: { median: 177, p95: 190 },
    scoreDevices: 2,
    scoreDepth: 2,
    // A chunk takes longer than its own time to make and decode, so it is begun two chunks ahead.
    leadChunks: 3,
    stateBytes: (1 + keepChunks) * chunkBytes,
    // Two H100 of 80 GiB, 28 GiB of weights on each, and room to work.
    stateBytesMax: 2 * (80 - 28 - 8) * GIB,
  };
}

/** The model that ships, from measured times. */
export function measuredShape(
  manifest: ModelManifest,
  chunkMs: number,
  stateBytes: number,
  times: Pick<Shape, 'scoreMs' | 'decodeMs'>,
): Shape {
  const { latent, chunk, score, fps, width, height } = manifest;
  return {
    name: manifest.name,
    basis: 'measured',
    chunkMs,
    steps: score.schedule.length,
    fps,
    width,
    height,
    latentBytes: 4 * chunk.latentFrames * latent.channels * latent.height * latent.width,
    ...times,
    scoreDevices: 1,
    scoreDepth: 1,
    leadChunks: 2,
    stateBytes,
    stateBytesMax: GIB,
  };
}

export interface Traffic {
  readonly messagesPerS: number;
  readonly bytesPerS: number;
  readonly frameBytesPerS: number;
}

/** What one call sends through NATS while it is spoken in half of the time; every message once in, once out. */
export function trafficOfCall(shape: Shape): Traffic {
  const chunksPerS = 1000 / shape.chunkMs;
  const audioBytes = (ms: number): number => (2 * SPEECH_RATE_HZ * ms) / 1000;
  const audioPerS = 1000 / AUDIO_FRAME_MS;
  const frame = HEADER_BYTES + (shape.width * shape.height * 3) / 2 + audioBytes(1000 / shape.fps);
  const streams = [
    { perS: audioPerS, bytes: HEADER_BYTES + audioBytes(AUDIO_FRAME_MS) },
    { perS: audioPerS / 2, bytes: HEADER_BYTES + audioBytes(AUDIO_FRAME_MS) },
    { perS: chunksPerS, bytes: HEADER_BYTES + shape.latentBytes + audioBytes(shape.chunkMs) },
    { perS: shape.fps, bytes: frame },
    { perS: shape.fps / 4, bytes: HEADER_BYTES },
    { perS: 0.5, bytes: 300 },
  ];
  return {
    messagesPerS: streams.reduce((sum, { perS }) => sum + perS, 0),
    bytesPerS: streams.reduce((sum, { perS, bytes }) => sum + perS * bytes, 0),
    frameBytesPerS: shape.fps * frame,
  };
}

export interface WorkerLoad {
  readonly sessions: number;
  readonly latencyP95Ms: number;
  readonly lateShare: number;
  readonly degradedShare: number;
}

const SIMULATED_SECONDS = 600;
/** On time, and whole: what a call is promised. */
const MOST_LATE = 0.01;
const MOST_SESSIONS = 64;
const DOWNSTREAM = { score: 80, decode: 20 } as const;

export function simulateWorker(shape: Shape, sessions: number): WorkerLoad {
  const random = seededRandom(sessions);
  const { latenciesMs, lateShare, degradedShare } = simulateQueues({
    sessions,
    chunkMs: shape.chunkMs,
    steps: shape.steps,
    scoreMs: drawTimes(shape.scoreMs.median, shape.scoreMs.p95, random),
    decodeMs: drawTimes(shape.decodeMs.median, shape.decodeMs.p95, random),
    hopMs: drawTimes(0.5, 2, random),
    scoreDownstreamMs: DOWNSTREAM.score,
    decodeDownstreamMs: DOWNSTREAM.decode,
    scoreDepth: shape.scoreDepth,
    leadChunks: shape.leadChunks,
    seconds: SIMULATED_SECONDS,
    random,
  });
  const sorted = [...latenciesMs].sort((a, b) => a - b);
  return { sessions, latencyP95Ms: sorted[Math.floor(0.95 * sorted.length)] ?? 0, lateShare, degradedShare };
}

export interface Capacity {
  readonly byTime: number;
  readonly byState: number;
  readonly load: WorkerLoad;
}

/** Sessions that one score worker and one decoder hold: the most with at most 1 % late and 1 % degraded. */
export function capacityOf(shape: Shape): Capacity {
  let load = simulateWorker(shape, 1);
  let byTime = load.lateShare <= MOST_LATE && load.degradedShare <= MOST_LATE ? 1 : 0;
  while (byTime > 0 && byTime < MOST_SESSIONS) {
    const next = simulateWorker(shape, byTime + 1);
    if (next.lateShare > MOST_LATE || next.degradedShare > MOST_LATE) break;
    load = next;
    byTime += 1;
  }
  return { byTime, byState: Math.floor(shape.stateBytesMax / shape.stateBytes), load };
}

export function capacityRows(shapes: readonly Shape[]): Row[] {
  return shapes.map((shape) => {
    const { byTime, byState, load } = capacityOf(shape);
    return {
      model: shape.name,
      numbers: shape.basis,
      'calls by time': byTime,
      'calls by state': byState,
      'state MiB a call': shape.stateBytes / 2 ** 20,
      'chunk p95 ms': load.latencyP95Ms,
      'late %': 100 * load.lateShare,
      'degraded %': 100 * load.degradedShare,
    };
  });
}

const CALLS = [10, 1000, 100_000];
/** What one machine's network card and one nats-server core carry; see docs/scaling.md. */
const NIC_BYTES_PER_S = 25e9 / 8;

export function scaleRows(shapes: readonly Shape[]): Row[] {
  return shapes.flatMap((shape) => {
    const { byTime, byState } = capacityOf(shape);
    const each = Math.min(byTime, byState);
    const { messagesPerS, bytesPerS } = trafficOfCall(shape);
    return CALLS.map((calls) => {
      const workers = each === 0 ? Number.NaN : Math.ceil(calls / each);
      return {
        model: shape.name,
        calls,
        'worker pairs': workers,
        devices: workers * (shape.scoreDevices + 1),
        'state GiB': (calls * shape.stateBytes) / GIB,
        'NATS messages/s': calls * messagesPerS,
        'NATS GB/s in': (calls * bytesPerS) / 1e9,
        'NATS servers by network': Math.ceil((2 * calls * bytesPerS) / NIC_BYTES_PER_S),
        'registry writes/s': (2 * workers) / 2,
      };
    });
  });
}
