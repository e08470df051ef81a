import {
  MeshError,
  OPEN_ORDER,
  type SessionRecord,
  STAGE_CAUSES,
  type StageCause,
  type WorkerName,
  type WorkerRecord,
} from '@talkmesh/contracts';
import type { Bus, Logger, Metrics } from '@talkmesh/service-kit';
import { Semaphore } from './semaphore.js';
import type { SessionStore, StoredSession } from './session-store.js';
import type { Sessions } from './sessions.js';
import { MAY_HOLD_SESSION, type StageClient } from './stage-client.js';
import type { WorkerPlace } from './worker-monitor.js';
import { mayAnotherWorkerAccept } from './worker-selection.js';

export interface HandOverOptions {
  readonly store: SessionStore;
  readonly stages: StageClient;
  readonly sessions: Pick<Sessions, 'end'>;
  readonly bus: Pick<Bus, 'publishEvent'>;
  /** Whether the worker is healthy again, so that its sessions can stay. */
  readonly isBack: (instanceId: string) => boolean;
  readonly handoverDeadlineMs: number;
  readonly handoverParallel: number;
  readonly closeDeadlineMs: number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/**
 * `moved`: another worker continues. `elsewhere`: another gateway moved it, or the session ended. `returned`: its worker is healthy
 * again. `kept`: a draining worker has no successor yet. `ended`: no worker took it over in time, so the session ended.
 */
const OUTCOMES = ['moved', 'elsewhere', 'returned', 'kept', 'ended'] as const;
type Outcome = (typeof OUTCOMES)[number];

interface Move {
  readonly id: string;
  readonly service: WorkerName;
  readonly cause: StageCause;
  readonly sinceMs: number;
  /** The worker in the placement as this gateway wrote or read it last; changes with every candidate that is tried. */
  at: WorkerPlace;
  /** The worker before the first candidate. */
  readonly from: WorkerPlace;
  /** Whether the old worker was asked to close the session. */
  isReleased: boolean;
  /** Whether `stage.recovering` was published. */
  isReported: boolean;
  lastError: MeshError | undefined;
  /** Bound to the session, the stage, the cause and the old worker. */
  readonly log: Logger;
}

const BACK_OFF_MS = [100, 200, 400, 800];
/** How long the old worker may take to close a session before its successor opens it, milliseconds. */
const RELEASE_DEADLINE_MS = 2000;
/** With these causes the old worker is alive: it closes the session before the successor opens it, and is no candidate itself. */
const STILL_ALIVE: ReadonlySet<StageCause> = new Set(['drained', 'cut-off']);
/** With these causes the old worker may become healthy again and still hold its sessions. */
const MAY_RETURN: ReadonlySet<StageCause> = new Set(['cut-off', 'unregistered']);
const isLive = ({ state }: SessionRecord): boolean => state === 'open';

/** Moves stages of open sessions away from lost and draining workers. Of several gateways the one whose compare-and-set of the placement succeeds does it. */
export class HandOver {
  readonly #options: HandOverOptions;
  readonly #running = new Map<string, { readonly cause: StageCause; readonly outcome: Promise<Outcome> }>();
  readonly #semaphore: Semaphore;
  readonly #reportedKept = new Set<string>();
  readonly #seconds;
  readonly #outcomes;
  readonly #runningGauge;
  #stopped = false;

  constructor(options: HandOverOptions) {
    this.#options = options;
    this.#semaphore = new Semaphore(options.handoverParallel);
    const { metrics } = options;
    this.#seconds = metrics.histogram(
      'talkmesh_handover_seconds',
      'Time from the loss of a worker until its successor holds the stage',
      ['service', 'cause'],
    );
    const labels = ['service', 'cause', 'outcome'];
    this.#outcomes = metrics.counter('talkmesh_handovers_total', 'Hand-overs by outcome', labels, {
      service: OPEN_ORDER,
      cause: STAGE_CAUSES,
      outcome: OUTCOMES,
    });
    this.#runningGauge = metrics.gauge('talkmesh_handovers_running', 'Hand-overs in progress');
  }

  /** Moves every session of a worker. Resolves when each has moved, ended or stays; concurrent calls share the same moves. */
  async evacuate(place: WorkerPlace, cause: StageCause): Promise<void> {
    const sinceMs = performance.now();
    const all = await this.#listWithRetry(sinceMs);
    const mine = all.filter(
      ({ record }) => isLive(record) && record.placement[place.service]?.instanceId === place.instanceId,
    );
    if (mine.length > 0 && cause !== 'drained')
      this.#options.log.warn(
        { target: place.service, worker: place.instanceId, address: place.grpcAddress, cause, sessions: mine.length },
        'a worker is lost; its sessions are moved',
      );
    const outcomes = await Promise.all(mine.map(({ record }) => this.move(record.id, place, cause, sinceMs)));
    this.#reportKept(place, outcomes.filter((outcome) => outcome === 'kept').length);
  }

  /** Moves sessions that are placed on a healthy worker which does not hold them, because it restarted or was never asked to open them. */
  async verify(place: WorkerPlace): Promise<void> {
    const all = await this.#listWithRetry(performance.now());
    const held = await this.#options.stages.heldSessions(place.grpcAddress).catch(() => undefined);
    const unheld = all.filter(
      ({ record }) =>
        isLive(record) &&
        record.placement[place.service]?.instanceId === place.instanceId &&
        held?.has(record.id) === false,
    );
    await Promise.all(unheld.map(({ record }) => this.move(record.id, place, 'missing')));
  }

  /** Moves one stage away from `place`. Calls during a move share it, but a worker that is lost while it drains does not keep the stage. */
  async move(id: string, place: WorkerPlace, cause: StageCause, sinceMs = performance.now()): Promise<Outcome> {
    const key = `${id}/${place.service}/${place.instanceId}`;
    const running = this.#running.get(key);
    if (running !== undefined) {
      const outcome = await running.outcome;
      const isLostMeanwhile = running.cause === 'drained' && cause !== 'drained';
      return outcome === 'kept' && isLostMeanwhile ? this.move(id, place, cause, sinceMs) : outcome;
    }
    const { service, instanceId, grpcAddress } = place;
    const from = { service, instanceId, grpcAddress };
    const move: Move = {
      ...{ id, service, cause, sinceMs, from },
      at: from,
      isReleased: false,
      isReported: false,
      lastError: undefined,
      log: this.#options.log.child({ sessionId: id, target: service, cause, from: instanceId }),
    };
    this.#runningGauge.inc();
    const outcome = this.#run(move)
      .catch((thrown: unknown): Outcome => {
        move.log.error({ err: thrown, ...toOf(move) }, 'a stage could not be moved; the next sweep tries again');
        return 'kept';
      })
      .finally(() => {
        this.#runningGauge.dec();
        this.#running.delete(key);
      });
    this.#running.set(key, { cause, outcome });
    return outcome;
  }

  /** Starts no further attempts. The reaper of another gateway finds what is unfinished. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#running.values()].map(({ outcome }) => outcome));
  }

  async #run(move: Move): Promise<Outcome> {
    let outcome: Outcome | 'retry' = 'retry';
    for (let attempt = 0; outcome === 'retry' && !this.#stopped; attempt += 1) {
      if (attempt > 0) await sleep(BACK_OFF_MS[Math.min(attempt - 1, BACK_OFF_MS.length - 1)] as number);
      const isLate = performance.now() - move.sinceMs > this.#options.handoverDeadlineMs;
      outcome = isLate ? await this.#endSession(move) : await this.#semaphore.run(() => this.#attempt(move));
    }
    if (outcome === 'retry') return 'kept';
    this.#recordOutcome(move, outcome);
    return outcome;
  }

  async #attempt(move: Move): Promise<Outcome | 'retry'> {
    const { store } = this.#options;
    const found = await store.find(move.id).catch((thrown: unknown) => MeshError.from(thrown));
    if (found instanceof MeshError) return this.#retry(move, found);
    if (found === undefined || found.record.state === 'ended') return 'elsewhere';
    if (found.record.placement[move.service]?.instanceId !== move.at.instanceId) return 'elsewhere';
    if (move.at === move.from && MAY_RETURN.has(move.cause) && this.#options.isBack(move.from.instanceId))
      return 'returned';
    if (move.service === 'webrtc-egress' && found.record.output === 'record')
      return move.cause === 'drained' ? 'kept' : this.#endSession(move);
    // The session's own key for its provider is in the memory of its bridge only.
    if (move.service === 'audio-llm-bridge' && found.record.ownKey && move.cause === 'drained') return 'kept';
    const candidates = await this.#options.stages
      .candidates(move.service)
      .catch((thrown: unknown) => MeshError.from(thrown));
    if (candidates instanceof MeshError) return this.#retry(move, candidates);
    return this.#tryCandidates(move, found, candidates);
  }

  async #tryCandidates(
    move: Move,
    found: StoredSession,
    candidates: readonly WorkerRecord[],
  ): Promise<Outcome | 'retry'> {
    let stored = found;
    for (const { service, instanceId, grpcAddress, sessions, capacity } of candidates) {
      if (STILL_ALIVE.has(move.cause) && (instanceId === move.from.instanceId || sessions >= capacity)) continue;
      const to = { service, instanceId, grpcAddress };
      try {
        stored = await this.#options.store.update(stored, {
          placement: { ...stored.record.placement, [service]: { instanceId, grpcAddress } },
        });
      } catch (thrown) {
        // The record changed: another stage of this session moved, or another gateway was faster. Read it again.
        return this.#retry(move, MeshError.from(thrown));
      }
      move.at = to;
      await this.#release(move);
      try {
        await this.#open(stored.record, to, move);
        this.#closeLate(move);
        return 'moved';
      } catch (thrown) {
        move.lastError = MeshError.from(thrown);
        move.log.warn(
          { err: move.lastError, ...toOf(move) },
          'a worker did not take over the session; the next candidate is tried',
        );
        if (MAY_HOLD_SESSION.has(move.lastError.reason))
          void this.#options.stages.close(move.id, { [service]: to }, 'failed');
        if (!mayAnotherWorkerAccept(move.lastError)) return this.#endSession(move);
      }
    }
    if (move.cause === 'drained' && !move.isReleased) return 'kept';
    return this.#retry(move, move.lastError);
  }

  /** A candidate that held the session earlier may not have closed it; it closes the old state and opens again. */
  async #open(record: SessionRecord, to: WorkerPlace, move: Move): Promise<void> {
    const leftMs = Math.max(100, this.#options.handoverDeadlineMs - (performance.now() - move.sinceMs));
    const { stages } = this.#options;
    try {
      await stages.takeOver(record, to, leftMs);
    } catch (thrown) {
      if (MeshError.from(thrown).reason !== 'SESSION_EXISTS') throw thrown;
      await stages.close(record.id, { [to.service]: to }, 'moved');
      await stages.takeOver(record, to, leftMs);
    }
  }

  /** An old worker that is alive stops before its successor starts, so that two workers never publish the same stage. */
  async #release(move: Move): Promise<void> {
    if (move.isReleased || !STILL_ALIVE.has(move.cause)) return;
    move.isReleased = true;
    const closing = this.#options.stages.close(move.id, { [move.service]: move.from }, 'moved');
    await Promise.race([closing, sleep(Math.min(RELEASE_DEADLINE_MS, this.#options.closeDeadlineMs))]);
  }

  /** An old worker that only seemed lost is asked to close afterwards, unless its address has a new owner. */
  #closeLate(move: Move): void {
    if (move.isReleased || move.from.grpcAddress === move.at.grpcAddress || move.cause === 'died') return;
    void this.#options.stages.close(move.id, { [move.service]: move.from }, 'moved');
  }

  #retry(move: Move, error: MeshError | undefined): 'retry' {
    if (error !== undefined) move.lastError = error;
    if (!move.isReported && error?.reason !== 'SESSION_EXISTS') {
      move.isReported = true;
      const { service, cause } = move;
      move.log.warn(
        { ...toOf(move), reason: error?.reason ?? 'NO_WORKER' },
        'no worker has taken over the session yet; retrying',
      );
      this.#options.bus.publishEvent({
        sessionId: move.id,
        epoch: 0,
        turn: 0,
        type: 'stage.recovering',
        service,
        cause,
      });
    }
    return 'retry';
  }

  async #endSession(move: Move): Promise<Outcome> {
    const { service, cause } = move;
    const why = cause === 'drained' ? 'is shutting down' : 'that held this session is lost';
    const isProvider = move.lastError?.reason === 'PROVIDER_FAILED';
    const message = isProvider
      ? (move.lastError?.message ?? '')
      : `the ${service} worker ${why} and no other took it over; start a new call`;
    move.log.error(
      { err: move.lastError, ...toOf(move) },
      'no worker took over the session; it ends. Add workers or look at their logs',
    );
    await this.#options.sessions.end(move.id, {
      reason: 'failed',
      cause: 'worker-lost',
      failure: { service, reason: isProvider ? 'PROVIDER_FAILED' : 'PEER_LOST', message },
    });
    return 'ended';
  }

  #reportKept(place: WorkerPlace, kept: number): void {
    if (kept === 0) this.#reportedKept.delete(place.instanceId);
    if (kept === 0 || this.#reportedKept.has(place.instanceId)) return;
    this.#reportedKept.add(place.instanceId);
    const fields = { target: place.service, worker: place.instanceId, sessions: kept };
    this.#options.log.warn(
      fields,
      'a draining worker keeps its sessions because no other worker takes them over; add workers',
    );
  }

  #recordOutcome(move: Move, outcome: Outcome): void {
    const { id, service, cause } = move;
    // A draining worker is tried on every pass; counting each would only measure the passes.
    if (outcome === 'kept') return;
    this.#outcomes.inc({ service, cause, outcome });
    if (outcome !== 'moved') return;
    const tookMs = performance.now() - move.sinceMs;
    this.#seconds.observe({ service, cause }, tookMs / 1000);
    move.log.info({ ...toOf(move), tookMs: Math.round(tookMs) }, 'stage moved');
    const event = { type: 'stage.moved', service, cause, tookMs: Math.round(tookMs) } as const;
    this.#options.bus.publishEvent({ sessionId: id, epoch: 0, turn: 0, ...event });
  }

  /** NATS may be unavailable for the same reason as the worker, so a failed read is tried until the deadline. */
  async #listWithRetry(sinceMs: number): Promise<StoredSession[]> {
    for (;;)
      try {
        return await this.#options.store.list();
      } catch (thrown) {
        if (this.#stopped || performance.now() - sinceMs > this.#options.handoverDeadlineMs) return [];
        this.#options.log.warn(
          { reason: MeshError.from(thrown).reason },
          'the sessions of a worker could not be read; trying again',
        );
        await sleep(BACK_OFF_MS[1] as number);
      }
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** The candidate that was tried last, once there is one. */
const toOf = ({ from, at }: Move) => (at === from ? {} : { to: at.instanceId });
