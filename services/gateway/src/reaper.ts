import { decodeEvent, MeshError, parseSubject, type SessionRecord, type WorkerName } from '@talkmesh/contracts';
import type { Bus, Logger, Metrics, Subscription } from '@talkmesh/service-kit';
import type { HandOver } from './handover.js';
import { SESSION_TTL_MS, type SessionStore, type StoredSession } from './session-store.js';
import type { Sessions } from './sessions.js';
import type { Stages } from './stages.js';
import type { WatchState, WorkerPlace } from './watched-worker.js';
import type { WorkerDirectory, WorkerSnapshot } from './worker-directory.js';

export interface ReaperOptions {
  readonly bus: Pick<Bus, 'subscribeAll'>;
  readonly store: SessionStore;
  readonly sessions: Sessions;
  readonly directory: WorkerDirectory;
  readonly stages: Pick<Stages, 'held'>;
  readonly handOver: Pick<HandOver, 'move'>;
  /** What the watch knows of a worker. */
  readonly stateOf: (instanceId: string) => WatchState | undefined;
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

interface Watched {
  revision: number;
  sinceMs: number;
}

/**
 * Ends sessions whose viewer left or whose time is over; finds stages whose worker is gone or does not know them, should the
 * watch have missed it. Every gateway may run one.
 */
export class Reaper {
  private readonly o: ReaperOptions;
  private readonly gauge;
  private readonly subscription: Subscription;
  private readonly timer: NodeJS.Timeout;
  private readonly watched = new Map<string, Watched>();
  private readonly missingSince = new Map<string, number>();
  private sweeping: Promise<void> | undefined;

  constructor(options: ReaperOptions) {
    this.o = options;
    this.gauge = options.metrics.gauge('talkmesh_mesh_sessions', 'Sessions of the whole mesh at the last sweep', [
      'state',
    ]);
    this.subscription = options.bus.subscribeAll('event', (payload, { subject }) => this.look(payload, subject), {
      queue: 'gateway',
    });
    this.timer = setInterval(() => void this.sweep(), options.sweepMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.subscription.unsubscribe();
    await this.sweeping;
  }

  /** One pass over all sessions; never throws. */
  sweep(): Promise<void> {
    this.sweeping ??= this.pass()
      .catch((thrown: unknown) => {
        const error = MeshError.from(thrown);
        this.o.log.warn({ err: error, reason: error.reason }, 'the sweep failed, the next one tries again');
      })
      .finally(() => {
        this.sweeping = undefined;
      });
    return this.sweeping;
  }

  private look(payload: Uint8Array, subject: string): void {
    const event = decodeEvent(payload);
    if (event.type !== 'viewer.gone') return;
    if (parseSubject(subject)?.sessionId !== event.sid)
      throw new MeshError('MESSAGE_MALFORMED', "the event's sid is not its subject's");
    this.o.sessions.end(event.sid, { reason: 'viewer-gone', cause: event.cause }).catch((thrown: unknown) => {
      const error = MeshError.from(thrown);
      if (error.reason !== 'SESSION_NOT_FOUND')
        this.o.log.error({ err: error, sessionId: event.sid }, 'a left session was not ended');
    });
  }

  private async pass(): Promise<void> {
    const [workers, all] = await Promise.all([this.o.directory.read(), this.o.store.list()]);
    for (const sessionId of await this.o.store.restore(all))
      this.o.log.warn({ sessionId }, 'a session was missing from the store and was written again');
    const living = all.filter(({ record }) => record.state !== 'ended');
    for (const state of ['opening', 'open'] as const)
      this.gauge.set({ state }, living.filter(({ record }) => record.state === state).length);
    for (const stored of all) await this.treat(stored, workers);
    const settled = living.filter((stored) => this.unchangedMs(stored) > this.o.openDeadlineMs + this.o.sweepMs);
    const open = settled.flatMap(({ record }) => (record.state === 'open' ? [record] : []));
    await this.findStrays(open, workers);
    this.forget(all);
    const placed = living.flatMap(({ record }) => Object.values(record.placement).map((place) => place.grpcAddress));
    this.o.directory.prune(new Set([...workers.addresses, ...placed]));
  }

  private async treat(stored: StoredSession, workers: WorkerSnapshot): Promise<void> {
    const { record } = stored;
    const stillMs = this.unchangedMs(stored);
    const { sessions, store, maxSessionMs, createDeadlineMs, closeDeadlineMs } = this.o;
    if (record.state === 'ended') {
      const held = Object.keys(record.placement).length > 0;
      if (held && stillMs > closeDeadlineMs * 2) await this.finish(record, workers);
      return;
    }
    for (const place of this.lostStages(record, workers)) void this.o.handOver.move(record.id, place, 'unregistered');
    if (Date.now() - record.createdAtMs > maxSessionMs)
      await sessions.end(record.id, { reason: 'ended', cause: 'max-duration' });
    else if (record.state === 'opening' && stillMs > createDeadlineMs + closeDeadlineMs)
      await sessions.end(record.id, { reason: 'failed', cause: 'not-opened' });
    else if (stillMs > SESSION_TTL_MS / 4) await store.update(stored, {}).catch(() => undefined);
  }

  private unchangedMs({ record, revision }: StoredSession): number {
    const known = this.watched.get(record.id);
    if (known?.revision === revision) return performance.now() - known.sinceMs;
    this.watched.set(record.id, { revision, sinceMs: performance.now() });
    return 0;
  }

  /** Stages whose worker has been missing long enough: a moment may be a restart of NATS, and one that answers is there. */
  private lostStages(record: SessionRecord, workers: WorkerSnapshot): WorkerPlace[] {
    if (record.state !== 'open') return [];
    const isLost = ({ service, instanceId }: WorkerPlace): boolean => {
      const state = this.o.stateOf(instanceId);
      return state === 'lost' || (state !== 'up' && state !== 'cut-off' && !workers.has(service, instanceId));
    };
    const lost = placesOf(record).filter(isLost);
    if (lost.length === 0) {
      this.missingSince.delete(record.id);
      return [];
    }
    const nowMs = performance.now();
    const sinceMs = this.missingSince.get(record.id) ?? nowMs;
    this.missingSince.set(record.id, sinceMs);
    return nowMs - sinceMs >= this.o.workerLostMs ? lost : [];
  }

  /** A worker that is well may not know a session: a gateway died between placing and opening it, or the worker dropped it. */
  private async findStrays(open: readonly SessionRecord[], workers: WorkerSnapshot): Promise<void> {
    const placed = new Map<string, WorkerPlace & { ids: string[] }>();
    for (const record of open)
      for (const place of placesOf(record)) {
        if (!workers.has(place.service, place.instanceId) || this.o.stateOf(place.instanceId) !== 'up') continue;
        const known = placed.get(place.instanceId) ?? { ...place, ids: [] };
        known.ids.push(record.id);
        placed.set(place.instanceId, known);
      }
    await Promise.all(
      [...placed.values()].map(async ({ ids, ...place }) => {
        const held = await this.o.stages.held(place.grpcAddress).catch(() => undefined);
        for (const id of ids) if (held?.has(id) === false) void this.o.handOver.move(id, place, 'missing');
      }),
    );
  }

  /** Somebody ended the session and died, or a worker did not answer: those still in the registry are asked again. */
  private async finish(record: SessionRecord, workers: WorkerSnapshot): Promise<void> {
    const entries = Object.entries(record.placement) as [WorkerName, { instanceId: string }][];
    const placement = Object.fromEntries(
      entries.filter(([service, { instanceId }]) => workers.has(service, instanceId)),
    );
    await this.o.sessions.release(record.id, placement, 'failed');
  }

  private forget(all: readonly StoredSession[]): void {
    const present = new Set(all.map(({ record }) => record.id));
    for (const map of [this.watched, this.missingSince])
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
