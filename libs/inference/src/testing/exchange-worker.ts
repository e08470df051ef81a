/**
 * A rank thread for tests of the exchange: publishes known numbers, and reports how many it read wrong and how it
 * ended.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { gatherHeads, gatherRows, gatherTokens, type ShardShape } from '../parallel/collectives.js';
import { Exchange, type ExchangeMemory } from '../parallel/exchange.js';

export interface ExchangeWorkerData {
  readonly memory: ExchangeMemory;
  readonly shape: ShardShape;
  readonly collective: 'rows' | 'heads' | 'tokens';
  readonly parts: number;
  readonly firstPart: number;
  readonly deadlineMs: number;
  /** Number of parts after which this rank stops taking part. */
  readonly stopsAfter?: number;
}

export interface ExchangeReport {
  readonly rank: number;
  readonly wrong: number;
  readonly parts: number;
  readonly error?: string;
  readonly culprit?: number | undefined;
  readonly tookMs: number;
}

const data = workerData as ExchangeWorkerData;
const { rank, ranks, rows, dim } = data.shape;

/** The number at a position of the whole tensor. It is an integer, so float32 represents it exactly. */
const valueAt = (part: number, tensor: number, row: number, column: number): number =>
  ((part * 7919 + tensor * 104_729 + row * 131 + column) % 16_777_216) | 0;

const build = (height: number, width: number, at: (row: number, column: number) => number): Float32Array =>
  Float32Array.from({ length: height * width }, (_, i) => at(Math.floor(i / width), i % width));

/** Sleeps at some parts, so that every rank is sometimes the first and sometimes the last. */
function dawdle(part: number): void {
  if ((part * 2_654_435_761 + rank * 40_503) % 23 !== 0) return;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
}

function countWrong(values: Float32Array, expected: Float32Array): number {
  let wrong = 0;
  for (let i = 0; i < expected.length; i++) if (values[i] !== expected[i]) wrong += 1;
  return wrong;
}

function swap(exchange: Exchange, part: number): number {
  const width = dim / ranks;
  const own = [0, 1].map((tensor) =>
    build(rows, dim, (row, column) => valueAt(part, tensor, rank * rows + row, column)),
  );
  if (data.collective === 'rows') {
    const all = own.map(() => new Float32Array(ranks * rows * dim));
    for (const [i, values] of all.entries()) values.set(own[i] as Float32Array, rank * rows * dim);
    const id = exchange.publish(...own);
    dawdle(part);
    gatherRows(exchange, data.shape, id, all);
    return all.reduce(
      (sum, values, tensor) =>
        sum +
        countWrong(
          values,
          build(ranks * rows, dim, (r, c) => valueAt(part, tensor, r, c)),
        ),
      0,
    );
  }
  if (data.collective === 'heads') {
    const heads = own.map(() => new Float32Array(ranks * rows * width));
    const id = exchange.publish(...own);
    dawdle(part);
    gatherHeads(exchange, data.shape, id, own, heads);
    return heads.reduce(
      (sum, values, tensor) =>
        sum +
        countWrong(
          values,
          build(ranks * rows, width, (r, c) => valueAt(part, tensor, r, rank * width + c)),
        ),
      0,
    );
  }
  const mine = build(ranks * rows, width, (r, c) => valueAt(part, 0, r, rank * width + c));
  const tokens = new Float32Array(rows * dim);
  const id = exchange.publish(mine);
  dawdle(part);
  gatherTokens(exchange, data.shape, id, mine, tokens);
  return countWrong(
    tokens,
    build(rows, dim, (r, c) => valueAt(part, 0, rank * rows + r, c)),
  );
}

parentPort?.once('message', () => {
  const exchange = new Exchange(data.memory, rank, data.deadlineMs, data.firstPart);
  parentPort?.postMessage('ready');
  parentPort?.once('message', () => {
    const start = performance.now();
    let [wrong, parts] = [0, 0];
    const report = (more: Partial<ExchangeReport>): void =>
      parentPort?.postMessage({ rank, wrong, parts, tookMs: performance.now() - start, ...more } as ExchangeReport);
    try {
      for (; parts < Math.min(data.parts, data.stopsAfter ?? data.parts); parts++) wrong += swap(exchange, parts);
      if (data.stopsAfter === undefined) report({});
      else setInterval(() => undefined, 1000);
    } catch (error) {
      report({ error: (error as Error).message, culprit: (error as { culprit?: number }).culprit });
    }
  });
});
