import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { MeshError } from '@talkmesh/contracts';
import { spawnWorker } from '../executor/spawn-worker.js';
import { partFloats } from './collectives.js';
import { createExchangeMemory, type ExchangeMemory, failExchange } from './exchange.js';
import type { PassReply, PassRequest, RankReply, RankRequest, RankWorkerData } from './rank-protocol.js';

/** The worker data of a rank, without the shared memory, which the group creates. */
export type RankSetup = Omit<RankWorkerData, 'memory'>;

/**
 * Why a group restarts. `exit`: the thread of a rank exited. `error`: a rank reported an error. `silence`: a rank missed a
 * deadline of the group or of another rank. `start`: the previous start failed.
 */
export type RestartReason = 'exit' | 'error' | 'silence' | 'start';

export interface RankGroupOptions {
  /** Name for messages, for example `step group 1`. */
  readonly name: string;
  readonly ranks: readonly RankSetup[];
  /** Longest wait for a rank in an exchange, milliseconds. A whole pass may take twice as long. */
  readonly deadlineMs: number;
  /** Called before each restart. */
  readonly onRestart: (why: string, reason: RestartReason) => void;
}

/** A pass of a group: the fields that all ranks share, and one shard per rank. */
export type GroupPass = Omit<PassRequest, 'op' | 'call' | 'x' | 'shard'> & {
  readonly shards: readonly Pick<PassRequest, 'x' | 'shard'>[];
};

interface Waiting {
  readonly worker: Worker;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** One start of the group's threads. */
interface Life {
  readonly memory: ExchangeMemory;
  readonly workers: readonly Worker[];
  readonly waiting: Map<number, Waiting>;
}

/** `threadId` of a worker that has exited. */
const EXITED = -1;
/** A start may take this many times as long as the first one, and a minute more. */
const START_FACTOR = 4;
const START_SLACK_MS = 60_000;
const CLOSE_DEADLINE_MS = 2000;
/**
 * A group that fails more often than this within the window is not restarted; the process must be restarted instead.
 */
const DEATHS_ALLOWED = 3;
const DEATHS_WINDOW_MS = 60_000;

/**
 * The threads that share a pass. When a rank fails or misses its deadline, all threads are ended, pending calls reject with
 * an error that names the rank, and the group restarts without the keys and values that it kept.
 */
export class RankGroup {
  /** Rejects when the group will not be restarted any more; never resolves. */
  readonly failed: Promise<never>;
  readonly #options: RankGroupOptions;
  readonly #deathsMs: number[] = [];
  #giveUp: (error: MeshError) => void = () => undefined;
  #life: Life | undefined;
  #ready: Promise<void>;
  #incarnation = 0;
  #lastDeath = '';
  #nextCall = 1;
  /** How long the first start took. It has no deadline of its own: who starts the process knows how large the model is. */
  #firstStartMs: number | undefined;
  #closed = false;

  /** Starts the threads; `ready` resolves when they are loaded. */
  constructor(options: RankGroupOptions) {
    this.#options = options;
    this.failed = new Promise((_, reject) => {
      this.#giveUp = reject;
    });
    this.failed.catch(() => undefined);
    this.#ready = this.#start();
    this.#ready.catch(() => undefined);
  }

  /** Resolves when the current start is complete; rejects with the reason when the group cannot be started. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** Number of completed starts. Keys and values of an earlier incarnation no longer exist. */
  get incarnation(): number {
    return this.#incarnation;
  }

  /**
   * Runs a pass on all ranks. Passes run in the order of these calls.
   * @returns one reply per rank
   * @throws MeshError PEER_LOST when a rank fails during the pass, or while the group is starting
   */
  async pass({ shards, ...pass }: GroupPass): Promise<PassReply[]> {
    const life = this.#living();
    const replies = life.workers.map((worker, rank) => {
      const call = this.#nextCall++;
      const { x, shard } = shards[rank] as GroupPass['shards'][number];
      return this.#call<PassReply>(life, worker, { op: 'pass', call, x, shard, ...pass });
    });
    const overdue = setTimeout(() => {
      this.#die(
        life,
        'silence',
        `no answer within ${2 * this.#options.deadlineMs} ms (twice TALKMESH_RANK_DEADLINE_MS)`,
      );
    }, 2 * this.#options.deadlineMs);
    try {
      return await Promise.all(replies);
    } finally {
      clearTimeout(overdue);
      for (const reply of replies) reply.catch(() => undefined);
    }
  }

  /** Sends all ranks a request without a reply. Does nothing while the group is down, since it then keeps no state. */
  send(request: Exclude<RankRequest, { call: number }>): void {
    for (const worker of this.#life?.workers ?? []) worker.postMessage(request);
  }

  /** Number of runs so far on all ranks together, by segment. */
  async runs(): Promise<Readonly<Record<string, number>>> {
    const life = this.#living();
    const all = await Promise.all(
      life.workers.map((worker) => {
        const call = this.#nextCall++;
        return this.#call<Record<string, number>>(life, worker, { op: 'runs', call });
      }),
    );
    const sum: Record<string, number> = {};
    for (const [name, count] of all.flatMap((runs) => Object.entries(runs))) sum[name] = (sum[name] ?? 0) + count;
    return sum;
  }

  /** Ends the thread of one rank without notice, as a crash would; for tests. */
  async kill(rank: number): Promise<void> {
    const worker = this.#living().workers[rank];
    if (worker !== undefined) await leave(worker, 1);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const life = this.#life;
    this.#life = undefined;
    await this.#ready.catch(() => undefined);
    if (life === undefined) return;
    this.#release(life, new MeshError('CANCELLED', 'the ranks were closed'));
    const exits = life.workers.map((worker) => (worker.threadId === EXITED ? undefined : once(worker, 'exit')));
    for (const worker of life.workers) worker.postMessage({ op: 'close' } satisfies RankRequest);
    const overdue = setTimeout(() => endAll(life.workers), CLOSE_DEADLINE_MS);
    await Promise.all(exits);
    clearTimeout(overdue);
  }

  #living(): Life {
    if (this.#life !== undefined) return this.#life;
    const cause = this.#lastDeath === '' ? '' : ` again (${this.#lastDeath})`;
    throw new MeshError('PEER_LOST', `${this.#options.name} is starting${cause}; try again`);
  }

  async #start(): Promise<void> {
    const { ranks } = this.#options;
    const { shape, exchange } = ranks[0] as RankSetup;
    const memory = createExchangeMemory(ranks.length, partFloats(exchange, shape));
    const workers = ranks.map((setup) => {
      const thread = setup.provider === 'cpu' ? 'rank-worker' : 'native-rank-worker';
      const worker = spawnWorker(import.meta.url, thread, { ...setup, memory } satisfies RankWorkerData);
      // Without a handler an error would end the process. A failed thread also exits, and its exit is always handled.
      worker.on('error', () => undefined);
      return worker;
    });
    const life: Life = { memory, workers, waiting: new Map() };
    const beginMs = performance.now();
    const overdue =
      this.#firstStartMs === undefined
        ? undefined
        : AbortSignal.timeout(Math.ceil(START_FACTOR * this.#firstStartMs + START_SLACK_MS));
    try {
      await Promise.all(workers.map((worker, rank) => this.#readyRank(worker, rank, overdue)));
    } catch (error) {
      failExchange(memory, undefined);
      await endAll(workers);
      throw error;
    }
    if (this.#closed) {
      await endAll(workers);
      return;
    }
    this.#firstStartMs ??= performance.now() - beginMs;
    this.#incarnation += 1;
    this.#life = life;
    for (const [rank, worker] of workers.entries()) this.#watch(life, worker, rank);
  }

  async #readyRank(worker: Worker, rank: number, overdue: AbortSignal | undefined): Promise<void> {
    const who = `rank ${rank} of ${this.#options.name}`;
    const ended = new AbortController();
    const signals = overdue === undefined ? [ended.signal] : [overdue, ended.signal];
    const first = once(worker, 'message', { signal: AbortSignal.any(signals) });
    const exit = once(worker, 'exit', { signal: ended.signal }).then(() => {
      throw new MeshError('MODEL_INVALID', `${who} ended while it loaded its share of the model`);
    });
    try {
      const [reply] = (await Promise.race([first, exit])) as [RankReply];
      if (reply.type === 'failed')
        throw new MeshError('MODEL_INVALID', `${who} cannot load its share: ${reply.message}`);
    } finally {
      ended.abort();
      for (const event of [first, exit]) event.catch(() => undefined);
    }
  }

  #watch(life: Life, worker: Worker, rank: number): void {
    const who = `rank ${rank} of ${this.#options.name}`;
    worker.on('message', (reply: RankReply) => {
      if (reply.type === 'answer') {
        life.waiting.get(reply.call)?.resolve(reply.value);
        life.waiting.delete(reply.call);
      } else if (reply.type === 'failed') {
        const reason = reply.culprit === undefined ? 'error' : 'silence';
        this.#die(life, reason, `${who}: ${reply.message}`, reply.culprit ?? rank);
      }
    });
    worker.on('error', (error) => this.#die(life, 'error', `${who} failed: ${error.message}`, rank));
    worker.on('exit', (code) => this.#die(life, 'exit', `${who} ended with exit code ${code}`, rank));
    if (worker.threadId === EXITED) this.#die(life, 'exit', `${who} ended at once`, rank);
  }

  #call<T>(life: Life, worker: Worker, request: RankRequest & { readonly call: number }): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      life.waiting.set(request.call, { worker, resolve: resolve as (value: unknown) => void, reject });
      worker.postMessage(request);
    });
  }

  #die(life: Life, reason: RestartReason, why: string, culprit?: number): void {
    if (this.#life !== life) return;
    this.#life = undefined;
    this.#lastDeath = why;
    failExchange(life.memory, culprit);
    this.#release(life, new MeshError('PEER_LOST', `${why}; its group of ranks restarts, open the session again`));
    void endAll(life.workers);
    this.#ready = this.#startAgain(why, reason);
    this.#ready.catch(() => undefined);
  }

  #release(life: Life, error: MeshError): void {
    for (const { reject } of life.waiting.values()) reject(error);
    life.waiting.clear();
  }

  async #startAgain(why: string, reason: RestartReason): Promise<void> {
    for (let [last, kind] = [why, reason]; ; ) {
      const nowMs = performance.now();
      this.#deathsMs.push(nowMs);
      if (this.#deathsMs.filter((ms) => nowMs - ms < DEATHS_WINDOW_MS).length > DEATHS_ALLOWED) {
        const message = `${this.#options.name} failed ${DEATHS_ALLOWED + 1} times within ${DEATHS_WINDOW_MS / 1000} s, the last time because: ${last}; restart the worker`;
        const error = new MeshError('INTERNAL', message);
        this.#giveUp(error);
        throw error;
      }
      this.#options.onRestart(last, kind);
      try {
        return await this.#start();
      } catch (error) {
        [last, kind] = [(error as Error).message, 'start'];
      }
    }
  }
}

async function endAll(workers: readonly Worker[]): Promise<void> {
  await Promise.all(workers.map((worker) => leave(worker, 0)));
}

/**
 * Asks a thread to exit, since terminating it inside the runtime would crash the process. A thread that does not exit in
 * time is terminated.
 */
async function leave(worker: Worker, code: number): Promise<void> {
  if (worker.threadId === EXITED) return;
  const exit = once(worker, 'exit');
  worker.postMessage({ op: 'leave', code } satisfies RankRequest);
  const overdue = setTimeout(() => void worker.terminate(), CLOSE_DEADLINE_MS);
  await exit;
  clearTimeout(overdue);
}
