import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
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
import { parseConfig } from './config.js';
import { startScoreModel } from './service.js';

const PATIENCE_MS = 30_000;
const BLOCK = 480;
const SEED = 7;

let nats: NatsServer;
let fixture: FixtureModel;
let model: Model;
let peer: TestContext<object>;
let egress: TestContext<object>;
let vae: TestContext<object>;

before(async () => {
  nats = await startNatsServer();
  fixture = await createFixtureModel();
  model = await loadModel(fixture.folder);
  peer = await createTestContext('audio-llm-bridge', undefined, nats.url);
  egress = await createTestContext('webrtc-egress', undefined, nats.url);
  vae = await createTestContext('vae-decode', undefined, nats.url);
  await peer.retain();
});
after(async () => {
  for (const part of [peer, egress, vae, fixture, nats]) await part?.[Symbol.asyncDispose]();
});

/** One score worker of this process; `die` ends it as SIGKILL would: its connection is gone, nothing is closed or said. */
class Worker implements AsyncDisposable {
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
class Wire implements AsyncDisposable {
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
class Call {
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

const tone = (samples: number): Int16Array =>
  Int16Array.from({ length: samples }, (_, i) => Math.round(9000 * Math.sin((i * i) / 4e6) + (i % 97)));

const spoken = (latents: readonly LatentMessage[], turn: number): number[] => {
  let before = 0;
  return latents.flatMap((latent) => {
    if (latent.turn !== turn) return [];
    const samples = latent.turnSamples - before;
    before = latent.turnSamples;
    return [...latent.pcm.subarray(0, samples)];
  });
};

/** The latents an uninterrupted session makes of the same chunks. */
async function uninterrupted(latents: readonly LatentMessage[]): Promise<Float32Array[]> {
  await using executor = createOrtExecutor({ threads: 1 });
  await using engine = await ScoreEngine.load(model, executor);
  const session = await engine.openSession({ avatar: 'ada', seed: SEED, keepChunks: 1 });
  const made: Float32Array[] = [];
  for (const { chunk, pcm } of latents) made.push((await session.generate(chunk, pcm))?.values ?? new Float32Array(0));
  session.dispose();
  return made;
}

const metric = async (worker: Worker, name: string, labels: Record<string, string>): Promise<number> => {
  const found = await worker.context.metrics.registry.getSingleMetric(name)?.get();
  const value = found?.values.find((entry) => Object.entries(labels).every(([key, is]) => entry.labels[key] === is));
  return value?.value ?? 0;
};

test('a worker dies in the middle of a word: another goes on with the next sample and the same picture', async () => {
  const call = await Call.begin();
  const { samplesPerChunk } = model.geometry;
  const speech = tone(Math.round(samplesPerChunk * 20.4));
  await using first = await Worker.start();
  await first.open(call.sessionId);
  call.grant(0, 8);
  call.speak(1, speech);
  await call.until(8);
  call.grant(6, 8);
  await call.until(12);
  await first.die();
  await using second = await Worker.start();
  await second.open(call.sessionId, true);
  for (let chunk = 7; call.standing().at(-1)?.endOfTurn !== true; chunk++) {
    call.grant(chunk, 8);
    await call.until(Math.min(21, chunk + 8));
  }
  const latents = call.standing();
  assert.equal(latents.length, 21);
  assert.deepEqual(spoken(latents, 1), [...speech], 'every sample once, in order');
  const flush = call.events.find((event) => event.type === 'flush');
  assert.ok(flush?.type === 'flush' && flush.cause === 'resume');
  assert.ok(latents.every(({ chunk, epoch }) => epoch === (chunk < flush.fromChunk ? 0 : flush.epoch)));
  assert.ok(latents.some(({ epoch }) => epoch === 0) && latents.some(({ epoch }) => epoch === flush.epoch));
  assert.deepEqual(
    latents.map(({ values }) => values),
    await uninterrupted(latents),
    'bit for bit',
  );
  assert.equal(await metric(second, 'talkmesh_resumes_total', { outcome: 'exact' }), 1);
});

test('an interrupt that the dead worker never answered: its turn is not said again, the next one is', async () => {
  const call = await Call.begin();
  const { samplesPerChunk } = model.geometry;
  const [first, second] = [tone(samplesPerChunk * 9), tone(samplesPerChunk * 2)];
  await using dying = await Worker.start();
  await dying.open(call.sessionId);
  call.grant(0, 6);
  call.speak(1, first);
  await call.until(6);
  await dying.die();
  peer.bus.publishEvent({ type: 'interrupt', cause: 'barge-in', sid: call.sessionId, epoch: 0, turn: 1 });
  call.speak(2, second);
  await peer.bus.flush();
  await using worker = await Worker.start();
  await worker.open(call.sessionId, true);
  call.grant(0, 6);
  assert.ok(await waitUntil(() => call.standing().some(({ turn, endOfTurn }) => turn === 2 && endOfTurn), PATIENCE_MS));
  const turns = call.standing().map(({ turn }) => turn);
  assert.deepEqual(turns, [1, 2, 2], 'cut after the chunk that is being played');
  assert.deepEqual(spoken(call.standing(), 2), [...second]);
});

test('a worker dies in a pause: its successor stays silent and alive, and goes on with the sample where it stopped', async () => {
  const call = await Call.begin();
  const { samplesPerChunk } = model.geometry;
  const speech = tone(Math.round(samplesPerChunk * 7.3));
  const ask = (type: 'pause' | 'resume'): void =>
    peer.bus.publishEvent({ type, sid: call.sessionId, epoch: 0, turn: 0 });
  const told = (): string[] => call.events.flatMap(({ type }) => (type.startsWith('turn.') ? [type] : []));
  await using first = await Worker.start();
  await first.open(call.sessionId, false, false);
  call.speak(1, speech);
  await peer.bus.flush();
  call.grant(0, 4);
  assert.ok(await waitUntil(() => call.standing().filter(({ turn }) => turn === 1).length >= 3, PATIENCE_MS));
  call.grant(1, 4);
  assert.ok(await waitUntil(() => (call.standing().at(-1)?.chunk ?? 0) >= 4, PATIENCE_MS));
  ask('pause');
  assert.ok(await waitUntil(() => told().includes('turn.paused'), PATIENCE_MS));
  const at = call.events.find(({ type }) => type === 'turn.paused');
  call.grant(3, 4);
  assert.ok(await waitUntil(() => (call.standing().at(-1)?.chunk ?? 0) >= 6, PATIENCE_MS));
  assert.ok(at?.type === 'turn.paused' && at.turn === 1 && at.heardMs > 0, JSON.stringify(at));
  await first.die();
  await using second = await Worker.start();
  await second.open(call.sessionId, true, false);
  assert.equal(second.service.worker?.stats()[0]?.paused, true);
  call.grant(6, 4);
  assert.ok(await waitUntil(() => (call.standing().at(-1)?.chunk ?? 0) >= 9, PATIENCE_MS));
  const paused = call.standing().filter(({ turn, chunk }) => turn === 0 && chunk > 0);
  assert.ok(paused.length >= 6 && paused.some(({ epoch }) => epoch >= 16), 'both made idle chunks');
  const heardMs = (spoken(call.standing(), 1).length * 1000) / SPEECH_RATE_HZ;
  assert.equal(at.heardMs, heardMs);
  ask('resume');
  for (let chunk = 7; !call.standing().some(({ endOfTurn }) => endOfTurn); chunk++) {
    assert.ok(chunk < 40);
    call.grant(chunk, 4);
    await waitUntil(() => (call.standing().at(-1)?.chunk ?? 0) >= chunk + 3, PATIENCE_MS);
  }
  assert.deepEqual(spoken(call.standing(), 1), [...speech], 'every sample once, in order');
  assert.deepEqual(told(), ['turn.paused', 'turn.resumed'], 'listeners are told once');
  const made = call.standing();
  assert.deepEqual(
    made.map(({ values }) => values),
    await uninterrupted(made),
    'bit for bit',
  );
});

test("a worker's wire is cut in a pause that ends meanwhile: it hears of it, and speaks", async () => {
  const call = await Call.begin();
  const { samplesPerChunk } = model.geometry;
  const speech = tone(samplesPerChunk * 5);
  await using wire = await Wire.to();
  await using worker = await Worker.start({}, wire.url);
  await worker.open(call.sessionId);
  const ask = (type: 'pause' | 'resume'): void =>
    peer.bus.publishEvent({ type, sid: call.sessionId, epoch: 0, turn: 0 });
  ask('pause');
  assert.ok(await waitUntil(() => call.events.some(({ type }) => type === 'turn.paused'), PATIENCE_MS));
  await wire.cut();
  assert.ok(await waitUntil(() => !worker.context.bus.connected, PATIENCE_MS));
  call.speak(1, speech);
  ask('resume');
  await peer.bus.flush();
  await wire.join();
  assert.ok(await waitUntil(() => worker.context.bus.connected, PATIENCE_MS));
  call.grant(0, 8);
  assert.ok(await waitUntil(() => call.standing().some(({ endOfTurn }) => endOfTurn), PATIENCE_MS));
  assert.deepEqual(spoken(call.standing(), 1), [...speech]);
});

test('nothing is retained, or what is makes no sense: the call goes on from silence', async () => {
  const call = await Call.begin();
  call.grant(4, 3);
  vae.bus.publishEvent({
    type: 'error',
    service: 'x',
    reason: 'y',
    message: 'z',
    sid: call.sessionId,
    epoch: 0,
    turn: 0,
  });
  await using raw = await createTestContext('score-model', undefined, nats.url);
  raw.bus.publish('latent', call.sessionId, Uint8Array.of(9, 9, 9));
  await raw.bus.flush();
  call.latents.length = 0;
  await using worker = await Worker.start();
  await worker.open(call.sessionId, true);
  call.speak(1, tone(100));
  await peer.bus.flush();
  assert.ok(await waitUntil(() => call.latents.length > 0, PATIENCE_MS));
  assert.equal(call.latents[0]?.chunk, 5, 'after the chunk being played');
  assert.equal(await metric(worker, 'talkmesh_resumes_total', { outcome: 'silence' }), 1);
  assert.equal(await metric(worker, 'talkmesh_retained_skipped_total', { stream: 'latent' }), 1);
});

test('a worker that only looked dead stops when another took its session', async () => {
  const call = await Call.begin();
  await using zombie = await Worker.start();
  await zombie.open(call.sessionId);
  call.grant(0, 8);
  call.speak(1, tone(model.geometry.samplesPerChunk * 3 + 5), { endOfTurn: false });
  await call.until(3);
  await using worker = await Worker.start();
  await worker.open(call.sessionId, true);
  assert.ok(await waitUntil(() => zombie.service.worker?.sessions() === 0, PATIENCE_MS));
  call.speak(1, tone(4000), { fromSample: model.geometry.samplesPerChunk * 3 + 5 });
  assert.ok(await waitUntil(() => call.standing().some(({ endOfTurn }) => endOfTurn), PATIENCE_MS));
  const late = call.latents.filter(({ chunk }) => chunk >= 3);
  assert.ok(
    late.every(({ epoch }) => epoch > 0),
    'only the new worker speaks',
  );
  assert.equal(worker.service.worker?.sessions(), 1);
});

test('moved by hand: the old worker says nothing more, the new one goes on bit for bit', async () => {
  const call = await Call.begin();
  const speech = tone(model.geometry.samplesPerChunk * 9 + 77);
  await using old = await Worker.start();
  await using next = await Worker.start();
  await old.open(call.sessionId);
  call.grant(0, 5);
  call.speak(1, speech);
  await call.until(3);
  await old.service.worker?.close(call.sessionId, 'moved');
  await next.open(call.sessionId, true);
  call.grant(6, 8);
  await call.until(10);
  const latents = call.standing();
  assert.deepEqual(spoken(latents, 1), [...speech]);
  assert.deepEqual(
    latents.map(({ values }) => values),
    await uninterrupted(latents),
  );
});

test("a worker's wire is cut in a turn: what it missed is read back, what it said is said again", async () => {
  const call = await Call.begin();
  const { samplesPerChunk } = model.geometry;
  const speech = tone(samplesPerChunk * 8 + 300);
  await using wire = await Wire.to();
  await using worker = await Worker.start({}, wire.url);
  await worker.open(call.sessionId);
  call.grant(0, 20);
  call.speak(1, speech.subarray(0, samplesPerChunk * 2), { endOfTurn: false });
  await call.until(1);
  await wire.cut();
  assert.ok(await waitUntil(() => !worker.context.bus.connected, PATIENCE_MS));
  call.speak(1, speech.subarray(samplesPerChunk * 2, samplesPerChunk * 6), {
    endOfTurn: false,
    fromSample: samplesPerChunk * 2,
  });
  await peer.bus.flush();
  await wire.join();
  assert.ok(await waitUntil(() => worker.context.bus.connected, PATIENCE_MS));
  call.grant(2, 8);
  call.speak(1, speech.subarray(samplesPerChunk * 6), { fromSample: samplesPerChunk * 6 });
  assert.ok(await waitUntil(() => call.standing().some(({ endOfTurn }) => endOfTurn), PATIENCE_MS));
  assert.deepEqual(spoken(call.standing(), 1), [...speech]);
  assert.equal(await metric(worker, 'talkmesh_speech_gaps_total', { outcome: 'refilled' }), 1);
  assert.equal(await metric(worker, 'talkmesh_speech_gaps_total', { outcome: 'lost' }), 0);
});

test('NATS restarts in a turn and forgets everything: the call survives, what the bridge says again is heard once', async () => {
  const call = await Call.begin();
  const { samplesPerChunk } = model.geometry;
  const speech = tone(samplesPerChunk * 6 + 100);
  await using worker = await Worker.start();
  await worker.open(call.sessionId);
  call.grant(0, 20);
  call.speak(1, speech.subarray(0, samplesPerChunk * 3), { endOfTurn: false });
  await call.until(2);
  await nats.kill();
  assert.ok(await waitUntil(() => !worker.context.bus.connected && !peer.bus.connected, PATIENCE_MS));
  call.latents.length = 0;
  await nats.start();
  const all = [worker.context, peer, egress, vae];
  assert.ok(await waitUntil(() => all.every(({ bus }) => bus.connected), PATIENCE_MS));
  await Promise.all(all.map(({ bus }) => bus.flush()));
  // The bridge does not know what arrived: everything that was not played comes again.
  call.speak(1, speech);
  assert.ok(await waitUntil(() => call.standing().some(({ endOfTurn }) => endOfTurn), PATIENCE_MS));
  const kept = await vae.bus.recall('latent', call.sessionId, { deadlineMs: 5000 });
  const chunks = new Map(kept.map(({ payload }) => [decodeLatent(payload).chunk, decodeLatent(payload)]));
  assert.deepEqual([...chunks.keys()], [0, 1, 2, 3, 4, 5, 6], 'those from before are retained again');
  assert.deepEqual(spoken([...chunks.values()], 1), [...speech]);
});
