import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { ChunkCost } from '@talkmesh/chunk-worker';
import { newSessionId } from '@talkmesh/contracts';
import { RollingPercentiles } from '@talkmesh/service-kit';
import type { SessionOptions } from './chunk-planner.js';
import { type ScoreOutput, ScoreScheduler } from './scheduler.js';
import { chunks, FakeClock, FakeGenerator, geometry, playheadAt, SESSION, sessionOptions } from './testing/fakes.js';

let clock: FakeClock;
let stage: ScoreScheduler;
beforeEach(() => {
  clock = new FakeClock();
  stage = new ScoreScheduler({ geometry, steps: 2, clock });
});

function open(changes: Partial<SessionOptions> = {}): FakeGenerator {
  const maker = new FakeGenerator();
  stage.open(sessionOptions(changes), maker, new RollingPercentiles());
  return maker;
}

/** Makes every chunk that may be made. */
async function drain(): Promise<ScoreOutput[]> {
  const outputs: ScoreOutput[] = [];
  for (let output = await stage.step(); output !== undefined; output = await stage.step()) outputs.push(output);
  return outputs;
}

const latents = (outputs: readonly ScoreOutput[]) =>
  outputs.flatMap((output) => (output.type === 'latent' ? [output.message] : []));

test('speech becomes latents that carry their own audio', async () => {
  const maker = open({ unpaced: true, leadChunks: 8 });
  stage.speech(SESSION, 4, chunks(2.5), true);
  const messages = latents(await drain());
  assert.deepEqual(
    messages.map(({ sessionId, epoch, turn, chunk, mediaTimeUs, part, parts, speaking, degraded, endOfTurn }) => [
      sessionId,
      epoch,
      turn,
      chunk,
      mediaTimeUs,
      part,
      parts,
      speaking,
      degraded,
      endOfTurn,
    ]),
    [0, 1, 2].map((chunk) => [SESSION, 0, 4, chunk, chunk * 480_000, 0, 1, true, false, chunk === 2]),
  );
  for (const [chunk, message] of messages.entries()) {
    assert.equal(message.pcm, maker.asked[chunk]?.pcm, 'what was said is what is heard');
    assert.ok(message.values.every((value) => value === chunk));
  }
  const [stats] = stage.stats();
  assert.deepEqual([stats?.itemsIn, stats?.itemsOut, stats?.dropped, stats?.chunk], [1, 3, 0, 3]);
});

test('sessions take turns when none is due', async () => {
  const ids = [newSessionId(), newSessionId(), newSessionId()];
  for (const sessionId of ids) {
    open({ sessionId, unpaced: true, leadChunks: 8 });
    stage.speech(sessionId, 1, chunks(4), true);
  }
  const order: string[] = [];
  for (let i = 0; i < 12; i++) {
    clock.advance(10);
    order.push(...latents([(await stage.step()) as ScoreOutput]).map((message) => message.sessionId));
  }
  for (let round = 0; round < 4; round++)
    assert.deepEqual(new Set(order.slice(3 * round, 3 * round + 3)), new Set(ids), `round ${round}`);
});

test('the session that is due first is served first, and a recording is not starved', async () => {
  const [soon, late, recording] = [newSessionId(), newSessionId(), newSessionId()];
  for (const sessionId of [late, soon]) open({ sessionId });
  await drain();
  open({ sessionId: recording, unpaced: true, leadChunks: 8 });
  stage.speech(recording, 1, chunks(4), true);
  stage.playhead(playheadAt(1, 0, 2, late));
  stage.playhead(playheadAt(1, 8, 2, soon));
  const served = latents(await drain()).map((message) => message.sessionId);
  assert.ok(served.indexOf(soon) < served.indexOf(late));
  assert.ok(served.includes(recording));
  assert.equal(await stage.step(), undefined);
});

test('a flush while a chunk is generated discards it and continues from there', async () => {
  const maker = open({ leadChunks: 3 });
  maker.during = () => {
    if (maker.asked.length !== 2) return;
    const { flush } = stage.speech(SESSION, 1, chunks(1), true);
    assert.deepEqual(flush, { epoch: 1, turn: 1, fromChunk: 1, cause: 'speech' });
  };
  const outputs = await drain();
  assert.deepEqual(
    outputs.map((output) => (output.type === 'latent' ? [output.message.chunk, output.message.epoch] : output.type)),
    [[0, 0], 'discarded', [1, 1], [2, 1]],
  );
  assert.deepEqual(maker.rollbacks, [1]);
  assert.deepEqual(stage.stats()[0]?.dropped, 1);
});

test('an interrupt answers with the flush to publish', async () => {
  const maker = open();
  stage.speech(SESSION, 1, chunks(5), false);
  await drain();
  const flush = { epoch: 1, turn: 1, fromChunk: 1, cause: 'interrupt' };
  assert.deepEqual(stage.interrupt(SESSION, 1), { epoch: 1, flush });
  assert.deepEqual(maker.rollbacks, [1]);
  assert.equal(stage.interrupt(newSessionId(), 1).flush, undefined);
});

test('a chunk that is short of time takes fewer steps, then holds the previous frame; its sound stays', async () => {
  for (const [remainingMs, steps] of [
    [1000, 2],
    [101, 2],
    [60, 1],
    [-20, 1],
    [-500, 0],
  ] as const) {
    stage.close(SESSION);
    const maker = open({ leadChunks: 8 });
    maker.during = () => clock.advance(50 * (maker.asked.at(-1)?.maxSteps ?? 2));
    await drain();
    const chunk = maker.asked.length;
    stage.playhead(playheadAt(chunk - 1, 0, 2));
    clock.advance(480 - remainingMs);
    const output = await stage.step();
    assert.ok(output?.type === 'latent');
    const { degraded, held, steps: taken, values, pcm } = output.message;
    assert.equal(maker.asked.at(-1)?.maxSteps, steps, `${remainingMs} ms before its time`);
    assert.deepEqual([degraded, held, taken], [steps < 2, steps === 0, steps]);
    assert.equal(output.degraded, steps < 2 ? 'late' : undefined);
    assert.equal(values.length, steps === 0 ? 0 : geometry.latentValues);
    assert.equal(pcm.length, geometry.samplesPerChunk);
  }
});

test('the first chunk of a session has no frame to hold and is generated however late', async () => {
  const maker = open({ leadChunks: 2 });
  stage.playhead(playheadAt(0, 1, 1));
  clock.advance(5000);
  maker.during = () => clock.advance(100);
  await drain();
  assert.ok(maker.asked.every(({ chunk, maxSteps }) => chunk > 0 || maxSteps !== 0));
});

/** A viewer of one session: plays a chunk every 480 ms, waits when it is not there, and grants credit as the egress does. */
class Viewer {
  readonly sessionId = newSessionId();
  readonly maker = new FakeGenerator();
  readonly made = new Map<number, number>();
  waitedMs = 0;
  held = 0;
  #chunk = 0;
  #sinceMs: number;

  constructor(costMs: number) {
    this.#sinceMs = clock.nowMs();
    this.maker.during = () => clock.advance((costMs * (this.maker.asked.at(-1)?.maxSteps ?? 2)) / 2);
    stage.open(sessionOptions({ sessionId: this.sessionId }), this.maker, new RollingPercentiles());
  }

  watch(): void {
    if (!this.made.has(this.#chunk)) return;
    for (; clock.nowMs() >= this.#sinceMs + 480; this.#chunk++) {
      const madeAtMs = this.made.get(this.#chunk + 1);
      if (madeAtMs === undefined) return;
      const startMs = Math.max(this.#sinceMs + 480, madeAtMs);
      this.waitedMs += startMs - this.#sinceMs - 480;
      this.#sinceMs = startMs;
    }
    const frame = Math.min(11, Math.floor((clock.nowMs() - this.#sinceMs) / 40));
    stage.playhead(playheadAt(this.#chunk, frame, 2, this.sessionId));
  }

  get played(): number {
    return this.#chunk;
  }
}

async function callsFor(seconds: number, viewers: readonly Viewer[], talk: readonly Viewer[]): Promise<void> {
  const end = clock.nowMs() + seconds * 1000;
  for (let turn = 1; clock.nowMs() < end; turn++) {
    for (const viewer of talk) if (turn % 40 === 1) stage.speech(viewer.sessionId, turn, chunks(20), true);
    const output = await stage.step();
    if (output?.type === 'latent') {
      const viewer = viewers.find(({ sessionId }) => sessionId === output.message.sessionId);
      viewer?.made.set(output.message.chunk, clock.nowMs());
      if (viewer !== undefined && output.message.held) viewer.held += 1;
    } else clock.advance(5);
    for (const viewer of viewers) viewer.watch();
  }
}

test('as many sessions as fit are all in time; none is starved', async () => {
  const viewers = Array.from({ length: 5 }, () => new Viewer(75));
  await callsFor(60, viewers, viewers.slice(0, 3));
  for (const viewer of viewers) {
    assert.ok(viewer.played >= 120, `${viewer.played} chunks in 60 s`);
    assert.ok(viewer.waitedMs < 600, `waited ${viewer.waitedMs} ms`);
    assert.equal(viewer.held, 0);
  }
});

test('twice as many sessions as fit: all stay in time by fewer steps and held frames; speaking sessions hold least', async () => {
  const viewers = Array.from({ length: 8 }, () => new Viewer(150));
  const speaking = viewers.slice(0, 2);
  await callsFor(60, viewers, speaking);
  for (const { played, waitedMs } of speaking) {
    assert.ok(played >= 115, `${played} of 125 chunks in 60 s`);
    assert.ok(waitedMs < 2500, `waited ${waitedMs} ms`);
  }
  for (const { played } of viewers) assert.ok(played >= 100, `${played} of 125 chunks in 60 s`);
  const held = (of: readonly Viewer[]): number => of.reduce((sum, viewer) => sum + viewer.held, 0) / of.length;
  assert.ok(held(viewers.slice(2)) > 0);
  assert.ok(held(speaking) <= held(viewers.slice(2)), `${held(speaking)} and ${held(viewers.slice(2))}`);
});

test('several chunks under way when the model is a pipeline, outputs in order', async () => {
  const deep = new ScoreScheduler({ geometry, steps: 2, clock, depth: 2 });
  const maker = new FakeGenerator();
  const gates: (() => void)[] = [];
  maker.during = () => new Promise((resolve) => void gates.push(resolve));
  const abort = new AbortController();
  const outputs: ScoreOutput[] = [];
  const running = (async () => {
    for await (const output of deep.run(abort.signal)) outputs.push(output);
  })();
  deep.open(sessionOptions({ leadChunks: 8 }), maker, new RollingPercentiles());
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await settle();
  assert.deepEqual([gates.length, outputs.length], [2, 0]);
  gates[0]?.();
  await settle();
  await settle();
  assert.deepEqual([gates.length, latents(outputs).map(({ chunk }) => chunk)], [3, [0]]);
  abort.abort();
  for (const gate of gates) gate();
  await running;
  assert.deepEqual(
    latents(outputs).map(({ chunk }) => chunk),
    [0, 1, 2],
  );
});

test('a model whose chunks need the finished one before them makes one chunk of each session at a time', async () => {
  const deep = new ScoreScheduler({ geometry, steps: 2, clock, depth: 3, sessionDepth: 1 });
  const gates: (() => void)[] = [];
  const abort = new AbortController();
  const running = (async () => {
    for await (const _ of deep.run(abort.signal));
  })();
  for (const _ of [1, 2]) {
    const maker = new FakeGenerator();
    maker.during = () => new Promise((resolve) => void gates.push(resolve));
    deep.open(sessionOptions({ sessionId: newSessionId(), leadChunks: 8 }), maker, new RollingPercentiles());
  }
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await settle();
  await settle();
  assert.equal(gates.length, 2, 'one of each session');
  gates[0]?.();
  await settle();
  await settle();
  assert.equal(gates.length, 3);
  abort.abort();
  for (const gate of gates) gate();
  await running;
});

test('a failing session ends alone', async () => {
  const [bad, good] = [newSessionId(), newSessionId()];
  const maker = open({ sessionId: bad });
  maker.during = () => {
    throw new Error('no');
  };
  open({ sessionId: good });
  const outputs = await drain();
  assert.deepEqual(
    outputs.filter((output) => output.type === 'failed').map((output) => output.sessionId),
    [bad],
  );
  assert.equal(latents(outputs).length, 2);
  assert.ok(maker.disposed);
  assert.deepEqual(
    stage.stats().map((entry) => entry.sessionId),
    [good],
  );
});

test('a session closed while its chunk is made leaves nothing behind', async () => {
  const maker = open();
  maker.during = () => {
    stage.close(SESSION);
    throw new Error('its tensors are gone');
  };
  assert.deepEqual(await stage.step(), { type: 'discarded', sessionId: SESSION });
  assert.equal(stage.sessions, 0);
  assert.deepEqual(stage.speech(SESSION, 1, chunks(1), true), { accepted: true }, 'what still comes in is ignored');
});

test('speech beyond the queue is refused', () => {
  open({ maxSpeechSamples: 20_000 });
  assert.equal(stage.speech(SESSION, 1, chunks(1), false).accepted, true);
  assert.equal(stage.speech(SESSION, 1, chunks(1), false).accepted, false);
  assert.equal(stage.stats()[0]?.dropped, 1);
});

test('run sleeps until something can be done, wakes for it, and ends when aborted', async () => {
  const maker = open();
  const abort = new AbortController();
  const outputs: ScoreOutput[] = [];
  const running = (async () => {
    for await (const output of stage.run(abort.signal)) outputs.push(output);
  })();
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await settle();
  assert.equal(outputs.length, 2, 'the credits');
  stage.speech(SESSION, 1, chunks(0.2), false);
  stage.playhead(playheadAt(1, 1));
  await settle();
  assert.equal(outputs.length, 2, 'it waits for the rest of the speech');
  clock.advance(439);
  await settle();
  assert.equal(outputs.length, 2);
  clock.advance(1);
  await settle();
  assert.equal(outputs.length, 3, 'until its chunk must be made: it is due in 440 ms');
  assert.equal(maker.asked.length, 3);
  abort.abort();
  await running;
});

test('a session of a better quality takes its own steps, degrades below them, and does not change what a chunk costs', async () => {
  const cost = new ChunkCost(100);
  stage = new ScoreScheduler({ geometry, steps: 2, clock, cost });
  const ids = [newSessionId(), newSessionId()] as const;
  const makers = ids.map(() => new FakeGenerator(4));
  const best = { name: 'best', steps: 4, cost: 1.5 } as const;
  for (const [i, sessionId] of ids.entries()) {
    const maker = makers[i] as FakeGenerator;
    maker.during = () =>
      clock.advance(
        i === 0 ? 25 * (maker.asked.at(-1)?.maxSteps ?? 0) * 2 : 37.5 * (maker.asked.at(-1)?.maxSteps ?? 0),
      );
    stage.open(sessionOptions({ sessionId }), maker, new RollingPercentiles(), i === 0 ? undefined : best);
  }
  const made = latents(await drain());
  const stepsOf = (sessionId: string) => made.filter((message) => message.sessionId === sessionId);
  assert.deepEqual(
    stepsOf(ids[0]).map(({ steps, degraded }) => [steps, degraded]),
    [
      [2, false],
      [2, false],
    ],
  );
  assert.deepEqual(
    stepsOf(ids[1]).map(({ steps, degraded }) => [steps, degraded]),
    [
      [4, false],
      [4, false],
    ],
  );
  assert.equal(cost.ms, 100, 'in chunks of balanced');
  assert.deepEqual(
    stage.stats().map(({ quality }) => quality),
    ['balanced', 'best'],
  );
  stage.close(ids[0]);
  stage.playhead(playheadAt(1, 10, 2, ids[1]));
  const [late] = latents([(await stage.step()) as ScoreOutput]);
  assert.deepEqual([late?.steps, late?.degraded], [2, true], '80 ms are two of its four steps');
});
