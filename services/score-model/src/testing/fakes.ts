/** A virtual clock, and a generator that records its requests. */

import type { Clock } from '@talkmesh/chunk-worker';
import { chunkGeometry, type PlayheadMessage } from '@talkmesh/contracts';
import type { GeneratedChunk } from '@talkmesh/inference';
import type { SessionOptions } from '../chunk-planner.js';
import type { ChunkGenerator } from '../scheduler.js';

const WALL_US = 1_800_000_000_000_000;

export const SESSION = '0123456789abcdefghjk';

export const geometry = chunkGeometry({
  fps: 25,
  chunk: { latentFrames: 3, temporalCompression: 4 },
  latent: { channels: 8, height: 2, width: 2 },
  audio: { sampleRateHz: 24_000 },
});

export class FakeClock implements Clock {
  #ms = 5000;
  #sleepers: { atMs: number; wake: () => void }[] = [];

  nowMs(): number {
    return this.#ms;
  }

  wallUs(): number {
    return WALL_US + this.#ms * 1000;
  }

  traceUs(): number {
    return this.#ms * 1000;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((wake) => {
      this.#sleepers.push({ atMs: this.#ms + ms, wake });
      signal.addEventListener('abort', () => wake(), { once: true });
    });
  }

  advance(ms: number): void {
    this.#ms += ms;
    for (const { wake } of this.#sleepers.filter(({ atMs }) => atMs <= this.#ms)) wake();
    this.#sleepers = this.#sleepers.filter(({ atMs }) => atMs > this.#ms);
  }
}

export class FakeGenerator implements ChunkGenerator {
  readonly asked: { chunk: number; pcm: Int16Array; maxSteps: number | undefined }[] = [];
  readonly rollbacks: number[] = [];
  disposed = false;
  /** Called in the middle of a chunk. */
  during: () => void | Promise<void> = () => undefined;
  readonly #steps: number;
  #abandoned = false;

  constructor(steps = 2) {
    this.#steps = steps;
  }

  async generate(chunk: number, pcm: Int16Array, maxSteps?: number): Promise<GeneratedChunk | undefined> {
    this.asked.push({ chunk, pcm, maxSteps });
    this.#abandoned = false;
    await this.during();
    if (this.#abandoned) return undefined;
    const steps = Math.min(this.#steps, maxSteps ?? this.#steps);
    return { values: new Float32Array(steps === 0 ? 0 : geometry.latentValues).fill(chunk), steps };
  }

  rollback(fromChunk: number): void {
    this.rollbacks.push(fromChunk);
    if ((this.asked.at(-1)?.chunk ?? -1) >= fromChunk) this.#abandoned = true;
  }

  dispose(): void {
    this.disposed = true;
  }
}

export const sessionOptions = (changes: Partial<SessionOptions> = {}): SessionOptions => ({
  sessionId: SESSION,
  epoch: 0,
  unpaced: false,
  leadChunks: 2,
  maxLeadChunks: 8,
  speechGraceMs: 120,
  flushMarginMs: 80,
  maxSpeechSamples: 240_000,
  ...changes,
});

export function playheadAt(chunk: number, frame: number, creditChunks = 2, sessionId = SESSION): PlayheadMessage {
  const mediaTimeUs = (chunk * geometry.framesPerChunk + frame) * 40_000;
  return {
    sessionId,
    epoch: 0,
    turn: 0,
    chunk,
    frame,
    mediaTimeUs,
    deadlineUs: 0,
    creditChunks,
    heldFrames: 0,
    turnPlayedMs: 0,
  };
}

/** Speech of whole and part chunks. */
export const chunks = (count: number): Int16Array =>
  new Int16Array(Math.round(count * geometry.samplesPerChunk)).fill(1000);
