import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { type Demand, RealTimeAdmission, type RefusalReason } from './admission.js';
import { ChunkCost } from './cost.js';
import { DegradeLadder, LADDER_DEFAULTS, type TimeLeft } from './ladder.js';
import { countLate } from './late-chunks.js';
import { pickNext, type Ready } from './order.js';

const CHUNK_MS = 480;
const OPTIONS = { clocklessEveryMs: 4 * CHUNK_MS };

interface Named extends Ready {
  readonly name: string;
}
const chunk = (name: string, dueMs: number | undefined, speaking = false, servedAtMs = 0): Named => ({
  name,
  dueMs,
  speaking,
  servedAtMs,
});
const picked = (ready: readonly Named[], nowMs: number, costMs: number): string | undefined =>
  pickNext(ready, nowMs, costMs, OPTIONS)?.name;

test('the earliest deadline goes first while there is time for all', () => {
  assert.equal(picked([], 0, 10), undefined);
  assert.equal(picked([chunk('b', 300, true), chunk('a', 200), chunk('c', 400, true)], 0, 50), 'a');
});

test('speech goes before idle only when it would be late otherwise, and until the idle one is due itself', () => {
  const ready = [chunk('idle', 100), chunk('said', 150, true)];
  assert.equal(picked(ready, 0, 70), 'idle', 'both are in time');
  assert.equal(picked(ready, 0, 80), 'said');
  assert.equal(picked(ready, 99, 80), 'said');
  assert.equal(picked(ready, 100, 80), 'idle', 'it has waited as long as it can');
});

test('a recording takes what calls leave, is owed its share, and takes turns with other recordings', () => {
  const recording = chunk('recording', undefined, true, 0);
  assert.equal(picked([recording], 0, 80), 'recording');
  assert.equal(picked([recording, chunk('idle', 5000)], 0, 80), 'idle');
  assert.equal(picked([recording, chunk('idle', 5000)], OPTIONS.clocklessEveryMs, 80), 'recording');
  assert.equal(picked([chunk('b', undefined, true, 20), chunk('a', undefined, true, 10)], 100, 80), 'a');
});

/** Small, seeded, good enough for shuffling loads. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Simulated {
  readonly clocked: boolean;
  readonly speaks: (chunk: number) => boolean;
  /** When its chunk 0 is due. */
  readonly startMs: number;
  readonly ladder: DegradeLadder;
  next: number;
  servedAtMs: number;
  late: number;
  lateSpeaking: number;
  held: number;
  heldInARow: number;
  mostHeldInARow: number;
  longestWaitMs: number;
}

/** A worker that makes one chunk after another for `forMs` of virtual time, a chunk becoming ready one chunk time before it is due. */
function simulate(sessions: readonly Simulated[], costMs: number, forMs: number): void {
  const steps = 2;
  for (let nowMs = 0; nowMs < forMs; ) {
    const ready = sessions.flatMap((session) => {
      const dueMs = session.clocked ? session.startMs + session.next * CHUNK_MS : undefined;
      if (dueMs !== undefined && nowMs < dueMs - CHUNK_MS) return [];
      return [{ session, dueMs, speaking: session.speaks(session.next), servedAtMs: session.servedAtMs }];
    });
    const next = pickNext(ready, nowMs, costMs, OPTIONS);
    if (next === undefined) {
      nowMs += 1;
      continue;
    }
    const { session, dueMs, speaking } = next;
    const others = ready
      .filter((other) => other !== next && other.speaking && other.dueMs !== undefined)
      .map((other) => other.dueMs as number)
      .sort((a, b) => a - b);
    const shared = others.map((otherDueMs, i) => otherDueMs - nowMs - ((i + 1) * costMs) / steps);
    const rung = session.ladder.next({
      ownMs: dueMs === undefined ? undefined : dueMs - nowMs,
      sharedMs: dueMs === undefined || shared.length === 0 ? undefined : Math.min(...shared),
      costMs,
      speaking,
      mayHold: dueMs !== undefined && session.next > 0,
    });
    session.longestWaitMs = Math.max(session.longestWaitMs, nowMs - session.servedAtMs);
    session.servedAtMs = nowMs;
    nowMs += (costMs * rung.steps) / steps;
    const late = dueMs !== undefined && nowMs > dueMs + LADDER_DEFAULTS.toleranceMs;
    if (late) session.late += 1;
    if (late && speaking) session.lateSpeaking += 1;
    session.heldInARow = rung.steps === 0 ? session.heldInARow + 1 : 0;
    if (rung.steps === 0) session.held += 1;
    session.mostHeldInARow = Math.max(session.mostHeldInARow, session.heldInARow);
    session.next += 1;
  }
}

const newSession = (changes: Partial<Simulated>): Simulated => ({
  clocked: true,
  speaks: () => false,
  startMs: 0,
  ladder: new DegradeLadder({ steps: 2, ...LADDER_DEFAULTS }),
  next: 0,
  servedAtMs: 0,
  late: 0,
  lateSpeaking: 0,
  held: 0,
  heldInARow: 0,
  mostHeldInARow: 0,
  longestWaitMs: 0,
  ...changes,
});

test('loads that admission lets in: nothing is late, nothing is held, whatever the phases', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const next = random(seed);
    const count = 1 + Math.floor(next() * 8);
    const costMs = (0.8 * CHUNK_MS) / count;
    const sessions = Array.from({ length: count }, () => {
      const talkative = next();
      const seedOf = Math.floor(next() * 1e6);
      return newSession({
        startMs: CHUNK_MS + next() * CHUNK_MS,
        speaks: (chunk) => random(seedOf + Math.floor(chunk / 8))() < talkative,
      });
    });
    simulate(sessions, costMs, 60_000);
    for (const session of sessions) {
      assert.equal(session.late, 0, `seed ${seed}`);
      assert.equal(session.held, 0, `seed ${seed}`);
      assert.ok(session.next >= 120);
    }
  }
});

test('overload: speech stays in time before idle does, idle pictures hold but never for good, recordings get their share', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const next = random(seed);
    const [speaking, idle] = [2, 2 + Math.floor(next() * 3)];
    const costMs = CHUNK_MS * (0.42 + 0.05 * next());
    const sessions = Array.from({ length: speaking + idle }, (_, i) =>
      newSession({ startMs: CHUNK_MS + next() * CHUNK_MS, speaks: () => i < speaking }),
    );
    const recording = newSession({ clocked: false });
    simulate([...sessions, recording], costMs, 120_000);
    const chunks = 120_000 / CHUNK_MS;
    for (const [i, session] of sessions.entries()) {
      assert.ok(session.next >= chunks - 4, `seed ${seed}: session ${i} made ${session.next} of ${chunks} chunks`);
      assert.ok(session.mostHeldInARow <= LADDER_DEFAULTS.maxHeld);
      if (i < speaking) assert.ok(session.lateSpeaking / session.next <= 0.02, `seed ${seed}: ${session.lateSpeaking}`);
    }
    const held = (from: number, to: number) => sessions.slice(from, to).reduce((sum, { held: n }) => sum + n, 0);
    assert.ok(held(0, speaking) / speaking <= held(speaking, speaking + idle) / idle, `seed ${seed}`);
    assert.ok(recording.longestWaitMs <= OPTIONS.clocklessEveryMs + 2 * CHUNK_MS, `seed ${seed}`);
  }
});

test('the number of late chunks when they are generated, then decoded, one after the other', () => {
  const late = (duesMs: readonly (number | undefined)[], scoreFree = 0, decoderFree = 0): number =>
    countLate(
      duesMs.map((dueMs) => ({ dueMs, rankMs: dueMs ?? 50 })),
      { freeAtMs: scoreFree, costMs: 10 },
      { freeAtMs: decoderFree, costMs: 40 },
      80,
    );
  assert.equal(late([90]), 0, 'generated after 10, played 80 later');
  assert.equal(late([89]), 1);
  assert.equal(late([90], 1), 1);
  assert.equal(late([90], 0, 11), 1);
  assert.equal(late([90, 90]), 1, 'the second waits for the decoder');
  assert.equal(late([130, 90]), 0);
  assert.equal(late([170, undefined]), 0);
  assert.equal(late([129, undefined]), 1, 'a chunk without a deadline is processed before it');
});

const left = (changes: Partial<TimeLeft>): TimeLeft => ({
  ownMs: undefined,
  sharedMs: undefined,
  costMs: 100,
  speaking: true,
  mayHold: true,
  ...changes,
});
const ladder = (steps = 2): DegradeLadder => new DegradeLadder({ steps, ...LADDER_DEFAULTS, toleranceMs: 20 });

test('less time, fewer steps, then a held picture; with no deadline or no known cost, everything', () => {
  for (const [ownMs, steps, reason] of [
    [undefined, 2, undefined],
    [1000, 2, undefined],
    [100, 2, undefined],
    [99, 1, 'late'],
    [50, 1, 'late'],
    [31, 1, 'late'],
    [29, 0, 'late'],
    [-5000, 0, 'late'],
  ] as const)
    assert.deepEqual(ladder().next(left({ ownMs })), { steps, reason }, `${ownMs} ms`);
  assert.deepEqual(ladder().next(left({ ownMs: -1, costMs: 0 })).steps, 2);
  assert.deepEqual(ladder().next(left({ ownMs: -5000, mayHold: false })).steps, 1, 'nothing to hold');
  const extra = new DegradeLadder({ steps: 4, extraPasses: 1, ...LADDER_DEFAULTS });
  assert.equal(extra.next(left({ ownMs: 79, costMs: 100 })).steps, 2, 'one of three passes is not a step');
});

test('for the others: speech gives steps, idle gives everything', () => {
  assert.deepEqual(ladder().next(left({ ownMs: 500, sharedMs: 60 })), { steps: 1, reason: 'load' });
  assert.deepEqual(ladder().next(left({ ownMs: 500, sharedMs: -60 })), { steps: 1, reason: 'load' });
  assert.deepEqual(ladder().next(left({ ownMs: 500, sharedMs: -60, speaking: false })), { steps: 0, reason: 'idle' });
});

test('up again one rung at a time, after time was there for a while; no flapping at the border', () => {
  const climbing = ladder();
  const steps = (ownMs: number): number => climbing.next(left({ ownMs })).steps;
  assert.deepEqual([-500, -500, 500, 500, 500, 500, 500].map(steps), [0, 0, 1, 1, 1, 2, 2]);
  assert.deepEqual([99, 101, 101, 101, 101, 101, 101].map(steps), [1, 1, 1, 1, 1, 1, 1], 'not enough room to climb');
  assert.deepEqual([130, 130, 99, 130, 130, 130].map(steps), [1, 1, 1, 1, 1, 2], 'a bad chunk starts the wait anew');
});

test('a picture that is always late is made now and then', () => {
  const stuck = ladder();
  const taken = Array.from({ length: 15 }, () => stuck.next(left({ ownMs: -500 })).steps);
  assert.deepEqual(taken, [0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
});

test('the cost of a chunk is a median, in whole chunks', () => {
  const cost = new ChunkCost(70);
  assert.equal(cost.ms, 70);
  for (const ms of [40, 42, 5000]) cost.add(ms);
  assert.equal(cost.ms, 42);
  for (let i = 0; i < 3; i++) cost.add(20, 0.5);
  assert.equal(cost.ms, 40);
  for (let i = 0; i < 64; i++) cost.add(90);
  assert.equal(cost.ms, 90, 'what is long past is forgotten');
});

function admission(costMs: number, stateBytes = 1e9) {
  const refused: RefusalReason[] = [];
  const limits = { windowMs: CHUNK_MS, utilisation: 0.8, stateBytes, stateBytesPerSession: 1000, clocklessShare: 0.25 };
  const cost = { ms: costMs };
  return {
    door: new RealTimeAdmission(
      limits,
      () => cost.ms,
      (reason) => void refused.push(reason),
    ),
    refused,
    cost,
  };
}
const CALL: Demand = { clockless: false };
const full = (setting: RegExp) => (error: unknown) =>
  error instanceof MeshError && error.reason === 'SESSION_LIMIT' && error.retryable && setting.test(error.message);

test('sessions are let in while all stay in real time; a recording counts for its share', () => {
  const { door, refused } = admission(120);
  const places = [door.enter(CALL), door.enter(CALL), door.enter(CALL)];
  assert.equal(door.utilisation(), 0.75);
  assert.throws(() => door.enter(CALL), full(/4 sessions at 120 ms.*100 %.*80 %.*TALKMESH_UTILISATION_MAX/));
  assert.throws(() => door.enter({ clockless: true }), full(/81 %/));
  places[0]?.release();
  places[0]?.release();
  door.enter({ clockless: true });
  assert.deepEqual(refused, ['utilisation', 'utilisation']);
});

test('a worker that became slower admits no more; one too slow for a single call still takes one', () => {
  const { door, cost } = admission(50);
  door.enter(CALL);
  cost.ms = 400;
  assert.throws(() => door.enter(CALL), full(/TALKMESH_UTILISATION_MAX/));
  assert.ok(admission(2000).door.enter(CALL));
});

test('a session of a better quality takes more of the time, a faster one less; its state is its own', () => {
  const { door } = admission(120);
  const best: Demand = { clockless: false, cost: 1.5, stateBytes: 2000 };
  const place = door.enter(best);
  assert.equal(door.utilisation(), 0.375);
  door.enter(best);
  assert.equal(door.stateBytes, 4000);
  assert.throws(
    () => door.enter(best),
    full(/3 sessions at 120 ms a chunk \(times 1.50 for their quality or size\).*113 %/),
  );
  assert.throws(() => door.enter(CALL), full(/times 1.33.*100 %/));
  place.release();
  door.enter({ clockless: true, cost: 1.5 });
  door.enter({ clockless: false, cost: 0.5 });
  assert.equal(door.utilisation(), (120 / CHUNK_MS) * (1.5 + 1.5 / 4 + 0.5));
});

test('state bytes are a budget', () => {
  const { door, refused } = admission(1, 2500);
  door.enter(CALL);
  const second = door.enter(CALL);
  assert.throws(() => door.enter(CALL), full(/3000 bytes.*2500 \(TALKMESH_STATE_BYTES_MAX\)/));
  assert.equal(door.stateBytes, 2000);
  second.release();
  door.enter(CALL);
  assert.deepEqual(refused, ['state_bytes']);
});
