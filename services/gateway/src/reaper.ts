import { MeshError, type MeshEvent, OPEN_ORDER, type SessionRecord, type WorkerName } from '@talkmesh/contracts';
import type { Logger, Metrics } from '@talkmesh/service-kit';
import type { HandOver } from './handover.js';
import type { IdleWatch } from './idle-watch.js';
import { SESSION_TTL_MS, type SessionStore, type StoredSession } from './session-store.js';
import type { Sessions } from './sessions.js';
import type { StageClient } from './stage-client.js';
import type { WorkerDirectory, WorkerSnapshot } from './worker-directory.js';
import type { WorkerHealth, WorkerPlace } from './worker-monitor.js';

export interface ReaperOptions {
  readonly store: SessionStore;
  readonly sessions: Sessions;
  readonly directory: WorkerDirectory;
  readonly stages: Pick<StageClient, 'heldSessions'>;
  readonly handOver: Pick<HandOver, 'move'>;
  /** Health of a worker; undefined while it is not monitored. */
  readonly stateOf: (instanceId: string) => WorkerHealth | undefined;
  readonly idle: IdleWatch;
  /** `name@version` of the model that new sessions get. */
  readonly model: string;
  readonly sweepMs: number;
  readonly workerLostMs: number;
  readonly maxSessionMs: number;
  /** Longest time a session may take to open or to close, milliseconds. */
  readonly createDeadlineMs: number;
  readonly closeDeadlineMs: number;
  /** Longest time one stage may take to open, milliseconds. */
  readonly openDeadlineMs: number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Since when a record has had its revision, and when its session was created, on the monotonic clock of this process. */
interface Observed {
  readonly revision: number;
  readonly sinceMs: number;
  readonly createdAtMs: number;
}

/**
 * Ends sessions whose viewer left or whose time limit has passed, and finds stages whose worker is lost or does not hold them, in
 * case the health watch missed it. Every gateway runs one.
 */
export class Reaper {
  readonly #options: ReaperOptions;
  readonly #sessions;
  readonly #workers;
  readonly #timer: NodeJS.Timeout;
  readonly #observed = new Map<string, Observed>();
  readonly #missingSince = new Map<string, number>();
  #sweeping: Promise<void> | undefined;

  constructor(options: ReaperOptions) {
    this.#options = options;
    const { metrics } = options;
    this.#sessions = metrics.gauge('talkmesh_mesh_sessions', 'Sessions of the mesh at the last sweep', ['state']);
    const help = 'Healthy workers that new sessions may go to, at the last sweep';
    this.#workers = metrics.gauge('talkmesh_mesh_workers', help, ['service']);
    this.#timer = setInterval(() => void this.sweep(), options.sweepMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sweeping;
  }

  /** One pass over all sessions; never throws. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#pass()
      .catch((thrown: unknown) => {
        const error = MeshError.from(thrown);
        this.#options.log.warn({ err: error, reason: error.reason }, 'the sweep failed; the next one tries again');
      })
      .finally(() => {
        this.#sweeping = undefined;
      });
    return this.#sweeping;
  }

  /** Ends the session of a viewer that left. */
  onEvent(event: MeshEvent): void {
    if (event.type !== 'viewer.gone') return;
    this.#options.sessions
      .end(event.sessionId, { reason: 'viewer-gone', cause: event.cause })
      .catch((thrown: unknown) => {
        const error = MeshError.from(thrown);
        if (error.reason !== 'SESSION_NOT_FOUND')
          this.#options.log.error(
            { err: error, sessionId: event.sessionId },
            'a session whose viewer left could not be ended; the time limit will end it',
          );
      });
  }

  async #pass(): Promise<void> {
    const [workers, all] = await Promise.all([this.#options.directory.read(), this.#options.store.list()]);
    for (const sessionId of await this.#options.store.restore(all))
      this.#options.log.warn({ sessionId }, 'a session record was missing from NATS and was restored');
    const live = all.filter(({ record }) => record.state !== 'ended');
    for (const state of ['opening', 'open'] as const)
      this.#sessions.set({ state }, live.filter(({ record }) => record.state === state).length);
    this.#countWorkers(workers);
    this.#observe(all);
    for (const stored of all) await this.#checkSession(stored, workers);
    const unchanged = live.filter(
      (stored) => this.#unchangedMs(stored) > this.#options.openDeadlineMs + this.#options.sweepMs,
    );
    const open = unchanged.flatMap(({ record }) => (record.state === 'open' ? [record] : []));
    await this.#moveUnheldStages(open, workers);
    this.#forgetRemoved(all);
    const placed = live.flatMap(({ record }) => Object.values(record.placement).map((place) => place.grpcAddress));
    this.#options.directory.prune(new Set([...workers.addresses, ...placed]));
  }

  /** A service without a worker must stay visible: metrics of its own end with its last process. */
  #countWorkers(workers: WorkerSnapshot): void {
    const { model, stateOf } = this.#options;
    for (const service of OPEN_ORDER) {
      const healthy = workers.candidates(service, model).filter(({ instanceId }) => stateOf(instanceId) === 'up');
      this.#workers.set({ service }, healthy.length);
    }
  }

  async #checkSession(stored: StoredSession, workers: WorkerSnapshot): Promise<void> {
    const { record } = stored;
    const unchangedMs = this.#unchangedMs(stored);
    const { sessions, store, maxSessionMs, createDeadlineMs, closeDeadlineMs } = this.#options;
    if (record.state === 'ended') {
      const held = Object.keys(record.placement).length > 0;
      if (held && unchangedMs > closeDeadlineMs * 2) await this.#closeLeftStages(record, workers);
      return;
    }
    for (const place of this.#stagesToMove(record, workers))
      void this.#options.handOver.move(record.id, place, 'unregistered');
    const ageMs = this.#ageMs(stored);
    if (ageMs > Math.min(maxSessionMs, record.limits?.maxMs ?? Number.POSITIVE_INFINITY))
      await sessions.end(record.id, { reason: 'ended', cause: 'max-duration' });
    else if (await this.#options.idle.isIdle(record, ageMs))
      await sessions.end(record.id, { reason: 'ended', cause: 'idle' });
    else if (record.state === 'opening' && unchangedMs > createDeadlineMs + closeDeadlineMs)
      await sessions.end(record.id, { reason: 'failed', cause: 'not-opened' });
    else if (unchangedMs > SESSION_TTL_MS / 4) await store.update(stored, {}).catch(() => undefined);
  }

  #observe(all: readonly StoredSession[]): void {
    const nowMs = performance.now();
    for (const { record, revision } of all) {
      const known = this.#observed.get(record.id);
      if (known?.revision === revision) continue;
      // Only the age at first sight is taken from the wall clock: when that is set forward later, no session grows older by it.
      const createdAtMs = known?.createdAtMs ?? nowMs - Math.max(0, Date.now() - record.createdAtMs);
      this.#observed.set(record.id, { revision, sinceMs: nowMs, createdAtMs });
    }
  }

  #ageMs({ record }: StoredSession): number {
    const { createdAtMs } = this.#observed.get(record.id) ?? {};
    return createdAtMs === undefined ? 0 : performance.now() - createdAtMs;
  }

  #unchangedMs({ record }: StoredSession): number {
    const sinceMs = this.#observed.get(record.id)?.sinceMs;
    return sinceMs === undefined ? 0 : performance.now() - sinceMs;
  }

  /** Updates since when a session misses workers, and returns its lost stages once that has lasted `workerLostMs`: a restart of NATS is shorter. */
  #stagesToMove(record: SessionRecord, workers: WorkerSnapshot): WorkerPlace[] {
    if (record.state !== 'open') return [];
    const isLost = ({ service, instanceId }: WorkerPlace): boolean => {
      const state = this.#options.stateOf(instanceId);
      return state === 'lost' || (state !== 'up' && state !== 'cut-off' && !workers.has(service, instanceId));
    };
    const lost = placesOf(record).filter(isLost);
    if (lost.length === 0) {
      this.#missingSince.delete(record.id);
      return [];
    }
    const nowMs = performance.now();
    const sinceMs = this.#missingSince.get(record.id) ?? nowMs;
    this.#missingSince.set(record.id, sinceMs);
    return nowMs - sinceMs >= this.#options.workerLostMs ? lost : [];
  }

  /** A healthy worker may not hold a session placed on it: a gateway exited between placing and opening it, or the worker dropped it. */
  async #moveUnheldStages(open: readonly SessionRecord[], workers: WorkerSnapshot): Promise<void> {
    const placed = new Map<string, WorkerPlace & { ids: string[] }>();
    for (const record of open)
      for (const place of placesOf(record)) {
        if (!workers.has(place.service, place.instanceId) || this.#options.stateOf(place.instanceId) !== 'up') continue;
        const known = placed.get(place.instanceId) ?? { ...place, ids: [] };
        known.ids.push(record.id);
        placed.set(place.instanceId, known);
      }
    await Promise.all(
      [...placed.values()].map(async ({ ids, ...place }) => {
        const held = await this.#options.stages.heldSessions(place.grpcAddress).catch(() => undefined);
        for (const id of ids) if (held?.has(id) === false) void this.#options.handOver.move(id, place, 'missing');
      }),
    );
  }

  /** Closes stages that are left of an ended session, because a gateway exited or a worker did not answer. */
  async #closeLeftStages(record: SessionRecord, workers: WorkerSnapshot): Promise<void> {
    const entries = Object.entries(record.placement) as [WorkerName, { instanceId: string }][];
    const placement = Object.fromEntries(
      entries.filter(([service, { instanceId }]) => workers.has(service, instanceId)),
    );
    await this.#options.sessions.release(record.id, placement, 'failed');
  }

  #forgetRemoved(all: readonly StoredSession[]): void {
    const present = new Set(all.map(({ record }) => record.id));
    this.#options.idle.forget(present);
    for (const map of [this.#observed, this.#missingSince])
      for (const id of map.keys()) if (!present.has(id)) map.delete(id);
  }
}

const placesOf = ({ placement }: SessionRecord): WorkerPlace[] =>
  (Object.entries(placement) as [WorkerName, { instanceId: string; grpcAddress: string }][]).map(
    ([service, place]) => ({
      service,
      ...place,
    }),
  );
