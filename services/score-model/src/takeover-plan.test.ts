import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AudioMessage, EventBody, LatentMessage, MeshEvent, PlayheadMessage } from '@talkmesh/contracts';
import { ChunkPlanner, type Flush, type StartPosition } from './chunk-planner.js';
import type { PauseChange } from './pause.js';
import { SpeechGapFiller } from './speech-gap-filler.js';
import { EPOCH_STRIDE, planTakeover, type Retained, type TakeoverOptions } from './takeover-plan.js';
import { GEOMETRY, randomOf } from './testing/played-session.js';

const SID = '0123456789abcdefghjk';
const { samplesPerChunk: SAMPLES, chunkMs: CHUNK_MS } = GEOMETRY;
const clock = { nowMs: () => 0, wallUs: () => 0, traceUs: () => 0, sleep: async () => undefined };

const options: TakeoverOptions = {
  epoch: 0,
  chunkMs: CHUNK_MS,
  wholeSteps: 2,
  depth: 3,
  affordable: 100,
  keepChunks: 11,
  historySamples: 30,
  marginMs: 80,
  nowMs: 1000,
};

const head = { sessionId: SID, epoch: 0, turn: 0, chunk: 0, mediaTimeUs: 0, deadlineUs: 0 };
const latent = (chunk: number, over: Partial<LatentMessage> = {}): LatentMessage => ({
  ...head,
  chunk,
  part: 0,
  parts: 1,
  values: Float32Array.of(chunk),
  pcm: new Int16Array(SAMPLES).fill(chunk + 1),
  speaking: false,
  degraded: false,
  held: false,
  endOfTurn: false,
  endsIdle: false,
  steps: 2,
  speechSamples: (over.turn ?? 0) > 0 ? SAMPLES : 0,
  turnSamples: 0,
  closedTurn: 0,
  ...over,
});
const event = (body: EventBody, over: Partial<MeshEvent> = {}): Retained['events'][number] => ({
  message: { v: 2, sessionId: SID, epoch: 0, turn: 0, atMs: 0, ...body, ...over } as MeshEvent,
  atMs: 500,
});
const playhead = (chunk: number, over: Partial<PlayheadMessage> = {}): Retained['playhead'] => ({
  message: { ...head, chunk, frame: 0, creditChunks: 4, heldFrames: 0, turnPlayedMs: 0, ...over },
  atMs: 900,
});
const retained = (over: Partial<Retained>): Retained => ({
  latents: [],
  events: [],
  speech: [],
  playhead: undefined,
  ...over,
});
const chunks = (from: number, count: number, over: Partial<LatentMessage> = {}): LatentMessage[] =>
  Array.from({ length: count }, (_, i) => latent(from + i, over));

test('a call goes on after the last chunk, with the chunks before made again and the sound before those', () => {
  const plan = planTakeover(retained({ latents: chunks(5, 6, { turn: 2, closedTurn: 1, turnSamples: 70 }) }), options);
  assert.equal(plan.outcome, 'exact');
  assert.equal(plan.position.chunk, 11);
  assert.deepEqual(
    plan.replay.map(({ chunk }) => chunk),
    [8, 9, 10],
  );
  assert.deepEqual([...plan.history], [...new Array(6).fill(7), ...new Array(24).fill(8)], 'chunks 6 and 7');
  assert.deepEqual(plan.position.spoken, { closedTurn: 1, turn: 2, turnSamples: 70 });
  assert.equal(plan.epoch, EPOCH_STRIDE);
});

test('the beginning of a call is exact with fewer chunks; fewer than remembered are near', () => {
  assert.equal(planTakeover(retained({ latents: chunks(0, 2) }), options).outcome, 'exact');
  assert.equal(planTakeover(retained({ latents: chunks(4, 2) }), options).outcome, 'near');
  const noSound = planTakeover(retained({ latents: chunks(4, 4) }), options);
  assert.deepEqual([noSound.replay.length, noSound.outcome], [3, 'near'], 'the sound before them is not retained');
  const short = planTakeover(retained({ latents: chunks(4, 6) }), { ...options, affordable: 2 });
  assert.equal(short.outcome, 'near');
  assert.equal(short.replay.length, 2);
  const none = planTakeover(retained({ latents: chunks(4, 6) }), { ...options, affordable: 0 });
  assert.deepEqual([none.replay.length, none.position.chunk, none.position.earliestReplaceable], [0, 10, 10]);
});

test('a chunk of fewer steps hands older keys on: one more is made again for it', () => {
  const latents = [
    ...chunks(0, 8),
    latent(8, { steps: 1, degraded: true }),
    latent(9, { steps: 0, held: true }),
    latent(10),
  ];
  const plan = planTakeover(retained({ latents }), options);
  assert.deepEqual(
    plan.replay.map(({ chunk }) => chunk),
    [6, 7, 8, 9, 10],
  );
});

test('what a flush made void is not gone on from, whether its event came or only a chunk of the new epoch', () => {
  const flushed = event({ type: 'flush', fromChunk: 3, cause: 'interrupt' }, { epoch: 1, turn: 1 });
  const cut = planTakeover(
    retained({ latents: chunks(0, 6, { turn: 1, turnSamples: 99 }), events: [flushed] }),
    options,
  );
  assert.equal(cut.position.chunk, 3);
  assert.equal(cut.position.spoken.closedTurn, 1, 'the chunk before does not know that its turn was cut');
  assert.equal(cut.epoch, 1 + EPOCH_STRIDE);
  const latents = [...chunks(0, 6), latent(3, { epoch: 1, turn: 2, turnSamples: 24, closedTurn: 1 })];
  const chunkOnly = planTakeover(retained({ latents }), options);
  assert.equal(chunkOnly.position.chunk, 4);
  assert.equal(chunkOnly.position.spoken.turn, 2);
});

test('an interrupt that was never carried out is carried out at the takeover: its chunks and its speech are dropped', () => {
  const latents = chunks(0, 6, { turn: 1, turnSamples: 99, speaking: true });
  const interrupt = event({ type: 'interrupt', cause: 'barge-in' }, { turn: 1 });
  const asked = planTakeover(retained({ latents, events: [interrupt], playhead: playhead(2) }), options);
  assert.equal(asked.position.chunk, 3, 'after the chunk that is being played');
  assert.equal(asked.position.spoken.closedTurn, 1);
  const answered = event({ type: 'flush', fromChunk: 4, cause: 'interrupt' }, { epoch: 1, turn: 1 });
  const later = latent(4, { epoch: 1, closedTurn: 1 });
  const done = { latents: [...latents, later], events: [interrupt, answered], playhead: playhead(3) };
  assert.equal(planTakeover(retained(done), options).position.chunk, 5, 'answered before');
  const newer = [...latents, latent(6, { turn: 2, turnSamples: 9, closedTurn: 1 })];
  const spoken = planTakeover(retained({ latents: newer, events: [interrupt], playhead: playhead(2) }), options);
  assert.equal(spoken.position.chunk, 7, 'a newer turn is being said');
});

test('an interrupt of whatever is being said cuts what had been heard of by then', () => {
  const audio = { sequence: 0, sampleRateHz: 24_000, pcm: new Int16Array(2), fromSample: 0, endOfTurn: false };
  const speech = [
    { message: { ...head, ...audio, turn: 2 }, atMs: 400 },
    { message: { ...head, ...audio, turn: 3 }, atMs: 600 },
  ];
  const events = [event({ type: 'interrupt', cause: 'command' })];
  const plan = planTakeover(
    retained({ latents: chunks(0, 3, { turn: 1 }), speech, events, playhead: playhead(0) }),
    options,
  );
  assert.equal(plan.position.spoken.closedTurn, 2);
});

test('a pause that was never carried out is carried out at the takeover: silence after the chunk being played, no speech is lost', () => {
  const latents = [0, 1, 2, 3, 4].map((chunk) => latent(chunk, { turn: 1, turnSamples: SAMPLES * (chunk + 1) }));
  const asked = [event({ type: 'pause', cause: 'command' })];
  const plan = planTakeover(retained({ latents, events: asked, playhead: playhead(2) }), options);
  assert.deepEqual([plan.position.chunk, plan.position.paused], [3, 'command']);
  assert.deepEqual(plan.position.spoken, { closedTurn: 0, turn: 1, turnSamples: 3 * SAMPLES });
  assert.deepEqual(plan.change, { type: 'paused', turn: 1, heardMs: 3, cause: 'command' });
  const ended = planTakeover(
    retained({ latents, events: [...asked, event({ type: 'resume', cause: 'command' })], playhead: playhead(2) }),
    options,
  );
  assert.deepEqual([ended.position.chunk, ended.position.paused, ended.change], [5, undefined, undefined]);
});

test('a paused call stays paused where it was, by its events or, when those are gone, by its idle chunks', () => {
  const idle = { closedTurn: 1, turnSamples: 100 };
  const latents = [latent(0, { turn: 2, ...idle }), latent(1, idle), latent(2, idle)];
  const reported = [
    event({ type: 'pause', cause: 'command' }),
    event({ type: 'flush', fromChunk: 1, cause: 'pause' }, { epoch: 0 }),
    event({ type: 'turn.paused', heardMs: 100 / 24, cause: 'command' }, { turn: 2 }),
    event({ type: 'speech.started' }),
  ];
  for (const events of [reported, []]) {
    const { position, change } = planTakeover(retained({ latents, events, playhead: playhead(1) }), options);
    assert.deepEqual([position.chunk, position.paused], [3, 'command']);
    assert.deepEqual(position.spoken, { closedTurn: 1, turn: 2, turnSamples: 100 });
    assert.equal(change?.type, events.length > 0 ? undefined : 'paused');
  }
  const asked = [...reported, event({ type: 'resume', cause: 'command' })];
  const after = planTakeover(retained({ latents, events: asked, playhead: playhead(1) }), options);
  assert.equal(after.position.paused, undefined);
  assert.deepEqual(after.position.spoken, { closedTurn: 1, turn: 2, turnSamples: 100 });
  const resumed = { type: 'resumed', turn: 2, heardMs: 100 / 24, cause: 'command', pausedMs: 500 };
  assert.deepEqual(after.change, resumed);
  const cut = planTakeover(
    retained({ latents, events: [...reported, event({ type: 'interrupt', cause: 'command' }, { turn: 2 })] }),
    options,
  );
  assert.deepEqual([cut.position.paused, cut.position.spoken.closedTurn], [undefined, 2]);
  assert.deepEqual(cut.change, { ...resumed, turn: 0, heardMs: 0, cause: 'interrupt' });
});

test('a paused call of which no chunk is retained goes on where the last reported pause is', () => {
  const cause = 'command';
  const events = [event({ type: 'pause', cause }), event({ type: 'turn.paused', heardMs: 1234.5, cause }, { turn: 3 })];
  const { position, outcome } = planTakeover(retained({ events, playhead: playhead(9) }), options);
  assert.deepEqual([outcome, position.paused], ['silence', 'command']);
  assert.deepEqual(position.spoken, { closedTurn: 2, turn: 3, turnSamples: 1234.5 * 24 });
});

test('what a chunk of another worker says can be taken back', () => {
  const latents = [
    latent(4, { turn: 1, turnSamples: 60, endOfTurn: true, closedTurn: 1 }),
    latent(5, { turn: 2, turnSamples: 24, closedTurn: 1 }),
    latent(6, { turn: 2, speechSamples: 6, turnSamples: 30, closedTurn: 1 }),
  ];
  const { position } = planTakeover(retained({ latents, playhead: playhead(4) }), options);
  assert.deepEqual(
    [...position.chunkSpeech.values()].map(({ turn, speechSamples, fromSample }) => [turn, speechSamples, fromSample]),
    [
      [1, 24, 36],
      [2, 24, 0],
      [2, 6, 24],
    ],
  );
  const call = new ChunkPlanner(callOptions(EPOCH_STRIDE, position), GEOMETRY, clock);
  assert.equal(call.onPause('command')?.flush?.fromChunk, 5);
  call.onResume('command');
  call.onSpeech(2, new Int16Array(18).fill(99), true);
  const said = [call.takeNext(), call.takeNext()];
  assert.deepEqual(
    said.map(({ pcm, turnSamples }) => [...new Set(pcm), turnSamples]),
    [
      [6, 24],
      [7, 99, 48],
    ],
  );
});

test('nothing retained: from silence after the chunk being played, speech from where that one ends', () => {
  const at = playhead(9, { turn: 4, mediaTimeUs: 9.5 * CHUNK_MS * 1000, turnPlayedMs: 1000, epoch: 3 });
  const plan = planTakeover(retained({ playhead: at, latents: chunks(2, 4) }), options);
  assert.equal(plan.outcome, 'silence');
  assert.equal(plan.position.chunk, 10);
  assert.equal(plan.epoch, 3 + EPOCH_STRIDE);
  assert.deepEqual(plan.position.spoken, { closedTurn: 3, turn: 4, turnSamples: (1000 + CHUNK_MS / 2) * 24 });
  assert.deepEqual([plan.replay.length, plan.position.chunkSpeech.size], [0, 0]);
  const empty = planTakeover(retained({}), { ...options, epoch: 7 });
  assert.deepEqual([empty.position.chunk, empty.epoch, empty.outcome], [0, 7 + EPOCH_STRIDE, 'silence']);
});

test('a taken-over call rolls back no further than it can make again', () => {
  const plan = planTakeover(retained({ latents: chunks(0, 9), playhead: playhead(2) }), { ...options, affordable: 2 });
  const call = new ChunkPlanner(callOptions(plan.epoch, plan.position), GEOMETRY, clock);
  assert.equal(call.onInterrupt(0).flush?.fromChunk, 7);
  const spoken = new ChunkPlanner(callOptions(plan.epoch, plan.position), GEOMETRY, clock);
  assert.equal(spoken.onSpeech(1, new Int16Array(50), false).flush?.fromChunk, 7, 'speech over idle chunks');
});

const callOptions = (epoch: number, from?: StartPosition) => ({
  sessionId: SID,
  epoch,
  unpaced: false,
  leadChunks: 4,
  maxLeadChunks: 8,
  speechGraceMs: 0,
  flushMarginMs: 80,
  maxSpeechSamples: 1e9,
  ...(from !== undefined && { from }),
});

interface Log extends Retained {
  readonly latents: LatentMessage[];
  readonly events: Retained['events'][number][];
}

/** A worker without a model: chunks of what it hears, retained as NATS would. */
class FakeWorker {
  readonly call: ChunkPlanner;
  readonly feed: SpeechGapFiller;
  readonly #log: Log;

  constructor(log: Log, speech: readonly AudioMessage[], at: Retained['playhead']) {
    this.#log = log;
    const plan = planTakeover(
      { ...log, playhead: log.latents.length > 0 ? at : undefined },
      { ...options, affordable: 4 },
    );
    const from = log.latents.length > 0 ? plan.position : undefined;
    this.call = new ChunkPlanner(callOptions(plan.epoch, from), GEOMETRY, clock);
    if (from === undefined && plan.position.paused) this.call.onPause('command');
    if (from !== undefined)
      this.#report({ flush: { ...plan, fromChunk: from.chunk, cause: 'takeover' }, change: plan.change });
    this.feed = new SpeechGapFiller({
      onSpeech: (turn, pcm, endOfTurn, fromSample) => this.call.onSpeech(turn, pcm, endOfTurn, fromSample),
      readBack: async () => speech,
      onGap: ({ lost }) => assert.equal(lost, 0),
      ...(from !== undefined && { from: from.spoken }),
    });
    this.call.onPlayhead(at?.message as PlayheadMessage);
  }

  /** Makes a chunk if one may be made. @returns whether it did */
  make(): boolean {
    this.call.updateGrace();
    if (this.call.readyAtMs() > 0) return false;
    const { chunk, epoch, turn, pcm, speechSamples, turnSamples, closedTurn, endOfTurn, speaking } =
      this.call.takeNext();
    const { latents } = this.#log;
    latents.push(latent(chunk, { epoch, turn, pcm, speechSamples, turnSamples, closedTurn, endOfTurn, speaking }));
    if (latents.length > 32) latents.shift();
    return true;
  }

  /** @param deaf the request is retained, but this worker dies before it hears it */
  pause(paused: boolean, deaf: boolean): void {
    this.#log.events.push(event({ type: paused ? 'pause' : 'resume', cause: 'command' }));
    if (!deaf) this.#report((paused ? this.call.onPause('command') : this.call.onResume('command')) ?? {});
  }

  #report({
    flush,
    change,
  }: {
    flush?: Pick<Flush, 'epoch' | 'fromChunk' | 'cause'>;
    change?: PauseChange | undefined;
  }): void {
    const { events } = this.#log;
    if (flush !== undefined) events.push(event({ type: 'flush', ...flush }, { epoch: flush.epoch }));
    if (change?.type === 'paused') events.push(event({ ...change, type: 'turn.paused' }));
    if (change?.type === 'resumed') events.push(event({ ...change, type: 'turn.resumed' }));
    while (events.length > 64) events.shift();
  }
}

test('killed anywhere, paused anywhere, any number of times: of every turn each sample is said once, in order', async () => {
  const seen = { pauses: 0, deaf: 0, whilePaused: 0 };
  for (let seed = 1; seed <= 60; seed++) {
    const random = randomOf(seed);
    const turns = [1, 2, 3].map((turn) => Int16Array.from({ length: 20 + random(400) }, (_, i) => turn * 1000 + i));
    const messages = turns.flatMap((pcm, i) => piecesOf(pcm, i + 1, random));
    const log: Log = { ...retained({}), latents: [], events: [] };
    const said: LatentMessage[] = [];
    const sent: AudioMessage[] = [];
    let played = 0;
    let paused = false;
    const at = () => playhead(played, { epoch: said.findLast(({ chunk }) => chunk === played)?.epoch ?? 0 });
    let worker = new FakeWorker(log, sent, at());
    const over = (): boolean => said.at(-1)?.endOfTurn === true && said.at(-1)?.turn === 3 && !paused;
    for (let step = 0; step < 3000 && !over(); step++) {
      const what = random(11);
      if (what < 4 && messages.length > 0) {
        const message = messages.shift() as AudioMessage;
        sent.push(message);
        if (random(12) > 0) worker.feed.push(message);
      } else if (what < 8) {
        if (worker.make()) said.push(log.latents.at(-1) as LatentMessage);
      } else if (what === 8) {
        played = Math.max(played, Math.min(worker.call.next - 1 - random(3), played + 2));
        worker.call.onPlayhead(at()?.message as PlayheadMessage);
      } else if (what === 9) {
        const killed = random(2) === 0;
        if (killed) worker = new FakeWorker(log, sent, at());
        if (killed && paused) seen.whilePaused += 1;
        await worker.feed.fill();
      } else if (random(3) === 0) {
        paused = !paused && step < 2500;
        const deaf = random(4) === 0;
        worker.pause(paused, deaf);
        if (deaf) worker = new FakeWorker(log, sent, at());
        if (paused) seen.pauses += 1;
        if (deaf) seen.deaf += 1;
      }
      assert.equal(worker.call.isPaused, paused, `seed ${seed}`);
      await Promise.resolve();
    }
    const end = said.at(-1)?.chunk ?? 0;
    const chunksSaid = new Map(said.filter(({ chunk }) => chunk <= end).map((one) => [one.chunk, one]));
    for (const [i, pcm] of turns.entries()) {
      let before = 0;
      const heard: number[] = [];
      for (const one of [...chunksSaid.values()].sort((a, b) => a.chunk - b.chunk)) {
        if (one.turn !== i + 1) continue;
        heard.push(...one.pcm.subarray(0, one.turnSamples - before));
        before = one.turnSamples;
      }
      assert.deepEqual(heard, [...pcm], `seed ${seed}, turn ${i + 1}`);
    }
    const reported = log.events.findLast(({ message: { type } }) => type === 'turn.paused' || type === 'turn.resumed');
    assert.notEqual(reported?.message.type, 'turn.paused', `seed ${seed}: listeners know that it goes on`);
  }
  assert.ok(
    Object.values(seen).every((count) => count > 30),
    JSON.stringify(seen),
  );
});

function piecesOf(pcm: Int16Array, turn: number, random: (below: number) => number): AudioMessage[] {
  const pieces: AudioMessage[] = [];
  for (let at = 0; at < pcm.length; ) {
    const size = 1 + random(17);
    const last = at + size >= pcm.length;
    const piece = { sequence: pieces.length, sampleRateHz: 24_000, fromSample: at, endOfTurn: last };
    pieces.push({ ...head, ...piece, turn, pcm: pcm.slice(at, at + size) });
    at += size;
  }
  return pieces;
}
