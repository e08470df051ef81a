import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  decodeEvent,
  decodeFrame,
  encodeLatent,
  encodePlayhead,
  type FrameMessage,
  type LatentMessage,
  type MeshEvent,
  newSessionId,
} from '@talkmesh/contracts';
import { createOrtExecutor, DecoderEngine, loadModel, type Model } from '@talkmesh/inference';
import { createFixtureModel, type FixtureModel } from '@talkmesh/inference/testing';
import { type RunningService, waitUntil } from '@talkmesh/service-kit';
import { createTestContext, type NatsServer, startNatsServer, type TestContext } from '@talkmesh/service-kit/testing';
import { parseConfig } from './config.js';
import { planResume } from './resume.js';
import { startVaeDecode } from './service.js';

const PATIENCE_MS = 30_000;
const AVATAR = 'ada';

let nats: NatsServer;
let fixture: FixtureModel;
let model: Model;
let score: TestContext<object>;
let egress: TestContext<object>;

before(async () => {
  nats = await startNatsServer();
  fixture = await createFixtureModel();
  model = await loadModel(fixture.folder);
  score = await createTestContext('score-model', undefined, nats.url);
  egress = await createTestContext('webrtc-egress', undefined, nats.url);
  await score.retain();
});
after(async () => {
  for (const part of [score, egress, fixture, nats]) await part?.[Symbol.asyncDispose]();
});

type Config = ReturnType<typeof parseConfig>;

class Worker implements AsyncDisposable {
  readonly context: TestContext<Config>;
  readonly #service: RunningService;

  private constructor(context: TestContext<Config>, service: RunningService) {
    this.context = context;
    this.#service = service;
  }

  static async start(): Promise<Worker> {
    const config = parseConfig({ TALKMESH_NATS_URL: nats.url, TALKMESH_MODEL: fixture.folder });
    const context = await createTestContext('vae-decode', { ...config, instanceId: '' }, nats.url);
    await context.retain();
    return new Worker(context, await startVaeDecode(context));
  }

  async open(sessionId: string, resume = false): Promise<void> {
    const decode = { avatar: AVATAR };
    const request = { sessionId, epoch: 0, resume, instanceId: '', options: 'decode' as const, decode };
    await this.#service.worker?.open(request, new AbortController().signal);
  }

  /** As SIGKILL would: its connection is gone, nothing is closed or said. */
  async die(): Promise<void> {
    await this.context[Symbol.asyncDispose]();
  }

  async outcome(name: string): Promise<number> {
    const found = await this.context.metrics.registry.getSingleMetric('talkmesh_resumes_total')?.get();
    return found?.values.find(({ labels }) => labels['outcome'] === name)?.value ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { sessionId } of this.#service.worker?.stats() ?? [])
      await this.#service.worker?.close(sessionId, 'ended');
    await this.context[Symbol.asyncDispose]();
    await this.#service[Symbol.asyncDispose]();
  }
}

class Call {
  readonly sessionId = newSessionId();
  readonly frames: FrameMessage[] = [];
  readonly events: MeshEvent[] = [];

  static async begin(): Promise<Call> {
    const call = new Call();
    egress.bus.subscribe('frame', call.sessionId, (payload) => void call.frames.push(decodeFrame(payload)));
    egress.bus.subscribe('event', call.sessionId, (payload) => void call.events.push(decodeEvent(payload)));
    await egress.bus.flush();
    return call;
  }

  send(chunk: number, over: Partial<LatentMessage> = {}): void {
    score.bus.publish('latent', this.sessionId, encodeLatent(latent(this.sessionId, chunk, over)));
  }

  playing(chunk: number, frame = 3): void {
    const header = { sessionId: this.sessionId, epoch: 0, turn: 0, chunk, mediaTimeUs: 0, deadlineUs: 0 };
    const message = { ...header, frame, creditChunks: 4, heldFrames: 0, turnPlayedMs: 0 };
    egress.bus.publish('playhead', this.sessionId, encodePlayhead(message));
  }

  /** What the egress shows: the first of each chunk and frame, as the others are duplicates. */
  get shown(): FrameMessage[] {
    const first = new Map<number, FrameMessage>();
    for (const frame of this.frames) {
      const at = frame.chunk * frame.framesInChunk + frame.frame;
      const known = first.get(at);
      if (known === undefined || known.epoch < frame.epoch) first.set(at, frame);
    }
    return [...first].sort(([a], [b]) => a - b).map(([, frame]) => frame);
  }

  async until(chunk: number): Promise<void> {
    const whole = (): number => this.shown.filter((frame) => frame.chunk === chunk).length;
    assert.ok(await waitUntil(() => whole() === model.geometry.framesPerChunk, PATIENCE_MS), `chunk ${chunk}`);
  }
}

const valuesOf = (chunk: number): Float32Array =>
  Float32Array.from({ length: model.geometry.latentValues }, (_, i) => Math.sin(chunk * 3 + i));

function latent(sessionId: string, chunk: number, over: Partial<LatentMessage> = {}): LatentMessage {
  const header = { sessionId, epoch: 0, turn: 1, chunk, mediaTimeUs: 0, deadlineUs: 0 };
  const spoken = { speaking: true, degraded: false, held: false, endOfTurn: false, turnSamples: 0, closedTurn: 0 };
  const pcm = new Int16Array(model.geometry.samplesPerChunk).fill(chunk);
  return { ...header, ...spoken, part: 0, parts: 1, values: valuesOf(chunk), pcm, steps: 2, ...over };
}

/** The frames of one decoder that nothing happened to. */
async function uninterrupted(chunks: number): Promise<Uint8Array[]> {
  await using executor = createOrtExecutor({ threads: 1 });
  await using engine = await DecoderEngine.load(model, executor);
  const session = await engine.openSession({ avatar: AVATAR, keepChunks: 1 });
  const frames: Uint8Array[] = [];
  for (let chunk = 0; chunk < chunks; chunk++)
    frames.push(...((await session.decode(chunk, valuesOf(chunk)))?.frames ?? []));
  session.dispose();
  return frames;
}

const pictures = (frames: readonly FrameMessage[]): Uint8Array[] => frames.map(({ i420 }) => i420);

test('a decoder dies: another decodes from the playhead on, and the seam is not there', async () => {
  const call = await Call.begin();
  await using first = await Worker.start();
  await first.open(call.sessionId);
  for (let chunk = 0; chunk < 6; chunk++) call.send(chunk);
  await call.until(4);
  call.playing(3);
  await egress.bus.flush();
  await first.die();
  call.send(6);
  await score.bus.flush();
  await using second = await Worker.start();
  const before = call.frames.length;
  await second.open(call.sessionId, true);
  call.send(7);
  await call.until(7);
  const again = call.frames.slice(before);
  assert.equal(again[0]?.chunk, 3, 'from the chunk being played, no earlier');
  assert.equal(again.length, 5 * model.geometry.framesPerChunk);
  const truth = await uninterrupted(8);
  assert.deepEqual(pictures(call.shown), truth);
  assert.deepEqual(pictures(again), truth.slice(3 * model.geometry.framesPerChunk), 'duplicates are the same frames');
  assert.equal(await second.outcome('exact'), 1);
});

test('a flush that happened in between holds, and so does the sound of each chunk', async () => {
  const call = await Call.begin();
  for (let chunk = 0; chunk < 5; chunk++) call.send(chunk);
  for (let chunk = 3; chunk < 5; chunk++) call.send(chunk, { epoch: 2, turn: 2 });
  score.bus.publishEvent({ type: 'flush', fromChunk: 4, cause: 'interrupt', sid: call.sessionId, epoch: 3, turn: 2 });
  call.playing(1);
  await Promise.all([score.bus.flush(), egress.bus.flush()]);
  await using worker = await Worker.start();
  await worker.open(call.sessionId, true);
  call.send(4, { epoch: 3, turn: 0 });
  await call.until(4);
  const seen = call.frames
    .filter(({ frame }) => frame === 0)
    .map(({ chunk, epoch, turn, pcm }) => [chunk, epoch, turn, pcm[0]]);
  assert.deepEqual(seen, [
    [1, 0, 1, 1],
    [2, 0, 1, 2],
    [3, 2, 2, 3],
    [4, 3, 0, 4],
  ]);
});

test('nothing retained, or nothing that is valid: it goes on with what comes', async () => {
  const call = await Call.begin();
  await using worker = await Worker.start();
  score.bus.publish('latent', call.sessionId, Uint8Array.of(1, 2, 3));
  score.bus.publish('latent', call.sessionId, encodeLatent(latent(call.sessionId, 1, { values: new Float32Array(5) })));
  await score.bus.flush();
  await worker.open(call.sessionId, true);
  assert.equal(await worker.outcome('silence'), 1);
  const skipped = await worker.context.metrics.registry.getSingleMetric('talkmesh_retained_skipped_total')?.get();
  assert.equal(skipped?.values[0]?.value, 1);
  call.send(9);
  await call.until(9);
});

test('NATS was away for the decoder: what it missed and what may not have arrived is decoded, once', async () => {
  const call = await Call.begin();
  await using worker = await Worker.start();
  await worker.open(call.sessionId);
  for (let chunk = 0; chunk < 3; chunk++) call.send(chunk);
  await call.until(2);
  await nats.kill();
  assert.ok(await waitUntil(() => !worker.context.bus.connected && !score.bus.connected, PATIENCE_MS));
  await nats.start();
  const all = [worker.context, score, egress];
  assert.ok(await waitUntil(() => all.every(({ bus }) => bus.connected), PATIENCE_MS));
  await Promise.all(all.map(({ bus }) => bus.flush()));
  const before = call.frames.length;
  // As the score worker does: the server has forgotten, so what may not have been played is published again.
  for (let round = 0; round < 2; round++) for (let chunk = 1; chunk < 4; chunk++) call.send(chunk);
  await call.until(3);
  call.send(4);
  await call.until(4);
  const again = call.frames.slice(before).map(({ chunk }) => chunk);
  assert.deepEqual([...new Set(again)], [1, 2, 3, 4]);
  assert.equal(again.length, 4 * model.geometry.framesPerChunk, 'none of them twice');
  assert.deepEqual(pictures(call.shown), await uninterrupted(5));
});

test('the plan: held chunks are stepped over, a missing one before makes it near', () => {
  const sid = newSessionId();
  const at = (chunk: number) => ({
    sessionId: sid,
    ...{
      epoch: 0,
      turn: 0,
      chunk,
      mediaTimeUs: 0,
      deadlineUs: 0,
      frame: 0,
      creditChunks: 4,
      heldFrames: 0,
      turnPlayedMs: 0,
    },
  });
  const held = { held: true, steps: 0, values: new Float32Array(0) };
  const latents = [latent(sid, 4), latent(sid, 5, held), latent(sid, 6), latent(sid, 7)];
  const plan = planResume({ latents, events: [], playhead: at(6) }, 0);
  assert.deepEqual([plan.outcome, plan.before?.chunk, plan.chunks.map(({ chunk }) => chunk)], ['exact', 4, [6, 7]]);
  const near = planResume({ latents: latents.slice(1), events: [], playhead: at(6) }, 0);
  assert.deepEqual([near.outcome, near.before], ['near', undefined]);
  const late = planResume({ latents, events: [], playhead: at(8) }, 5);
  assert.deepEqual([late.outcome, late.epoch, late.chunks], ['silence', 5, []]);
});
