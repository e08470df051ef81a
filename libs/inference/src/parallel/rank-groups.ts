import { type DitDescription, MeshError } from '@talkmesh/contracts';
import { compileCut, type DitGeometry, type Weights } from '../compile/index.js';
import { VALUE_BYTES } from '../executor/executor.js';
import type { OrtProvider } from '../executor/ort-protocol.js';
import { KeyValues } from '../score/key-values.js';
import { NO_TIMELINE, type Timeline } from '../timeline.js';
import { keyValueCopies, type ParallelPlan } from './plan.js';
import { type GroupPass, RankGroup, type RankSetup, type RestartReason } from './rank-group.js';
import type { ChunkShard, PassReply, PassTimes, RankWorkerData } from './rank-protocol.js';

export interface RankOptions {
  readonly plan: ParallelPlan;
  /** Devices of the ranks, group by group. With more ranks than devices the list repeats. Default: the CPU. */
  readonly devices?: readonly OrtProvider[];
  /** Threads that the runtime uses for one run, per rank. */
  readonly threads?: number;
  /** Whether ranks wait for rows only when they are needed. Default true. */
  readonly overlap?: boolean;
  /** Longest wait for a rank before its group restarts, milliseconds. */
  readonly deadlineMs?: number;
  readonly timeline?: Timeline;
  /** Called with the cause before a group restarts. */
  readonly onRestart?: (why: string, reason: RestartReason) => void;
  /** Called for every rank after each pass. */
  readonly onPass?: (times: PassTimes) => void;
}

/** The network that the ranks run. */
export interface RankModel {
  readonly dit: DitDescription;
  readonly weights: Weights;
  readonly geometry: DitGeometry;
}

/** Where keys and values are kept: under which id, in which incarnation of which groups. */
export interface RankParts {
  readonly id: number;
  readonly incarnations: ReadonlyMap<RankGroup, number>;
}

/** A pass of a group, with its rows still together. */
export type RowsPass = Pick<GroupPass, 'work' | 'level' | 'move'> & {
  /** For the timeline. */
  readonly name: string;
  /** [T, C * h * w]. */
  readonly rows: Float32Array;
  /** What the chunk's passes share, one per rank; in its first pass on the group. */
  readonly shards: readonly ChunkShard[] | undefined;
  /** Oldest first. */
  readonly context: readonly KeyValues<RankParts>[];
  readonly makes: number | undefined;
};

const DEADLINE_MS = 10_000;

/** The groups of ranks of a plan: they share out rows, refer to keys and values by id, and report what passes took. */
export class RankGroups implements AsyncDisposable {
  /** Rejects when a group cannot go on; never resolves. */
  readonly failed: Promise<never>;
  readonly all: readonly RankGroup[];
  readonly timeline: Timeline;
  /** Bytes that the groups hold of what all chunks share. */
  readonly sharedBytes: number;
  /** Bytes of one pass's keys and values on all ranks of one group together. */
  readonly #keyValueBytes: number;
  /** The latent frames of each rank's rows. */
  readonly #frames: readonly { readonly from: number; readonly to: number }[];
  readonly #onPass: (times: PassTimes) => void;
  #nextId = 1;

  private constructor(setups: readonly (readonly RankSetup[])[], { dit }: RankModel, options: RankOptions) {
    const { plan, deadlineMs = DEADLINE_MS, onRestart = () => undefined } = options;
    this.timeline = options.timeline ?? NO_TIMELINE;
    this.#onPass = options.onPass ?? (() => undefined);
    this.all = setups.map((ranks, i) => new RankGroup({ name: `step group ${i}`, ranks, deadlineMs, onRestart }));
    this.failed = Promise.race(this.all.map((group) => group.failed));
    this.failed.catch(() => undefined);
    const [first = []] = setups;
    this.#frames = first.map(({ cut }) => cut.frames);
    const tokens = (first[0]?.shape.rows ?? 0) * plan.sequence;
    this.#keyValueBytes = 2 * dit.layers * tokens * dit.dim * VALUE_BYTES.float32 * keyValueCopies(plan);
    this.sharedBytes = setups.flat().reduce((sum, setup) => sum + sharedBytesOf(setup), 0);
  }

  /**
   * Compiles each rank's share of the graph and starts the ranks.
   * @param shared modulations by number of the noise level; a group gets those that it runs
   * @throws MeshError MODEL_INVALID
   */
  static async start(
    model: RankModel,
    shared: { readonly modulations: (group: number) => RankWorkerData['modulations']; readonly prompt?: Float32Array },
    options: RankOptions,
  ): Promise<RankGroups> {
    const groups = new RankGroups(setUpRanks(model, shared, options), model, options);
    try {
      await groups.ready();
    } catch (error) {
      await groups[Symbol.asyncDispose]();
      throw error;
    }
    return groups;
  }

  /** The group that runs a denoising step. */
  of(step: number): RankGroup {
    return this.all[step % this.all.length] as RankGroup;
  }

  /** Resolves when all groups run. */
  async ready(): Promise<void> {
    await Promise.all(this.all.map((group) => group.ready));
  }

  /** An id for keys and values. */
  nextId(): number {
    return this.#nextId++;
  }

  /** Runs a pass. @returns its rows @throws MeshError PEER_LOST */
  async pass(group: RankGroup, { rows, shards, context, name, ...pass }: RowsPass): Promise<Float32Array> {
    const ids = context.map((keyValues) => idIn(group, keyValues));
    const each = this.split(rows).map((x, rank) => ({ x, shard: shards?.[rank] }));
    const replies = await group.pass({ ...pass, context: ids, shards: each });
    this.#note(group, name, pass.work, replies);
    return joined(replies.map((reply) => reply.x));
  }

  /** Keys and values that these groups keep under an id, from now on. */
  keyValues(id: number, groups: readonly RankGroup[]): KeyValues<RankParts> {
    const incarnations = new Map(groups.map((group) => [group, group.incarnation]));
    const parts = { id, incarnations };
    return new KeyValues(parts, groups.length * this.#keyValueBytes, () => freeIn(parts));
  }

  /** Whether no group that keeps them was restarted since. */
  holds({ parts }: KeyValues<RankParts>): boolean {
    return [...parts.incarnations].every(([group, incarnation]) => group.incarnation === incarnation);
  }

  /** Divides rows [T, ..] among the ranks. */
  split(rows: Float32Array): Float32Array[] {
    const floats = rows.length / this.#frames.length;
    return this.#frames.map((_, rank) => rows.slice(rank * floats, (rank + 1) * floats));
  }

  /** For each rank the values of the latent frames that its rows belong to. @param values [latentFrames, each] flat */
  byFrame(values: Float32Array, each: number): Float32Array[] {
    return this.#frames.map(({ from, to }) => values.slice(from * each, to * each));
  }

  /** Number of runs so far, by segment. */
  async runs(): Promise<Readonly<Record<string, number>>> {
    const sum: Record<string, number> = {};
    for (const group of this.all)
      for (const [name, count] of Object.entries(await group.runs())) sum[name] = (sum[name] ?? 0) + count;
    return sum;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((group) => group.close()));
  }

  #note(group: RankGroup, name: string, work: number, replies: readonly PassReply[]): void {
    for (const { times } of replies) this.#onPass(times);
    if (!this.timeline.enabled) return;
    for (const [rank, { spans }] of replies.entries()) {
      const lane = `rank ${this.all.indexOf(group)}.${rank}`;
      const [startUs, endUs] = [
        Math.min(...spans.map((span) => span.startUs)),
        Math.max(...spans.map((span) => span.endUs)),
      ];
      this.timeline.span(lane, name, startUs, endUs, { work });
      for (const { kind, name: part, startUs, endUs } of spans)
        this.timeline.span(`${lane} ${kind}`, part, startUs, endUs);
    }
  }
}

/** Frees keys and values where their ranks still live. */
function freeIn({ id, incarnations }: RankParts): void {
  for (const [group, incarnation] of incarnations)
    if (group.incarnation === incarnation) group.send({ op: 'free', keyValues: [id] });
}

/** @throws MeshError PEER_LOST when the group has restarted since */
function idIn(group: RankGroup, { parts }: KeyValues<RankParts>): number {
  if (parts.incarnations.get(group) === group.incarnation) return parts.id;
  throw new MeshError('PEER_LOST', 'the state of this session was lost with a rank; open it again');
}

function setUpRanks(
  { dit, weights, geometry }: RankModel,
  shared: { readonly modulations: (group: number) => RankWorkerData['modulations']; readonly prompt?: Float32Array },
  { plan, devices = ['cpu'], threads = 1, overlap = true, deadlineMs = DEADLINE_MS, timeline }: RankOptions,
): RankSetup[][] {
  const exchange = plan.exchange === 'all-gather' ? 'gather' : 'heads';
  const cuts = Array.from({ length: plan.sequence }, (_, rank) =>
    compileCut(dit, weights, geometry, {
      rank,
      ranks: plan.sequence,
      exchange,
      fuse: true,
      splitQuery: overlap && exchange === 'gather' && plan.sequence > 1,
    }),
  );
  return Array.from({ length: plan.steps }, (_, group) => {
    const modulations = shared.modulations(group);
    return cuts.map((cut, rank) => ({
      shape: { rank, ranks: plan.sequence, rows: cut.tokens.to - cut.tokens.from, dim: dit.dim },
      exchange: plan.exchange,
      overlap,
      deadlineMs,
      cut,
      modulations,
      contextChunks: dit.rope.contextChunks,
      ...(shared.prompt === undefined ? {} : { prompt: shared.prompt }),
      threads,
      provider: devices[(group * plan.sequence + rank) % devices.length] as OrtProvider,
      timed: timeline?.enabled ?? false,
    }));
  });
}

function sharedBytesOf({ modulations, prompt, cut }: RankSetup): number {
  const vectors = modulations.reduce((sum, values) => sum + (values?.byteLength ?? 0), 0);
  if (prompt === undefined) return vectors;
  const floats = (dims: readonly (number | string)[]): number => dims.reduce<number>((n, dim) => n * Number(dim), 1);
  const outputs = cut.condition?.outputs ?? [];
  return outputs.reduce((sum, { dims }) => sum + floats(dims) * VALUE_BYTES.float32, vectors);
}

function joined(shards: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(shards.reduce((sum, shard) => sum + shard.length, 0));
  let at = 0;
  for (const shard of shards) {
    whole.set(shard, at);
    at += shard.length;
  }
  return whole;
}
