/** Many calls that begin to speak at the same moment, in virtual time: score worker, decoder and players of calls that admission lets in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChunkCost } from '@talkmesh/chunk-worker';
import { newSessionId } from '@talkmesh/contracts';
import type { GeneratedChunk } from '@talkmesh/inference';
import { RollingPercentiles } from '@talkmesh/service-kit';
import type { Flush } from './chunk-planner.js';
import { type ChunkGenerator, ScoreScheduler } from './scheduler.js';
import { chunks, FakeClock, geometry, playheadAt, sessionOptions } from './testing/fakes.js';

const { chunkMs } = geometry;
const STEPS = 2;
const DOWNSTREAM_MS = 80;
const FRAME_MS = 40;
/** Time moves on in steps of at most a millisecond. */
const TICK_MS = 1;
/** What admission lets in: sessions x cost at most this, on the score worker and on the decoder. */
const FULL_MS = 0.8 * (chunkMs - DOWNSTREAM_MS);

function randomFrom(seed: number): () => number {
  let state = Math.imul(seed, 0x85ebca6b) >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

interface Made {
  readonly chunk: number;
  readonly speaking: boolean;
}

/** One call: what was decoded for it, and a player that shows a chunk every 480 ms or waits for it. */
class Viewer implements ChunkGenerator {
  readonly sessionId = newSessionId();
  readonly decoded = new Map<number, Made>();
  /** When speech came, and the first chunk of it was shown. */
  readonly starts: { readonly atMs: number; shownAtMs?: number }[] = [];
  waitedMs = 0;
  held = 0;
  playing = -1;
  sinceMs = 0;
  /** The frame it reported last. */
  reported = '';
  turn = 0;
  readonly #world: World;
  #abandonedFrom = Number.POSITIVE_INFINITY;

  constructor(world: World) {
    this.#world = world;
  }

  async generate(chunk: number, _pcm: Int16Array, steps = STEPS): Promise<GeneratedChunk | undefined> {
    this.#abandonedFrom = Number.POSITIVE_INFINITY;
    for (let step = 0; step < Math.min(steps, STEPS); step++) {
      this.#world.pass(this.#world.scoreMs / STEPS);
      if (this.#abandonedFrom <= chunk) return undefined;
    }
    return { values: new Float32Array(steps === 0 ? 0 : geometry.latentValues), steps: Math.min(steps, STEPS) };
  }

  rollback(fromChunk: number): void {
    this.#abandonedFrom = fromChunk;
  }

  dispose(): void {}

  forget(flush: Flush): void {
    for (const chunk of this.decoded.keys()) if (chunk >= flush.fromChunk) this.decoded.delete(chunk);
  }

  play(nowMs: number): void {
    const next = this.decoded.get(this.playing + 1);
    const dueMs = this.playing < 0 ? this.sinceMs : this.sinceMs + chunkMs;
    if (nowMs >= dueMs && next !== undefined) {
      const late = nowMs - dueMs > TICK_MS;
      if (this.playing >= 0 && late) this.waitedMs += nowMs - dueMs;
      this.playing += 1;
      this.sinceMs = late ? nowMs : dueMs;
      const waiting = this.starts.find(({ shownAtMs }) => shownAtMs === undefined);
      if (waiting !== undefined && next.speaking) waiting.shownAtMs = nowMs;
    }
    const frame = Math.min(geometry.framesPerChunk - 1, Math.floor((nowMs - this.sinceMs) / FRAME_MS));
    if (this.playing < 0 || this.reported === `${this.playing}.${frame}`) return;
    this.reported = `${this.playing}.${frame}`;
    this.#world.news += 1;
    this.#world.stage.playhead(playheadAt(this.playing, frame, 2, this.sessionId));
  }
}

interface Queued {
  readonly viewer: Viewer;
  readonly made: Made;
  readonly dueMs: number;
}

/** Everything on one clock, a millisecond at a time. */
class World {
  readonly clock = new FakeClock();
  readonly stage: ScoreScheduler;
  readonly viewers: Viewer[] = [];
  readonly scoreMs: number;
  readonly decodeMs: number;
  news = 0;
  readonly #events: { readonly atMs: number; readonly happen: () => void }[] = [];
  readonly #queue: Queued[] = [];
  #decoding: { readonly viewer: Viewer; readonly made: Made; readonly untilMs: number } | undefined;

  constructor(scoreMs: number, decodeMs: number) {
    this.scoreMs = scoreMs;
    this.decodeMs = decodeMs;
    const cost = new ChunkCost(scoreMs);
    this.stage = new ScoreScheduler({ geometry, steps: STEPS, clock: this.clock, cost, downstreamMs: DOWNSTREAM_MS });
  }

  open(phaseMs: number): Viewer {
    const viewer = new Viewer(this);
    viewer.sinceMs = this.clock.nowMs() + 2 * chunkMs + phaseMs;
    this.viewers.push(viewer);
    this.stage.open(sessionOptions({ sessionId: viewer.sessionId }), viewer, new RollingPercentiles());
    return viewer;
  }

  speak(viewer: Viewer, seconds: number): void {
    viewer.turn += 1;
    this.news += 1;
    viewer.starts.push({ atMs: this.clock.nowMs() });
    const pcm = chunks((seconds * 1000) / chunkMs);
    const { flush } = this.stage.speech(viewer.sessionId, viewer.turn, pcm, true);
    if (flush === undefined) return;
    viewer.forget(flush);
    for (let i = this.#queue.length - 1; i >= 0; i--) {
      const item = this.#queue[i];
      if (item?.viewer === viewer && item.made.chunk >= flush.fromChunk) this.#queue.splice(i, 1);
    }
    const { viewer: decoded, made, untilMs } = this.#decoding ?? {};
    if (decoded === viewer && made !== undefined && made.chunk >= flush.fromChunk)
      this.#decoding = { viewer: NO_VIEWER, made, untilMs: untilMs ?? 0 };
  }

  at(atMs: number, happen: () => void): void {
    this.#events.push({ atMs, happen });
    this.#events.sort((a, b) => a.atMs - b.atMs);
  }

  async run(ms: number): Promise<void> {
    const endMs = this.clock.nowMs() + ms;
    while (this.clock.nowMs() < endMs) {
      const output = await this.stage.step();
      if (output === undefined) this.untilNews(endMs);
      else if (output.type === 'latent') {
        const { sessionId, chunk, speaking, held } = output.message;
        const viewer = this.viewers.find((one) => one.sessionId === sessionId) as Viewer;
        if (held) viewer.held += 1;
        const dueMs = viewer.sinceMs + (chunk - viewer.playing) * chunkMs;
        this.#queue.push({ viewer, made: { chunk, speaking }, dueMs });
      }
    }
  }

  /** There is nothing to make before a playhead or speech says so. */
  untilNews(endMs: number): void {
    const before = this.news;
    while (this.news === before && this.clock.nowMs() < endMs) this.pass(TICK_MS);
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 1) {
      this.clock.advance(Math.min(1, left));
      const nowMs = this.clock.nowMs();
      this.#decode(nowMs);
      for (const viewer of this.viewers) viewer.play(nowMs);
      while ((this.#events[0]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs) this.#events.shift()?.happen();
    }
  }

  #decode(nowMs: number): void {
    if (this.#decoding !== undefined && nowMs >= this.#decoding.untilMs) {
      const { viewer, made } = this.#decoding;
      viewer.decoded.set(made.chunk, made);
      this.#decoding = undefined;
    }
    if (this.#decoding !== undefined || this.#queue.length === 0) return;
    this.#queue.sort((a, b) => a.dueMs - b.dueMs);
    const { viewer, made } = this.#queue.shift() as Queued;
    this.#decoding = { viewer, made, untilMs: nowMs + this.decodeMs };
  }
}
/** Whose chunk was flushed while it was decoded. */
const NO_VIEWER = new Viewer(undefined as unknown as World);

const startsOf = (world: World): number[] =>
  world.viewers.flatMap(({ starts }) => starts.map(({ atMs, shownAtMs }) => (shownAtMs ?? Number.NaN) - atMs));

const percentilesOf = (values: readonly number[]) => {
  const sorted = [...values].sort((a, b) => a - b);
  return (q: number): number => Math.round(sorted[Math.floor(q * (sorted.length - 1))] as number);
};

const SECONDS = 16;

/** As many calls as fit; every four seconds all but a few of them begin to speak at once. */
async function mix(seed: number, aligned: boolean): Promise<World> {
  const random = randomFrom(seed);
  const count = 1 + Math.floor(random() * 6);
  const costOf = (most: number): number => Math.min(most, FULL_MS / count) * (0.6 + 0.4 * random());
  const world = new World(costOf(FULL_MS), costOf(DOWNSTREAM_MS - 10));
  const phase = random() * chunkMs;
  for (let i = 0; i < count; i++) world.open(aligned ? phase : random() * chunkMs);
  const startMs = world.clock.nowMs();
  for (let second = 3; second < SECONDS - 3; second += 4) {
    const atMs = startMs + second * 1000 + random() * chunkMs;
    for (const viewer of world.viewers) {
      const alone = random() < 0.1;
      world.at(alone ? atMs + random() * 2000 : atMs, () => world.speak(viewer, 0.5 + random() * 1.5));
    }
  }
  await world.run(SECONDS * 1000);
  return world;
}

test('sessions that begin to speak at the same moment: nothing is late and nothing is held', async (t) => {
  const delays: number[] = [];
  for (let seed = 1; seed <= 60; seed++) {
    const world = await mix(seed, seed % 2 === 0);
    const what = `seed ${seed}: ${world.viewers.length} calls of ${world.scoreMs.toFixed(0)} + ${world.decodeMs.toFixed(0)} ms`;
    for (const { waitedMs, held, playing } of world.viewers) {
      assert.ok(playing > (SECONDS * 1000) / chunkMs - 6, `${what}: ${playing} chunks`);
      assert.deepEqual({ waitedMs, held }, { waitedMs: 0, held: 0 }, what);
    }
    delays.push(...startsOf(world));
  }
  const at = percentilesOf(delays);
  t.diagnostic(`${delays.length} starts of speech, on screen after ${at(0.5)} ms, ${at(0.9)} ms, at most ${at(1)} ms`);
  assert.ok(at(1) <= 2 * chunkMs + DOWNSTREAM_MS, 'in the chunk after the next one at most');
});

test('a session that begins to speak alone on a worker with room is on screen in the next chunk that can be in time', async (t) => {
  const [scoreMs, decodeMs, count] = [9, 65, 4];
  const delays: number[] = [];
  for (let seed = 1; seed <= 12; seed++) {
    const random = randomFrom(seed);
    const world = new World(scoreMs, decodeMs);
    for (let i = 0; i < count; i++) world.open(random() * chunkMs);
    const startMs = world.clock.nowMs() + 3000;
    for (let i = 0; i < 12; i++) {
      const viewer = world.viewers[i % count] as Viewer;
      world.at(startMs + 1000 * (i + 0.5 * random()), () => world.speak(viewer, 1));
    }
    await world.run(SECONDS * 1000);
    for (const { waitedMs, held } of world.viewers) assert.deepEqual({ waitedMs, held }, { waitedMs: 0, held: 0 });
    delays.push(...startsOf(world));
  }
  const at = percentilesOf(delays);
  t.diagnostic(`${delays.length} starts of speech, on screen after ${at(0.5)} ms, ${at(0.9)} ms, at most ${at(1)} ms`);
  assert.ok(at(1) <= 1.5 * chunkMs, `${at(1)} ms`);
  assert.ok(at(0.5) <= chunkMs / 2 + 2 * DOWNSTREAM_MS, `${at(0.5)} ms`);
});
