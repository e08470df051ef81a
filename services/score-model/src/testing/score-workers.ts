/** Score workers of this process between a real NATS server and neighbours that say what a bridge and an egress would. */
import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import {
  decodeEvent,
  decodeLatent,
  encodeAudio,
  encodePlayhead,
  type LatentMessage,
  type MeshEvent,
  newSessionId,
  SPEECH_RATE_HZ,
} from '@talkmesh/contracts';
import { createOrtExecutor, loadModel, type Model, ScoreEngine } from '@talkmesh/inference';
import { createFixtureModel, type FixtureModel } from '@talkmesh/inference/testing';
import { type RunningService, waitUntil } from '@talkmesh/service-kit';
import { createTestContext, type NatsServer, startNatsServer, type TestContext } from '@talkmesh/service-kit/testing';
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

/** Starts a NATS server, a small model and the neighbours of score workers. */
export async function setUp(): Promise<void> {
  nats = await startNatsServer();
  fixture = await createFixtureModel();
  model = await loadModel(fixture.folder);
  peer = await createTestContext('audio-llm-bridge', undefined, nats.url);
  egress = await createTestContext('webrtc-egress', undefined, nats.url);
  vae = await createTestContext('vae-decode', undefined, nats.url);
  await peer.retain();
}
export async function tearDown(): Promise<void> {
  for (const part of [peer, egress, vae, fixture, nats]) await part?.[Symbol.asyncDispose]();
}

/** One score worker of this process; `die` ends it as SIGKILL would: its connection is gone, nothing is closed or said. */
export class Worker implements AsyncDisposable {
  readonly context: TestContext<ReturnType<typeof parseConfig>>;
  readonly service: RunningService;

  private constructor(context: TestContext<ReturnType<typeof parseConfig>>, service: RunningService) {
    this.context = context;
    this.service = service;
  }

  static async start(env: NodeJS.ProcessEnv = {}, natsUrl = nats.url): Promise<Worker> {
    const config = parseConfig({
      TALKMESH_NATS_URL: natsUrl,
      TALKMESH_MODEL: fixture.folder,
      TALKMESH_UTILISATION_MAX: '1',
      ...env,
    });
    const context = await createTestContext('score-model', { ...config, instanceId: '' }, natsUrl);
    await context.retain();
    return new Worker(context, await startScoreModel(context));
  }

  async open(sessionId: string, resume = false, unpaced = true): Promise<void> {
    const score = { avatar: 'ada', seed: SEED, unpaced };
    const request = { sessionId, epoch: 0, resume, instanceId: '', options: 'score' as const, score };
    await this.service.worker?.open(request, new AbortController().signal);
  }

  async die(): Promise<void> {
    await this.context[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { sessionId } of this.service.worker?.stats() ?? [])
      await this.service.worker?.close(sessionId, 'ended');
    await this.context[Symbol.asyncDispose]();
    await this.service[Symbol.asyncDispose]();
  }
}

/** A way to NATS that can be cut for one worker alone. */
export class Wire implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  url = '';

  private constructor() {
    const { hostname, port } = new URL(nats.url);
    this.#server = createServer((near) => {
      const far = connect(Number(port), hostname);
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.pipe(to);
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
      }
    });
  }

  static async to(): Promise<Wire> {
    const wire = new Wire();
    await wire.join(0);
    return wire;
  }

  async join(port = Number(new URL(this.url).port)): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    const address = this.#server.address();
    this.url = `nats://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  }

  async cut(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.cut();
  }
}

/** What the others of a call see. */
export class Call {
  readonly sessionId = newSessionId();
  readonly latents: LatentMessage[] = [];
  readonly events: MeshEvent[] = [];
  #sequence = 0;
  #sent = 0;

  static async begin(): Promise<Call> {
    const call = new Call();
    vae.bus.subscribe('latent', call.sessionId, (payload) => void call.latents.push(decodeLatent(payload)));
    vae.bus.subscribe('event', call.sessionId, (payload) => void call.events.push(decodeEvent(payload)));
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
    const epoch = this.standing().find((latent) => latent.chunk === chunk)?.epoch ?? newest;
    const header = { sessionId: this.sessionId, epoch, turn: 0, chunk, mediaTimeUs: 0, deadlineUs: 0 };
    const message = { ...header, frame: 0, creditChunks, heldFrames: 0, turnPlayedMs: 0 };
    egress.bus.publish('playhead', this.sessionId, encodePlayhead(message));
  }

  /** The chunks that stand, in order: of each the newest epoch, none that a flush made void. */
  standing(): LatentMessage[] {
    const chunks = new Map<number, LatentMessage>();
    for (const latent of this.latents) {
      const isVoid = this.events.some(
        (event) => event.type === 'flush' && latent.epoch < event.epoch && latent.chunk >= event.fromChunk,
      );
      if (!isVoid) chunks.set(latent.chunk, latent);
    }
    return [...chunks.values()].sort((a, b) => a.chunk - b.chunk);
  }

  async until(count: number): Promise<void> {
    assert.ok(
      await waitUntil(() => this.standing().length >= count, PATIENCE_MS),
      `${this.standing().length} chunks of ${count}`,
    );
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
export async function uninterrupted(latents: readonly LatentMessage[]): Promise<Float32Array[]> {
  await using executor = createOrtExecutor({ threads: 1 });
  await using engine = await ScoreEngine.load(model, executor);
  const session = await engine.openSession({ avatar: 'ada', seed: SEED, keepChunks: 1 });
  const made: Float32Array[] = [];
  for (const { chunk, pcm } of latents) made.push((await session.generate(chunk, pcm))?.values ?? new Float32Array(0));
  session.dispose();
  return made;
}

export const metric = async (worker: Worker, name: string, labels: Record<string, string>): Promise<number> => {
  const found = await worker.context.metrics.registry.getSingleMetric(name)?.get();
  const value = found?.values.find((entry) => Object.entries(labels).every(([key, is]) => entry.labels[key] === is));
  return value?.value ?? 0;
};
