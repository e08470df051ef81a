/** Score workers of this process between a real NATS server and peers that send what a bridge and an egress would. */
import { after, before } from 'node:test';
import {
  decodeEvent,
  decodeLatent,
  encodeAudio,
  encodePlayhead,
  type LatentMessage,
  type MeshEvent,
  newSessionId,
  qualityTier,
  SPEECH_RATE_HZ,
} from '@talkmesh/contracts';
import { createOrtExecutor, loadModel, loadScoreEngine, type Model } from '@talkmesh/inference';
import { createFixtureModel, type FixtureModel } from '@talkmesh/inference/testing';
import {
  collect,
  createTestContext,
  type NatsServer,
  startNatsServer,
  type TestContext,
  TestWorker,
  until,
} from '@talkmesh/service-kit/testing';
import { parseConfig } from '../config.js';
import { startScoreModel } from '../service.js';

export const PATIENCE_MS = 30_000;
const BLOCK = 480;
const SEED = 7;

export let nats: NatsServer;
export let fixture: FixtureModel;
export let model: Model;
export let peer: TestContext<object>;
export let egress: TestContext<object>;
export let vae: TestContext<object>;

async function setUp(): Promise<void> {
  nats = await startNatsServer();
  fixture = await createFixtureModel({ best: [1, 0.85, 0.6, 0.3] });
  model = await loadModel(fixture.folder);
  peer = await createTestContext('audio-llm-bridge', undefined, nats.url);
  egress = await createTestContext('webrtc-egress', undefined, nats.url);
  vae = await createTestContext('vae-decode', undefined, nats.url);
  await peer.retain();
}
async function tearDown(): Promise<void> {
  for (const part of [peer, egress, vae, fixture, nats]) await part?.[Symbol.asyncDispose]();
}

/** For the tests of this file: a NATS server, a small model and the neighbours of score workers. */
export function useScoreWorkers(): void {
  before(setUp);
  after(tearDown);
}

export type ScoreWorker = TestWorker<ReturnType<typeof parseConfig>>;

export async function startWorker(natsUrl = nats.url): Promise<ScoreWorker> {
  const env = { TALKMESH_NATS_URL: natsUrl, TALKMESH_MODEL: fixture.folder, TALKMESH_UTILISATION_MAX: '1' };
  const context = await createTestContext('score-model', { ...parseConfig(env), instanceId: '' }, natsUrl);
  return TestWorker.start(context, startScoreModel);
}

export function openOn(
  worker: ScoreWorker,
  sessionId: string,
  takeOver = false,
  unpaced = true,
  quality = '',
): Promise<void> {
  const score = { avatar: 'ada', seed: SEED, unpaced, quality };
  return worker.open({ sessionId, takeOver, options: 'score', score });
}

/** A session as its other services observe it. */
export class ObservedSession {
  readonly sessionId = newSessionId();
  readonly latents: LatentMessage[] = collect(vae.bus, 'latent', this.sessionId, decodeLatent);
  readonly events: MeshEvent[] = collect(vae.bus, 'event', this.sessionId, decodeEvent);
  #sequence = 0;
  #sent = 0;

  static async start(): Promise<ObservedSession> {
    const call = new ObservedSession();
    await vae.bus.flush();
    return call;
  }

  speak(
    turn: number,
    pcm: Int16Array,
    options: { endOfTurn?: boolean; fromSample?: number; lose?: (at: number) => boolean } = {},
  ): void {
    const { endOfTurn = true, fromSample = 0, lose = () => false } = options;
    for (let at = 0; at < pcm.length; at += BLOCK) {
      const header = { sessionId: this.sessionId, epoch: 0, turn, chunk: 0, mediaTimeUs: 0, deadlineUs: 0 };
      const last = at + BLOCK >= pcm.length;
      const message = {
        ...header,
        sequence: this.#sequence++,
        sampleRateHz: SPEECH_RATE_HZ,
        pcm: pcm.slice(at, at + BLOCK),
      };
      this.#sent += 1;
      const bytes = encodeAudio({ ...message, fromSample: fromSample + at, endOfTurn: endOfTurn && last });
      if (!lose(at)) peer.bus.publish('speech', this.sessionId, bytes);
    }
  }

  grant(chunk: number, creditChunks: number): void {
    const newest = Math.max(0, ...this.events.map((event) => event.epoch));
    const epoch = this.currentChunks().find((latent) => latent.chunk === chunk)?.epoch ?? newest;
    const header = { sessionId: this.sessionId, epoch, turn: 0, chunk, mediaTimeUs: 0, deadlineUs: 0 };
    const message = { ...header, frame: 0, creditChunks, heldFrames: 0, turnPlayedMs: 0 };
    egress.bus.publish('playhead', this.sessionId, encodePlayhead(message));
  }

  /** The current chunks in order: the newest epoch of each, without flushed ones. */
  currentChunks(): LatentMessage[] {
    const chunks = new Map<number, LatentMessage>();
    for (const latent of this.latents) {
      const isFlushed = this.events.some(
        (event) => event.type === 'flush' && latent.epoch < event.epoch && latent.chunk >= event.fromChunk,
      );
      if (!isFlushed) chunks.set(latent.chunk, latent);
    }
    return [...chunks.values()].sort((a, b) => a.chunk - b.chunk);
  }

  async until(count: number): Promise<void> {
    await until(`${count} chunks`, () => this.currentChunks().length >= count, PATIENCE_MS);
  }
}

export const tone = (samples: number): Int16Array =>
  Int16Array.from({ length: samples }, (_, i) => Math.round(9000 * Math.sin((i * i) / 4e6) + (i % 97)));

export const spoken = (latents: readonly LatentMessage[], turn: number): number[] => {
  let before = 0;
  return latents.flatMap((latent) => {
    if (latent.turn !== turn) return [];
    const samples = latent.turnSamples - before;
    before = latent.turnSamples;
    return [...latent.pcm.subarray(0, samples)];
  });
};

/** The latents an uninterrupted session makes of the same chunks. */
export async function uninterrupted(latents: readonly LatentMessage[], quality = ''): Promise<Float32Array[]> {
  await using executor = createOrtExecutor({ threads: 1 });
  await using engine = await loadScoreEngine(model, executor);
  const session = await engine.openSession({
    ...{ avatar: 'ada', seed: SEED, keepChunks: 1 },
    tier: qualityTier(model.manifest, quality),
  });
  const made: Float32Array[] = [];
  for (const { chunk, pcm } of latents) made.push((await session.generate(chunk, pcm))?.values ?? new Float32Array(0));
  session.dispose();
  return made;
}
