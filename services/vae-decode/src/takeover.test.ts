import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  decodeEvent,
  decodeFrame,
  encodeLatent,
  encodePlayhead,
  type FrameMessage,
  type LatentMessage,
  type MeshEvent,
  newSessionId,
  pictureSize,
} from '@talkmesh/contracts';
import { createOrtExecutor, loadDecoderEngine, loadModel, type Model } from '@talkmesh/inference';
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
import { parseConfig } from './config.js';
import { startVaeDecode } from './service.js';
import { planTakeover } from './takeover-plan.js';

const PATIENCE_MS = 30_000;
const NANO = fileURLToPath(new URL('../../../models/nano', import.meta.url));

let nats: NatsServer;
let fixture: FixtureModel;
/** What workers serve, and the picture of a session. */
let model: Model;
let picture: { readonly avatar: string; readonly size: number };
let score: TestContext<object>;
let egress: TestContext<object>;

before(async () => {
  nats = await startNatsServer();
  fixture = await createFixtureModel();
  await serve(fixture.folder, 'ada');
  score = await createTestContext('score-model', undefined, nats.url);
  egress = await createTestContext('webrtc-egress', undefined, nats.url);
  await score.retain();
});
after(async () => {
  for (const part of [score, egress, fixture, nats]) await part?.[Symbol.asyncDispose]();
});

type Worker = TestWorker<ReturnType<typeof parseConfig>>;

async function serve(folder: string, avatar: string, size = 0): Promise<void> {
  model = await loadModel(folder);
  picture = { avatar, size };
}

async function startWorker(): Promise<Worker> {
  const config = parseConfig({ TALKMESH_NATS_URL: nats.url, TALKMESH_MODEL: model.folder });
  const context = await createTestContext('vae-decode', { ...config, instanceId: '' }, nats.url);
  return TestWorker.start(context, startVaeDecode);
}

const openOn = (worker: Worker, sessionId: string, takeOver = false): Promise<void> =>
  worker.open({ sessionId, takeOver, options: 'decode', decode: picture });

const takeovers = (worker: Worker, outcome: string): Promise<number> =>
  worker.metric('talkmesh_takeovers_total', { outcome });

class ObservedSession {
  readonly sessionId = newSessionId();
  readonly frames: FrameMessage[] = collect(egress.bus, 'frame', this.sessionId, decodeFrame);
  readonly events: MeshEvent[] = collect(egress.bus, 'event', this.sessionId, decodeEvent);

  static async start(): Promise<ObservedSession> {
    const call = new ObservedSession();
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
    await until(`chunk ${chunk}`, () => whole() === model.geometry.framesPerChunk, PATIENCE_MS);
  }
}

const valuesOf = (chunk: number): Float32Array =>
  Float32Array.from({ length: model.geometry.latentValues }, (_, i) => Math.sin(chunk * 3 + i));

function latent(sessionId: string, chunk: number, over: Partial<LatentMessage> = {}): LatentMessage {
  const header = { sessionId, epoch: 0, turn: 1, chunk, mediaTimeUs: 0, deadlineUs: 0 };
  const spoken = {
    speaking: true,
    degraded: false,
    held: false,
    endOfTurn: false,
    endsIdle: false,
    speechSamples: 0,
    turnSamples: 0,
    closedTurn: 0,
  };
  const pcm = new Int16Array(model.geometry.samplesPerChunk).fill(chunk);
  return { ...header, ...spoken, part: 0, parts: 1, values: valuesOf(chunk), pcm, steps: 2, ...over };
}

/** The frames of one decoder that nothing happened to. */
async function uninterrupted(chunks: number): Promise<Uint8Array[]> {
  await using executor = createOrtExecutor({ threads: 1 });
  await using engine = await loadDecoderEngine(model, executor);
  const { avatar, size } = picture;
  const { scale } = pictureSize(model.manifest, size);
  const session = await engine.openSession({ avatar, scale, keepChunks: 1 });
  const frames: Uint8Array[] = [];
  for (let chunk = 0; chunk < chunks; chunk++)
    frames.push(...((await session.decode(chunk, valuesOf(chunk)))?.frames ?? []));
  session.dispose();
  return frames;
}

const pictures = (frames: readonly FrameMessage[]): Uint8Array[] => frames.map(({ i420 }) => i420);

test('a decoder dies: another decodes from the playhead on, and the frames are bit-equal', async () => {
  await dies();
});

test('the same at the larger size of nano', async () => {
  await serve(NANO, 'mia', 512);
  try {
    const [frame] = await dies();
    assert.deepEqual([frame?.width, frame?.height, frame?.i420.length], [512, 512, (512 * 512 * 3) / 2]);
  } finally {
    await serve(fixture.folder, 'ada');
  }
});

test('a size that the model does not make is refused', async () => {
  await using worker = await startWorker();
  const decode = { ...picture, size: 300 };
  await assert.rejects(worker.open({ sessionId: newSessionId(), takeOver: false, options: 'decode', decode }), {
    reason: 'ARGUMENT_INVALID',
    message: /makes no video of size 300; possible: /,
  });
});

/** Kills a decoder in the middle of a session. @returns the frames that are shown */
async function dies(): Promise<FrameMessage[]> {
  const call = await ObservedSession.start();
  await using first = await startWorker();
  await openOn(first, call.sessionId);
  for (let chunk = 0; chunk < 6; chunk++) call.send(chunk);
  await call.until(4);
  call.playing(3);
  await egress.bus.flush();
  await first.die();
  call.send(6);
  await score.bus.flush();
  await using second = await startWorker();
  const before = call.frames.length;
  await openOn(second, call.sessionId, true);
  call.send(7);
  await call.until(7);
  const again = call.frames.slice(before);
  assert.equal(again[0]?.chunk, 3, 'from the chunk being played, no earlier');
  assert.equal(again.length, 5 * model.geometry.framesPerChunk);
  const truth = await uninterrupted(8);
  assert.deepEqual(pictures(call.shown), truth);
  assert.deepEqual(pictures(again), truth.slice(3 * model.geometry.framesPerChunk), 'duplicates are the same frames');
  assert.equal(await takeovers(second, 'exact'), 1);
  return call.shown;
}

test('a flush during the takeover is applied, and each chunk keeps its sound', async () => {
  const call = await ObservedSession.start();
  for (let chunk = 0; chunk < 5; chunk++) call.send(chunk);
  for (let chunk = 3; chunk < 5; chunk++) call.send(chunk, { epoch: 2, turn: 2 });
  score.bus.publishEvent({
    type: 'flush',
    fromChunk: 4,
    cause: 'interrupt',
    sessionId: call.sessionId,
    epoch: 3,
    turn: 2,
  });
  call.playing(1);
  await Promise.all([score.bus.flush(), egress.bus.flush()]);
  await using worker = await startWorker();
  await openOn(worker, call.sessionId, true);
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

test('nothing valid is retained: the session continues with the next chunk', async () => {
  const call = await ObservedSession.start();
  await using worker = await startWorker();
  score.bus.publish('latent', call.sessionId, Uint8Array.of(1, 2, 3));
  score.bus.publish('latent', call.sessionId, encodeLatent(latent(call.sessionId, 1, { values: new Float32Array(5) })));
  await score.bus.flush();
  await openOn(worker, call.sessionId, true);
  assert.equal(await takeovers(worker, 'silence'), 1);
  assert.equal(await worker.metric('talkmesh_retained_skipped_total', { stream: 'latent' }), 1);
  call.send(9);
  await call.until(9);
});

test('the decoder was disconnected from NATS: missed and possibly lost chunks are decoded, each once', async () => {
  const call = await ObservedSession.start();
  await using worker = await startWorker();
  await openOn(worker, call.sessionId);
  for (let chunk = 0; chunk < 3; chunk++) call.send(chunk);
  await call.until(2);
  await nats.kill();
  await until('the loss of NATS', () => !worker.context.bus.connected && !score.bus.connected, PATIENCE_MS);
  await nats.start();
  const all = [worker.context, score, egress];
  await until('all connections', () => all.every(({ bus }) => bus.connected), PATIENCE_MS);
  await Promise.all(all.map(({ bus }) => bus.flush()));
  const before = call.frames.length;
  // As the score worker does: the server has forgotten, so what may not have been played is published again.
  for (let round = 0; round < 2; round++) for (let chunk = 1; chunk < 4; chunk++) call.send(chunk);
  await call.until(3);
  call.send(4);
  await call.until(4);
  const again = call.frames.slice(before).map(({ chunk }) => chunk);
  // A chunk that arrives live may precede those that are read back: each is decoded from the state before it.
  assert.deepEqual([...new Set(again)].sort(), [1, 2, 3, 4]);
  assert.equal(again.length, 4 * model.geometry.framesPerChunk, 'none of them twice');
  assert.deepEqual(pictures(call.shown), await uninterrupted(5));
});

test('the takeover plan skips held chunks; a missing chunk before makes it `near`', () => {
  const sessionId = newSessionId();
  const at = (chunk: number) => ({
    sessionId,
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
  const latents = [latent(sessionId, 4), latent(sessionId, 5, held), latent(sessionId, 6), latent(sessionId, 7)];
  const options = { epoch: 0, depth: 1, affordable: 9 };
  const numbers = (chunks: readonly { chunk: number }[]): number[] => chunks.map(({ chunk }) => chunk);
  const plan = planTakeover({ latents, events: [], playhead: at(6) }, options);
  assert.deepEqual([plan.outcome, numbers(plan.replay), numbers(plan.chunks)], ['exact', [4], [6, 7]]);
  const near = planTakeover({ latents: latents.slice(1), events: [], playhead: at(6) }, options);
  assert.deepEqual([near.outcome, near.replay], ['near', []]);
  const late = planTakeover({ latents, events: [], playhead: at(8) }, { ...options, epoch: 5 });
  assert.deepEqual([late.outcome, late.epoch, late.chunks], ['silence', 5, []]);
  const deep = (from: number, depth: number, affordable = 9) => {
    const kept = { latents: latents.slice(from), events: [], playhead: at(7) };
    const { outcome, replay } = planTakeover(kept, { epoch: 0, depth, affordable });
    return [outcome, numbers(replay)];
  };
  assert.deepEqual(deep(0, 2), ['exact', [4, 6]], 'held chunks do not count');
  assert.deepEqual(deep(0, 3), ['near', [4, 6]]);
  assert.deepEqual(deep(0, 2, 1), ['near', [6]]);
  assert.deepEqual(deep(0, 2, 0), ['near', [6]], 'one is always replayed');
  const young = [latent(sessionId, 0), latent(sessionId, 1)];
  const early = planTakeover({ latents: young, events: [], playhead: at(1) }, { epoch: 0, depth: 5, affordable: 9 });
  assert.deepEqual([early.outcome, numbers(early.replay)], ['exact', [0]], 'nothing precedes chunk 0');
});
