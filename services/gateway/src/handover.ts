import { setTimeout as sleep } from 'node:timers/promises';
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
 * Outcomes of a move that are counted. `moved`: another worker continues the stage. `elsewhere`: another gateway moved the stage, or
 * the session ended. `returned`: the old worker is healthy again. `ended`: this gateway ended the session, because no worker
 * continues it.
 */
const COUNTED = ['moved', 'elsewhere', 'returned', 'ended'] as const;
/**
 * The other outcomes leave the stage where it was. `waiting`: a draining worker keeps the stage until another worker is free; the next
 * pass of the health watch tries again. `stays`: the stage cannot move, so the draining worker keeps it. `failed`: an error, or this
 * gateway stops; the next pass or sweep, here or in another gateway, tries again.
 */
type Outcome = (typeof COUNTED)[number] | 'waiting' | 'stays' | 'failed';
const UNMOVED: ReadonlySet<Outcome> = new Set<Outcome>(['waiting', 'stays', 'failed']);
/** Why a draining worker keeps sessions, and what an operator can do. */
const WHY_UNMOVED = {
  waiting: 'a draining worker keeps sessions because no other worker is ready and has room; add workers',
  stays:
    'a draining worker keeps sessions that cannot move: recordings, and sessions with an API key of their own. Wait until they end, ' +
    'or raise TALKMESH_DRAIN_DEADLINE_MS if they are closed too soon',
} as const;

/**
 * Stages that cannot move, because only their worker has what they need. `recording`: the client that records reads from its
 * webrtc-egress. `own-key`: the API key that the customer gave for the provider is in the memory of its bridge and never stored.
 */
type Immobile = 'recording' | 'own-key';
const LOST_WITH_WORKER: Readonly<Record<Immobile, string>> = {
  recording: 'a recording cannot move to another worker; record again',
  'own-key':
    "the session's own key for its provider is lost with it, because such keys are never stored; start a new call",
};
const immobileOf = (service: WorkerName, record: SessionRecord): Immobile | undefined => {
  if (service === 'webrtc-egress' && record.output === 'record') return 'recording';
  return service === 'audio-llm-bridge' && record.ownKey ? 'own-key' : undefined;
};

/** One stage of one session that moves from a lost or draining worker to another one. */
interface Move {
  readonly id: string;
  readonly service: WorkerName;
  readonly cause: StageCause;
  readonly sinceMs: number;
  /** The worker that was lost or drains. */
  readonly oldWorker: WorkerPlace;
  /** The worker in the placement as this gateway read or wrote it last: the old one, then each candidate that is tried. */
  placedOn: WorkerPlace;
  immobile: Immobile | undefined;
  /** Whether the old worker has been asked to close the session, successfully or not. A draining worker cannot keep it then. */
  isReleased: boolean;
  /** Whether `stage.recovering` was published. */
  isReported: boolean;
  lastError: MeshError | undefined;
  /** Bound to the session, the stage, the cause and the old worker. */
  readonly log: Logger;
}

const BACK_OFF_MS = [100, 200, 400, 800];
/** How long the successor waits for the old worker to close the session, milliseconds. */
const RELEASE_DEADLINE_MS = 2000;
/**
 * With these causes (see `StageCause`) the old worker is alive. It closes the session before the successor opens it, so full workers,
 * which would refuse it, are not tried; nor is the old worker itself.
 */
const STILL_ALIVE: ReadonlySet<StageCause> = new Set(['drained', 'cut-off']);
/** With these causes the old worker may become healthy again and still hold its sessions. */
const MAY_RETURN: ReadonlySet<StageCause> = new Set(['cut-off', 'unregistered']);
/** Whether a draining worker still holds the session, because no candidate was tried. */
const isKept = ({ cause, isReleased }: Move): boolean => cause === 'drained' && !isReleased;
const isLive = ({ state }: SessionRecord): boolean => state === 'open';

/**
 * Hands over the stages of open sessions from lost and draining workers: `move` one stage, `evacuate` all of a worker. The old worker
 * releases the stage (closes it), the new one takes it over. Several gateways may try to move a stage; the one whose compare-and-set
 * of the placement succeeds moves it.
 */
export class HandOver {
  readonly #options: HandOverOptions;
  readonly #running = new Map<string, { readonly cause: StageCause; readonly outcome: Promise<Outcome> }>();
  readonly #semaphore: Semaphore;
  /** Reasons why a worker keeps sessions that were logged, as `instance/outcome`. */
  readonly #reportedUnmoved = new Set<string>();
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
      outcome: COUNTED,
    });
    this.#runningGauge = metrics.gauge('talkmesh_handovers_running', 'Hand-overs in progress');
  }

  /** Moves every session of a worker. Resolves when each move has an outcome; concurrent calls share the same moves. */
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
    this.#reportUnmoved(place, outcomes);
  }

  /**
   * Opens sessions again that are placed on a healthy worker which does not hold them, there or on another worker: it restarted, or
   * was never asked to open them.
   */
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
      return UNMOVED.has(outcome) && isLostMeanwhile ? this.move(id, place, cause, sinceMs) : outcome;
    }
    const { service, instanceId, grpcAddress } = place;
    const oldWorker = { service, instanceId, grpcAddress };
    const move: Move = {
      ...{ id, service, cause, sinceMs, oldWorker },
      placedOn: oldWorker,
      immobile: undefined,
      isReleased: false,
      isReported: false,
      lastError: undefined,
      log: this.#options.log.child({ sessionId: id, target: service, cause, from: instanceId }),
    };
    this.#runningGauge.inc();
    const outcome = this.#run(move)
      .catch((thrown: unknown): Outcome => {
        move.log.error({ err: thrown, ...toOf(move) }, 'a stage could not be moved; the gateways try again');
        return 'failed';
      })
      .finally(() => {
        this.#runningGauge.dec();
        this.#running.delete(key);
      });
    this.#running.set(key, { cause, outcome });
    return outcome;
  }

  /** Starts no further attempts. The reaper of another gateway finds stages that have not moved. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#running.values()].map(({ outcome }) => outcome));
  }

  async #run(move: Move): Promise<Outcome> {
    let outcome: Outcome | 'retry' = 'retry';
    for (let attempt = 0; outcome === 'retry' && !this.#stopped; attempt += 1) {
      if (attempt > 0) await sleep(BACK_OFF_MS[Math.min(attempt - 1, BACK_OFF_MS.length - 1)] as number);
      const isLate = performance.now() - move.sinceMs > this.#options.handoverDeadlineMs;
      if (isLate && isKept(move)) return 'failed';
      outcome = isLate ? await this.#endSession(move) : await this.#semaphore.run(() => this.#attempt(move));
    }
    if (outcome === 'retry') return 'failed';
    this.#recordOutcome(move, outcome);
    return outcome;
  }

  async #attempt(move: Move): Promise<Outcome | 'retry'> {
    const { store } = this.#options;
    const found = await store.find(move.id).catch((thrown: unknown) => MeshError.from(thrown));
    if (found instanceof MeshError) return this.#retry(move, found);
    if (found === undefined || found.record.state === 'ended') return 'elsewhere';
    if (found.record.placement[move.service]?.instanceId !== move.placedOn.instanceId) return 'elsewhere';
    const isUntried = move.placedOn === move.oldWorker;
    if (isUntried && MAY_RETURN.has(move.cause) && this.#options.isBack(move.oldWorker.instanceId)) return 'returned';
    move.immobile = immobileOf(move.service, found.record);
    if (move.immobile !== undefined && move.cause === 'drained') return 'stays';
    if (move.immobile === 'recording') return this.#endSession(move);
    const candidates = await this.#options.stages
      .candidates(move.service, found.record)
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
    for (const { service, instanceId, grpcAddress, sessions, capacity, recordsCalls } of candidates) {
      if (STILL_ALIVE.has(move.cause) && (instanceId === move.oldWorker.instanceId || sessions >= capacity)) continue;
      const to = { service, instanceId, grpcAddress };
      try {
        stored = await this.#options.store.update(stored, {
          placement: { ...stored.record.placement, [service]: { instanceId, grpcAddress } },
        });
      } catch (thrown) {
        // The record changed: another stage of this session moved, or another gateway was faster. Read it again.
        return this.#retry(move, MeshError.from(thrown));
      }
      move.placedOn = to;
      await this.#release(move);
      try {
        await this.#open(stored.record, to, move);
        this.#closeLate(move);
        const isOlder = service === 'webrtc-egress' && recordsCalls === undefined;
        if (isOlder && stored.record.recording !== undefined) this.#tellUnrecorded(move);
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
    if (isKept(move)) return 'waiting';
    return this.#retry(move, move.lastError);
  }

  /** A candidate that held the session earlier may not have closed it. Then the session is closed there and opened again. */
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

  /** An old worker that is alive closes the session before its successor opens it, so that two workers never publish the same stage. */
  async #release(move: Move): Promise<void> {
    if (move.isReleased || !STILL_ALIVE.has(move.cause)) return;
    move.isReleased = true;
    const closing = this.#options.stages.closeMoved(move.id, move.oldWorker);
    await Promise.race([closing, sleep(Math.min(RELEASE_DEADLINE_MS, this.#options.closeDeadlineMs))]);
  }

  /** An old worker that only seemed lost is asked to close the session afterwards, unless the successor has its address. */
  #closeLate(move: Move): void {
    const isSameAddress = move.oldWorker.grpcAddress === move.placedOn.grpcAddress;
    if (move.isReleased || isSameAddress || move.cause === 'died') return;
    void this.#options.stages.close(move.id, { [move.service]: move.oldWorker }, 'moved');
  }

  /** A worker of an older version does not know of recordings, so it does not say itself that there is none. */
  #tellUnrecorded(move: Move): void {
    move.log.error(toOf(move), 'a worker of an older version took over a session, which it does not record');
    const message = 'The call goes on without being recorded: an older webrtc-egress took it over; upgrade it';
    const head = { sessionId: move.id, epoch: 0, turn: 0 };
    this.#options.bus.publishEvent({ ...head, type: 'recording.failed', part: 0, code: 'storage', message });
  }

  #retry(move: Move, error: MeshError | undefined): 'retry' {
    if (error !== undefined) move.lastError = error;
    if (!move.isReported && error?.reason !== 'SESSION_EXISTS' && !isKept(move)) {
      move.isReported = true;
      const { service, cause } = move;
      move.log.warn(
        { ...toOf(move), reason: error?.reason ?? 'NO_WORKER' },
        'no worker has taken over the session yet; retrying',
      );
      const event = { type: 'stage.recovering', service, cause } as const;
      this.#options.bus.publishEvent({ sessionId: move.id, epoch: 0, turn: 0, ...event });
    }
    return 'retry';
  }

  async #endSession(move: Move): Promise<Outcome> {
    const { service, cause, immobile, lastError } = move;
    const isProvider = lastError?.reason === 'PROVIDER_FAILED';
    const why = cause === 'drained' ? 'is shutting down' : 'that held this session is lost';
    const lost = immobile && LOST_WITH_WORKER[immobile];
    const ended = lost ?? 'no other took it over; start a new call';
    const message = isProvider ? lastError.message : `the ${service} worker ${why} and ${ended}`;
    const isRefused = lastError !== undefined && !mayAnotherWorkerAccept(lastError);
    const asked = isRefused
      ? 'no worker can take over the session; the error says why'
      : 'no worker took over the session. Add workers or look at their logs';
    const loss = cause === 'drained' ? 'drains' : 'is lost';
    move.log.error({ err: lastError, ...toOf(move) }, `a session ends because its worker ${loss}: ${lost ?? asked}`);
    await this.#options.sessions.end(move.id, {
      reason: 'failed',
      cause: 'worker-lost',
      failure: { service, reason: isProvider ? 'PROVIDER_FAILED' : 'PEER_LOST', message },
    });
    return 'ended';
  }

  /** Logs once per worker why it keeps sessions. */
  #reportUnmoved({ service, instanceId }: WorkerPlace, outcomes: readonly Outcome[]): void {
    for (const outcome of ['waiting', 'stays'] as const) {
      const sessions = outcomes.filter((each) => each === outcome).length;
      const key = `${instanceId}/${outcome}`;
      if (sessions > 0 && !this.#reportedUnmoved.has(key))
        this.#options.log.warn({ target: service, worker: instanceId, sessions }, WHY_UNMOVED[outcome]);
      if (sessions > 0) this.#reportedUnmoved.add(key);
      else this.#reportedUnmoved.delete(key);
    }
  }

  #recordOutcome(move: Move, outcome: Outcome): void {
    const { id, service, cause } = move;
    // A draining worker is tried on every pass; to count its unmoved sessions would only measure the passes.
    if (UNMOVED.has(outcome)) return;
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

/** The candidate that was tried last, once there is one. */
const toOf = ({ oldWorker, placedOn }: Move) => (placedOn === oldWorker ? {} : { to: placedOn.instanceId });
