/** AvatarService of the real service: the test is the program that speaks, and the mesh around the service. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { type AudioMessage, decodeAudio, type MeshError } from '@talkmesh/contracts';
import type { v1 } from '@talkmesh/contracts/protos';
import { i420ToRgba } from '@talkmesh/media';
import { fromServiceError } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import jpeg from 'jpeg-js';
import { EgressBench, type TestProducer } from './testing/bench.js';
import { FRAMES_PER_CHUNK, testFrame } from './testing/frames.js';

const SIDE = 256;
const I420_BYTES = (SIDE * SIDE * 3) / 2;
const FRAME_SAMPLES = 960;
const GRACE_MS = 600;

type Connect = (typeof v1.AvatarService)['service']['Connect'];
type Request = Parameters<Connect['requestSerialize']>[0];
type Response = ReturnType<Connect['responseDeserialize']>;

let bench: EgressBench;
/** Sends nothing, which is noticed after 10 s. */
let silent: Program;
before(async () => {
  bench = await EgressBench.start({ TALKMESH_VIEWER_GONE_MS: String(GRACE_MS), TALKMESH_CAPACITY: '40' });
  silent = new Program(undefined);
});
after(() => bench[Symbol.asyncDispose]());

/** A session whose bridge and models answer: what the program says is spoken in the chunk after those that were made. */
class Talk {
  readonly mic: AudioMessage[] = [];
  producer!: TestProducer;
  #turn = 0;
  #fromChunk = Number.POSITIVE_INFINITY;
  #samples = 0;

  static async open(sink: 'SINK_FRAMES' | 'SINK_WEBRTC' = 'SINK_FRAMES'): Promise<Talk> {
    const talk = new Talk();
    talk.producer = await bench.open(sink, SIDE, (sessionId, chunk, frame) => talk.#frame(sessionId, chunk, frame));
    bench.bridge.bus.subscribe('mic', talk.id, (payload) => talk.mic.push(decodeAudio(payload)));
    await bench.bridge.bus.flush();
    return talk;
  }

  get id(): string {
    return this.producer.sessionId;
  }

  get samples(): number {
    return this.mic.reduce((sum, { pcm }) => sum + pcm.length, 0);
  }

  /** The bridge queues what has arrived as a turn, and the models speak it from the next chunk on. */
  speak(samples: number): void {
    this.#turn += 1;
    [this.#fromChunk, this.#samples] = [this.producer.nextChunk, samples];
    const at = { sessionId: this.id, epoch: this.producer.epoch, turn: this.#turn };
    bench.bridge.bus.publishEvent({ ...at, type: 'turn.queued', source: 'external' });
  }

  /** The models cut the turn: idle chunks follow the one that is played. */
  cut(): void {
    const fromChunk = (this.producer.playhead?.chunk ?? 0) + 1;
    this.#fromChunk = Number.POSITIVE_INFINITY;
    this.producer.epoch += 1;
    this.producer.nextChunk = fromChunk;
    const at = { sessionId: this.id, epoch: this.producer.epoch, turn: 0 };
    bench.score.bus.publishEvent({ ...at, type: 'flush', fromChunk, cause: 'interrupt' });
    this.producer.produce();
  }

  #frame(sessionId: string, chunk: number, frame: number) {
    const picture = { sessionId, width: SIDE, height: SIDE };
    const before = ((chunk - this.#fromChunk) * FRAMES_PER_CHUNK + frame) * FRAME_SAMPLES;
    if (!(before >= 0 && before - frame * FRAME_SAMPLES < this.#samples)) return testFrame(chunk, frame, picture);
    const turnSamples = Math.min(this.#samples, before + FRAME_SAMPLES);
    const endOfTurn = before + (FRAMES_PER_CHUNK - frame) * FRAME_SAMPLES >= this.#samples;
    return testFrame(chunk, frame, { ...picture, turn: this.#turn, speaking: true, turnSamples, endOfTurn });
  }
}

/** The program's end of a stream. */
class Program {
  readonly received: Response[] = [];
  readonly call: ClientDuplexStream<Request, Response>;
  error: MeshError | undefined;
  isOver = false;

  constructor(attach: Request['attach'] | undefined) {
    this.call = bench.avatar.connect();
    this.call.on('data', (response: Response) => this.received.push(response));
    this.call.on('error', (error) => {
      this.error = fromServiceError(error);
    });
    this.call.on('end', () => {
      this.isOver = true;
    });
    if (attach !== undefined)
      this.call.write({ attach: { sampleRateHz: 24_000, channels: 1, video: 'VIDEO_FORMAT_I420', ...attach } });
  }

  static async attach(sessionId: string, more: Request['attach'] = {}): Promise<Program> {
    const program = new Program({ sessionId, ...more });
    await program.until(({ ready }) => ready != null);
    return program;
  }

  until(found: (response: Response) => boolean, count = 1): Promise<void> {
    return until(`message ${count}, got ${this.error?.message}`, () => this.received.filter(found).length >= count);
  }

  get frames() {
    return this.received.flatMap(({ frame }) => frame ?? []);
  }

  get ready() {
    return this.received.find(({ ready }) => ready != null)?.ready ?? assert.fail('not ready');
  }

  get reports() {
    return this.received.flatMap(({ body, started, finished }) => {
      if (body === 'started') return [`started ${started?.utterance}`];
      if (body === 'cleared') return ['cleared'];
      if (body !== 'finished') return [];
      return [`finished ${finished?.utterance} ${finished?.positionMs}${finished?.interrupted ? ' cut' : ''}`];
    });
  }

  say(ms: number, step = 1001): void {
    const bytes = Buffer.from(new Int16Array(ms * 24).fill(900).buffer);
    for (let at = 0; at < bytes.length; at += step) this.call.write({ pcm: bytes.subarray(at, at + step) });
  }

  refused(reason: string): Promise<void> {
    return until(`the refusal ${reason}, got ${this.error}`, () => this.error?.reason === reason);
  }
}

test('frames come in real time, each with its audio, as I420 and as JPEG that is the same picture', async () => {
  const talk = await Talk.open();
  const program = await Program.attach(talk.id);
  const { width, height, fps, hasFrames, graceMs, resumed, utterances } = program.ready;
  assert.deepEqual([width, height, fps, hasFrames, graceMs], [SIDE, SIDE, 25, true, GRACE_MS]);
  assert.deepEqual([resumed, utterances], [false, 0]);
  await program.until(({ frame }) => frame != null);
  const startMs = performance.now();
  await program.until(({ frame }) => frame != null, 51);
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs > 1500 && tookMs < 4000, `50 frames in ${tookMs} ms`);
  for (const [i, frame] of program.frames.entries()) {
    assert.equal(frame.mediaTimeUs, i * 40_000);
    assert.deepEqual([frame.video.length, frame.video[0], frame.pcm.readInt16LE(0)], [I420_BYTES, 16 + i, i + 1]);
  }
  program.call.cancel();

  const jpegs = await Program.attach(talk.id, { video: 'VIDEO_FORMAT_JPEG' });
  await jpegs.until(({ frame }) => frame != null, 5);
  for (const { mediaTimeUs, video, width: w } of jpegs.frames) {
    const read = jpeg.decode(video);
    assert.equal(read.width, w);
    const colour = i420ToRgba(new Uint8Array(I420_BYTES).fill(16 + mediaTimeUs / 40_000), SIDE, SIDE);
    for (const channel of [0, 1, 2])
      assert.ok(Math.abs((read.data[channel] as number) - (colour[channel] as number)) < 8, `channel ${channel}`);
  }
  jpegs.call.cancel();

  const sound = await Program.attach(talk.id, { video: 'VIDEO_FORMAT_UNSPECIFIED' });
  await sound.until(({ frame }) => frame != null, 5);
  assert.ok(sound.frames.every(({ video, pcm }) => video.length === 0 && pcm.length === 1920));
  sound.call.end();
});

test('an utterance in odd pieces is passed on sample for sample, and finished where it was heard', async () => {
  const talk = await Talk.open();
  const program = await Program.attach(talk.id, { video: 'VIDEO_FORMAT_UNSPECIFIED' });
  program.say(500);
  program.call.write({ end: {} });
  await until('the speech', () => talk.mic.some(({ endOfTurn }) => endOfTurn));
  assert.equal(talk.samples, 500 * 24);
  assert.ok(
    talk.mic.every(({ pcm }) => pcm.every((sample) => sample === 900)),
    'no sample is torn apart',
  );
  talk.speak(talk.samples);
  await program.until(({ finished }) => finished != null);
  assert.deepEqual(program.reports, ['started 1', 'finished 1 500']);
  program.call.end();
});

test('a clear is silent from the next frame on, and answered at the position that was heard; with nothing to clear too', async () => {
  const talk = await Talk.open();
  const program = await Program.attach(talk.id, { video: 'VIDEO_FORMAT_UNSPECIFIED' });
  program.call.write({ clear: {} });
  await program.until(({ cleared }) => cleared != null);
  program.say(5000);
  await until('the speech', () => talk.samples >= 5000 * 24 - 480);
  talk.speak(talk.samples);
  await program.until(({ started }) => started != null);
  await program.until(({ frame }) => frame?.speaking === true, 8);
  program.call.write({ clear: {} });
  await program.until(({ cleared }) => cleared != null, 2);
  const finishedAt = program.received.findIndex(({ finished }) => finished != null);
  const spoken = program.received.slice(0, finishedAt).filter(({ frame }) => frame?.speaking);
  assert.deepEqual(program.reports, ['cleared', 'started 1', `finished 1 ${spoken.length * 40} cut`, 'cleared']);
  assert.equal(talk.producer.eventsOf('clear').length, 1, 'the bridge cuts the turn');
  await program.until(({ frame }) => frame?.speaking === true, spoken.length + 1);
  talk.cut();
  await program.until(({ frame }) => frame?.speaking === false, 30);
  const rest = program.frames.filter(({ speaking }) => speaking).slice(spoken.length);
  assert.ok(rest.length > 0 && rest.every(({ pcm }) => pcm.every((byte) => byte === 0)), 'the chunk ends in silence');
  program.call.end();
});

test('a broken stream is attached again, and the open utterance goes on; without one in time the program is gone', async () => {
  const talk = await Talk.open('SINK_WEBRTC');
  const first = await Program.attach(talk.id);
  assert.equal(first.ready.hasFrames, false);
  first.say(100);
  first.call.write({ end: {} });
  first.say(300, 999);
  await until('the speech', () => talk.samples >= 2400);
  first.call.cancel();
  await sleep(GRACE_MS / 2);
  const second = await Program.attach(talk.id);
  const { resumed, utterances, isOpen, openBytes, unfinished } = second.ready;
  assert.deepEqual([resumed, utterances, isOpen, openBytes, unfinished], [true, 2, true, 300 * 48, [1, 2]]);
  const other = new Program({ sessionId: talk.id, sampleRateHz: 16_000 });
  await other.refused('ARGUMENT_INVALID');
  await sleep(GRACE_MS + 300);
  assert.deepEqual(talk.producer.eventsOf('viewer.gone'), [], 'it came back in time');
  const third = await Program.attach(talk.id);
  await second.refused('SESSION_EXISTS');
  third.call.cancel();
  await until('the end', () => talk.producer.eventsOf('viewer.gone').length === 1);
  assert.equal((talk.producer.eventsOf('viewer.gone')[0] as { cause?: string }).cause, 'speaker-gone');
});

test('a program that ends its stream may stay away where others watch, and a session of frames waits for it for the grace', async () => {
  const talk = await Talk.open('SINK_WEBRTC');
  const left = await Program.attach(talk.id);
  left.call.write({ leave: {} });
  left.call.end();
  await until('the end of the stream', () => left.isOver);
  const frames = await Talk.open();
  const gone = await Program.attach(frames.id);
  await gone.until(({ frame }) => frame != null, 3);
  gone.call.cancel();
  await until('viewer.gone', () => frames.producer.eventsOf('viewer.gone').length === 1);
  assert.deepEqual(talk.producer.eventsOf('viewer.gone'), []);
});

test('a slow reader gets audio without pictures, then its stream ends', { timeout: 60_000 }, async () => {
  const talk = await Talk.open();
  const program = await Program.attach(talk.id);
  await program.until(({ frame }) => frame != null, 3);
  program.call.pause();
  const pausedAt = program.frames.length;
  await until('its end', async () => (await bench.service.metric('talkmesh_viewers')) === 0, 30_000);
  assert.ok((await bench.service.metric('talkmesh_unread_pictures_total')) > 20);
  program.call.resume();
  await program.refused('RATE_LIMITED');
  const later = program.frames.slice(pausedAt);
  const firstWithout = later.findIndex(({ video }) => video.length === 0);
  assert.ok(firstWithout > 0, 'pictures that were on the way arrive');
  const without = later.slice(firstWithout);
  assert.ok(without.length > 20 && without.every(({ video, pcm }) => video.length === 0 && pcm.length === 1920));
  assert.ok(
    later.every(({ mediaTimeUs }, i) => i === 0 || mediaTimeUs === (later[i - 1]?.mediaTimeUs ?? 0) + 40_000),
    'no audio is missing before the end',
  );
});

test('wrong streams are refused: silent, without attach, with another rate, for an unknown or a recorded session', async () => {
  await silent.refused('DEADLINE_EXCEEDED');
  const without = new Program(undefined);
  without.call.write({ clear: {} });
  await without.refused('ARGUMENT_INVALID');
  const talk = await Talk.open();
  const rate = new Program({ sessionId: talk.id, sampleRateHz: 96_000 });
  await rate.refused('AUDIO_FORMAT_INVALID');
  const unknown = new Program({ sessionId: '0'.repeat(20) });
  await unknown.refused('SESSION_NOT_FOUND');
  const recorded = await bench.open('SINK_RECORD', SIDE, (sessionId, chunk, frame) =>
    testFrame(chunk, frame, { sessionId, width: SIDE, height: SIDE }),
  );
  const record = new Program({ sessionId: recorded.sessionId });
  await record.refused('ARGUMENT_INVALID');
  const twice = await Program.attach(talk.id);
  twice.call.write({ attach: { sessionId: talk.id, sampleRateHz: 24_000, channels: 1 } });
  await twice.refused('ARGUMENT_INVALID');
  const ended = await Program.attach(talk.id);
  await bench.call(bench.stage, 'Close', { sessionId: talk.id, reason: 'ended' });
  await ended.refused('SESSION_ENDED');
});
