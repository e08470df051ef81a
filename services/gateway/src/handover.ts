import {
  MeshError,
  type SessionRecord,
  type StageCause,
  type WorkerName,
  type WorkerRecord,
} from '@talkmesh/contracts';
import type { Bus, Logger, Metrics } from '@talkmesh/service-kit';
import type { SessionStore, StoredSession } from './session-store.js';
import type { Sessions } from './sessions.js';
import { MAY_HOLD, type Stages } from './stages.js';
import type { WorkerPlace } from './watched-worker.js';
import { isWorkersFault } from './willing-worker.js';

export interface HandOverOptions {
  readonly store: SessionStore;
  readonly stages: Stages;
  readonly sessions: Pick<Sessions, 'end'>;
  readonly bus: Pick<Bus, 'publishEvent'>;
  /** Whether the worker is well again, so that its sessions can stay. */
  readonly isBack: (instanceId: string) => boolean;
  readonly handoverDeadlineMs: number;
  readonly handoverParallel: number;
  readonly closeDeadlineMs: number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/**
 * `moved`: another worker goes on. `elsewhere`: somebody else moved it, or it ended. `returned`: its worker is well again.
 * `kept`: a draining worker has no successor yet. `ended`: no worker took it in time.
 */
type Outcome = 'moved' | 'elsewhere' | 'returned' | 'kept' | 'ended';

interface Move {
  readonly id: string;
  readonly service: WorkerName;
  readonly cause: StageCause;
  readonly sinceMs: number;
  /** The worker the stage is placed on, as far as this gateway knows: it changes with every candidate that is tried. */
  at: WorkerPlace;
  /** The worker before the first candidate. */
  readonly from: WorkerPlace;
  released: boolean;
  told: boolean;
  lastError: MeshError | undefined;
}

const PAUSES_MS = [100, 200, 400, 800];
/** A worker whose place is given away gets this long to let go, milliseconds. */
const RELEASE_MS = 2000;
/** The old worker is alive: what it held is closed before the successor opens it, and it is no successor itself. */
const STILL_THERE: ReadonlySet<StageCause> = new Set(['drained', 'cut-off']);
/** The old worker may turn out to be well, with its sessions. */
const MAY_RETURN: ReadonlySet<StageCause> = new Set(['cut-off', 'unregistered']);
const isLive = ({ state }: SessionRecord): boolean => state === 'open';

/** Moves stages of running sessions from workers that are lost or going. The compare-and-set of the placement decides between gateways. */
export class HandOver {
  private readonly o: HandOverOptions;
  private readonly running = new Map<string, Promise<Outcome>>();
  private readonly waiting: (() => void)[] = [];
  private readonly keptTold = new Set<string>();
  private readonly seconds;
  private readonly outcomes;
  private readonly under;
  private busy = 0;
  private stopped = false;

  constructor(options: HandOverOptions) {
    this.o = options;
    const { metrics } = options;
    this.seconds = metrics.histogram('talkmesh_handover_seconds', 'From the loss of a worker to its successor', [
      'service',
      'cause',
    ]);
    this.outcomes = metrics.counter('talkmesh_handovers_total', 'Stages that had to move', [
      'service',
      'cause',
      'outcome',
    ]);
    this.under = metrics.gauge('talkmesh_handovers_running', 'Stages between two workers');
  }

  /** Moves every session of a worker; settles when each is somewhere or ended. Safe to call again meanwhile. */
  async evacuate(place: WorkerPlace, cause: StageCause): Promise<void> {
    const sinceMs = performance.now();
    const all = await this.listPatiently(sinceMs);
    const mine = all.filter(
      ({ record }) => isLive(record) && record.placement[place.service]?.instanceId === place.instanceId,
    );
    if (mine.length > 0 && cause !== 'drained')
      this.o.log.warn(
        { target: place.service, worker: place.instanceId, address: place.grpcAddress, cause, sessions: mine.length },
        'a worker is lost, its sessions are moved',
      );
    const outcomes = await Promise.all(mine.map(({ record }) => this.move(record.id, place, cause, sinceMs)));
    this.tellKept(place, outcomes.filter((outcome) => outcome === 'kept').length);
  }

  /** Sessions placed on a worker that is well but does not know them: it started again, or was never asked. */
  async verify(place: WorkerPlace): Promise<void> {
    const all = await this.listPatiently(performance.now());
    const held = await this.o.stages.held(place.grpcAddress).catch(() => undefined);
    const strays = all.filter(
      ({ record }) =>
        isLive(record) &&
        record.placement[place.service]?.instanceId === place.instanceId &&
        held?.has(record.id) === false,
    );
    await Promise.all(strays.map(({ record }) => this.move(record.id, place, 'missing')));
  }

  /** Moves one stage away from `place`. */
  move(id: string, place: WorkerPlace, cause: StageCause, sinceMs = performance.now()): Promise<Outcome> {
    const key = `${id}/${place.service}/${place.instanceId}`;
    const known = this.running.get(key);
    if (known !== undefined) return known;
    const { service, instanceId, grpcAddress } = place;
    const from = { service, instanceId, grpcAddress };
    const move: Move = {
      ...{ id, service, cause, sinceMs, from },
      at: from,
      released: false,
      told: false,
      lastError: undefined,
    };
    this.under.inc();
    const moving = this.carryOut(move)
      .catch((thrown: unknown): Outcome => {
        this.o.log.error({ err: thrown, ...factsOf(move) }, 'a stage was not moved; the sweep tries again');
        return 'kept';
      })
      .finally(() => {
        this.under.dec();
        this.running.delete(key);
      });
    this.running.set(key, moving);
    return moving;
  }

  /** Begins nothing more; what is half done is found by the sweep of another gateway. */
  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.running.values());
  }

  private async carryOut(move: Move): Promise<Outcome> {
    let outcome: Outcome | 'again' = 'again';
    for (let attempt = 0; outcome === 'again' && !this.stopped; attempt += 1) {
      if (attempt > 0) await pause(PAUSES_MS[Math.min(attempt - 1, PAUSES_MS.length - 1)] as number);
      const late = performance.now() - move.sinceMs > this.o.handoverDeadlineMs;
      outcome = late ? await this.giveUp(move) : await this.inLane(() => this.attempt(move));
    }
    if (outcome === 'again') return 'kept';
    this.record(move, outcome);
    return outcome;
  }

  private async attempt(move: Move): Promise<Outcome | 'again'> {
    const { store } = this.o;
    const found = await store.find(move.id).catch((thrown: unknown) => MeshError.from(thrown));
    if (found instanceof MeshError) return this.later(move, found);
    if (found === undefined || found.record.state === 'ended') return 'elsewhere';
    if (found.record.placement[move.service]?.instanceId !== move.at.instanceId) return 'elsewhere';
    if (move.at === move.from && MAY_RETURN.has(move.cause) && this.o.isBack(move.from.instanceId)) return 'returned';
    if (move.service === 'webrtc-egress' && found.record.output === 'record')
      return move.cause === 'drained' ? 'kept' : this.giveUp(move);
    const candidates = await this.o.stages.candidates(move.service).catch((thrown: unknown) => MeshError.from(thrown));
    if (candidates instanceof MeshError) return this.later(move, candidates);
    return this.tryEach(move, found, candidates);
  }

  private async tryEach(
    move: Move,
    found: StoredSession,
    candidates: readonly WorkerRecord[],
  ): Promise<Outcome | 'again'> {
    let stored = found;
    for (const { service, instanceId, grpcAddress, sessions, capacity } of candidates) {
      if (STILL_THERE.has(move.cause) && (instanceId === move.from.instanceId || sessions >= capacity)) continue;
      const to = { service, instanceId, grpcAddress };
      try {
        stored = await this.o.store.update(stored, {
          placement: { ...stored.record.placement, [service]: { instanceId, grpcAddress } },
        });
      } catch (thrown) {
        // Another stage of this session moves, or another gateway was faster: look again.
        return this.later(move, MeshError.from(thrown));
      }
      move.at = to;
      await this.release(move);
      try {
        await this.open(stored.record, to, move);
        this.letGo(move);
        return 'moved';
      } catch (thrown) {
        move.lastError = MeshError.from(thrown);
        this.o.log.warn({ err: move.lastError, ...factsOf(move) }, 'a worker did not take over the session');
        if (MAY_HOLD.has(move.lastError.reason)) void this.o.stages.close(move.id, { [service]: to }, 'failed');
        if (!isWorkersFault(move.lastError)) return this.giveUp(move);
      }
    }
    if (move.cause === 'drained' && !move.released) return 'kept';
    return this.later(move, move.lastError);
  }

  /** A worker that had the session before may still hold it: it lets go first. */
  private async open(record: SessionRecord, to: WorkerPlace, move: Move): Promise<void> {
    const leftMs = Math.max(100, this.o.handoverDeadlineMs - (performance.now() - move.sinceMs));
    const { stages } = this.o;
    try {
      await stages.resume(record, to, leftMs);
    } catch (thrown) {
      if (MeshError.from(thrown).reason !== 'SESSION_EXISTS') throw thrown;
      await stages.close(record.id, { [to.service]: to }, 'moved');
      await stages.resume(record, to, leftMs);
    }
  }

  /** One that is still there stops before its successor starts. */
  private async release(move: Move): Promise<void> {
    if (move.released || !STILL_THERE.has(move.cause)) return;
    move.released = true;
    const closing = this.o.stages.close(move.id, { [move.service]: move.from }, 'moved');
    await Promise.race([closing, pause(Math.min(RELEASE_MS, this.o.closeDeadlineMs))]);
  }

  /** One that only seemed lost is told afterwards, unless its address has a new owner. */
  private letGo(move: Move): void {
    if (move.released || move.from.grpcAddress === move.at.grpcAddress || move.cause === 'died') return;
    void this.o.stages.close(move.id, { [move.service]: move.from }, 'moved');
  }

  private later(move: Move, error: MeshError | undefined): 'again' {
    if (error !== undefined) move.lastError = error;
    if (!move.told && error?.reason !== 'SESSION_EXISTS') {
      move.told = true;
      const { service, cause } = move;
      this.o.log.warn({ ...factsOf(move), reason: error?.reason ?? 'NO_WORKER' }, 'no worker takes the session yet');
      this.o.bus.publishEvent({ sid: move.id, epoch: 0, turn: 0, type: 'stage.recovering', service, cause });
    }
    return 'again';
  }

  private async giveUp(move: Move): Promise<Outcome> {
    const { service, cause } = move;
    const why = cause === 'drained' ? 'is going away' : 'that held this session is gone';
    const message = `the ${service} worker ${why} and no other took it over; start a new call`;
    this.o.log.error({ err: move.lastError, ...factsOf(move) }, 'no worker took over the session, it ends');
    await this.o.sessions.end(move.id, {
      reason: 'failed',
      cause: 'worker-lost',
      failure: { service, reason: 'PEER_LOST', message },
    });
    return 'ended';
  }

  private tellKept(place: WorkerPlace, kept: number): void {
    if (kept === 0) this.keptTold.delete(place.instanceId);
    if (kept === 0 || this.keptTold.has(place.instanceId)) return;
    this.keptTold.add(place.instanceId);
    const facts = { target: place.service, worker: place.instanceId, sessions: kept };
    this.o.log.warn(facts, 'a draining worker keeps its sessions: no other takes them');
  }

  private record(move: Move, outcome: Outcome): void {
    const { id, service, cause } = move;
    // Asked again with every look at a worker that drains.
    if (outcome === 'kept') return;
    this.outcomes.inc({ service, cause, outcome });
    if (outcome !== 'moved') return;
    const tookMs = performance.now() - move.sinceMs;
    this.seconds.observe({ service, cause }, tookMs / 1000);
    this.o.log.info({ ...factsOf(move), tookMs: Math.round(tookMs) }, 'a stage moved');
    const event = { type: 'stage.moved', service, cause, tookMs: Math.round(tookMs) } as const;
    this.o.bus.publishEvent({ sid: id, epoch: 0, turn: 0, ...event });
  }

  /** The store may be away for the same reason as the worker. */
  private async listPatiently(sinceMs: number): Promise<StoredSession[]> {
    for (;;)
      try {
        return await this.o.store.list();
      } catch (thrown) {
        if (this.stopped || performance.now() - sinceMs > this.o.handoverDeadlineMs) return [];
        this.o.log.warn({ reason: MeshError.from(thrown).reason }, 'the sessions of a lost worker are not known yet');
        await pause(PAUSES_MS[1] as number);
      }
  }

  private async inLane<T>(work: () => Promise<T>): Promise<T> {
    if (this.busy >= this.o.handoverParallel) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.busy += 1;
    try {
      return await work();
    } finally {
      this.busy -= 1;
      this.waiting.shift()?.();
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

const factsOf = ({ id, service, cause, from, at }: Move) => ({
  sessionId: id,
  target: service,
  cause,
  from: from.instanceId,
  ...(at !== from && { to: at.instanceId }),
});
