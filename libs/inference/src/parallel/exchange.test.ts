import assert from 'node:assert/strict';
import { once } from 'node:events';
import { extname } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { spawnWorker } from '../executor/spawn-worker.js';
import type { ExchangeReport, ExchangeWorkerData } from '../testing/exchange-worker.js';
import { createExchangeMemory, Exchange, failExchange } from './exchange.js';

const BESIDE_WORKER = new URL(`../testing/index${extname(import.meta.url)}`, import.meta.url).href;

type Setup = Pick<ExchangeWorkerData, 'collective' | 'parts'> &
  Partial<Pick<ExchangeWorkerData, 'firstPart' | 'deadlineMs'>> & {
    readonly ranks: number;
    readonly rows: number;
    readonly dim: number;
    /** Number of parts after which a rank stops taking part, by rank. */
    readonly stops?: Readonly<Record<number, number>>;
  };

interface Group extends AsyncDisposable {
  readonly memory: ReturnType<typeof createExchangeMemory>;
  readonly workers: readonly Worker[];
  /** The reports of all ranks, except those that stop early. */
  readonly reports: Promise<ExchangeReport[]>;
}

async function start(setup: Setup): Promise<Group> {
  const { ranks, rows, dim } = setup;
  const memory = createExchangeMemory(ranks, 2 * rows * dim);
  const workers = Array.from({ length: ranks }, (_, rank) => {
    const stopsAfter = setup.stops?.[rank];
    const data: ExchangeWorkerData = {
      memory,
      shape: { rank, ranks, rows, dim },
      collective: setup.collective,
      parts: setup.parts,
      firstPart: setup.firstPart ?? 0,
      deadlineMs: setup.deadlineMs ?? 20_000,
      ...(stopsAfter !== undefined && { stopsAfter }),
    };
    return spawnWorker(BESIDE_WORKER, 'exchange-worker', data);
  });
  // Each rank sets its own counters, so all ranks must have set theirs before any rank reads them.
  for (const worker of workers) worker.postMessage('prepare');
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const ending = workers.filter((_, rank) => setup.stops?.[rank] === undefined);
  const reports = Promise.all(ending.map(async (worker) => (await once(worker, 'message'))[0] as ExchangeReport));
  for (const worker of workers) worker.postMessage('go');
  return {
    memory,
    workers,
    reports,
    async [Symbol.asyncDispose]() {
      failExchange(memory, undefined);
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

for (const [collective, ranks, rows, dim] of [
  ['rows', 2, 6, 16],
  ['rows', 3, 4, 10],
  ['rows', 4, 64, 96],
  ['heads', 2, 6, 16],
  ['heads', 4, 12, 32],
  ['tokens', 2, 6, 16],
  ['tokens', 3, 5, 24],
] as const)
  test(`${collective} of ${ranks} ranks: every rank reads every value of the right part`, async () => {
    const parts = rows > 50 ? 60 : 500;
    await using group = await start({ collective, ranks, rows, dim, parts });
    const reports = await group.reports;
    assert.deepEqual(
      reports.map(({ rank, wrong, error, parts: done }) => ({ rank, wrong, error, done })),
      Array.from({ length: ranks }, (_, rank) => ({ rank, wrong: 0, error: undefined, done: parts })),
    );
  });

test('the exchange works on when part numbers exceed 31 and 32 bits', async () => {
  for (const firstPart of [2 ** 31 - 40, 2 ** 32 - 40]) {
    await using group = await start({ collective: 'rows', ranks: 2, rows: 2, dim: 4, parts: 100, firstPart });
    for (const { wrong, error, parts } of await group.reports)
      assert.deepEqual([wrong, error, parts], [0, undefined, 100]);
  }
});

test('a rank that stops makes every waiting rank fail at the deadline, with an error that names it', async () => {
  const deadlineMs = 300;
  await using group = await start({
    collective: 'rows',
    ranks: 3,
    rows: 2,
    dim: 6,
    parts: 1000,
    stops: { 1: 5 },
    deadlineMs,
  });
  const reports = await group.reports;
  assert.deepEqual(
    reports.map(({ rank, culprit, wrong, parts }) => ({ rank, culprit, wrong, parts })),
    [0, 2].map((rank) => ({ rank, culprit: 1, wrong: 0, parts: 5 })),
  );
  assert.ok(
    reports.some(
      ({ error }) => error === `rank 1 did not reach the exchange within ${deadlineMs} ms (TALKMESH_RANK_DEADLINE_MS)`,
    ),
  );
  for (const { tookMs } of reports) assert.ok(tookMs >= deadlineMs * 0.9);
});

test('a rank that is reported as failed makes every waiting rank fail before the deadline', async () => {
  await using group = await start({ collective: 'rows', ranks: 3, rows: 2, dim: 6, parts: 1000, stops: { 2: 3 } });
  await sleep(100);
  failExchange(group.memory, 2);
  for (const { error, culprit, parts } of await group.reports)
    assert.deepEqual([error, culprit, parts], ['rank 2 failed', 2, 3]);
});

test('an ended group stays ended when a rank is reported as failed later', () => {
  const memory = createExchangeMemory(2, 4);
  const exchange = new Exchange(memory, 0, 1000);
  failExchange(memory, undefined);
  failExchange(memory, 1);
  assert.throws(() => exchange.take(0, 1), { message: 'the group was ended', culprit: undefined });
});

test('a publisher waits for a reader that is behind, and never overwrites an unread part', () => {
  const memory = createExchangeMemory(2, 2);
  const [fast, slow] = [new Exchange(memory, 0, 30), new Exchange(memory, 1, 30)];
  for (let part = 0; part < 3; part++) fast.publish(Float32Array.of(part, -part));
  assert.deepEqual([slow.arrived(2, 0), slow.arrived(3, 0)], [true, false]);
  assert.deepEqual([...slow.take(0, 0)], [0, -0]);
  slow.done(0);
  fast.publish(Float32Array.of(3, -3));
  assert.deepEqual([...slow.take(1, 0)], [1, -1], 'the unread part is not overwritten');
  assert.throws(() => fast.publish(Float32Array.of(4, -4)), /rank 1 did not reach the exchange within 30 ms/);
});

test('publishing more floats than a part holds is an error', () => {
  const exchange = new Exchange(createExchangeMemory(1, 3), 0, 30);
  assert.throws(() => exchange.publish(new Float32Array(2), new Float32Array(2)), RangeError);
});
