import { decodeEvent, MeshError, parseSubject, type SessionRecord, type WorkerName } from '@talkmesh/contracts';
import type { Bus, Logger, Metrics, Subscription } from '@talkmesh/service-kit';
import { SESSION_TTL_MS, type SessionStore, type StoredSession } from './session-store.js';
import type { Sessions } from './sessions.js';
import type { WorkerDirectory, WorkerSnapshot } from './worker-directory.js';

export interface ReaperOptions {
  readonly bus: Pick<Bus, 'subscribeAll'>;
  readonly store: SessionStore;
  readonly sessions: Sessions;
  readonly directory: WorkerDirectory;
  readonly sweepMs: number;
  readonly maxSessionMs: number;
  /** Longest time a session may take to open or to close, milliseconds. */
  readonly createDeadlineMs: number;
  readonly closeDeadlineMs: number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

interface Watched {
  revision: number;
  sinceMs: number;
}

/** Ends sessions whose viewer left, whose worker is gone or whose time is over. Every gateway may run one. */
export class Reaper {
  private readonly o: ReaperOptions;
  private readonly gauge;
  private readonly subscription: Subscription;
  private readonly timer: NodeJS.Timeout;
  private readonly watched = new Map<string, Watched>();
  private readonly missing = new Map<string, number>();
  private living = new Map<string, SessionRecord>();
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
    await this.restore(all);
    const living = all.filter(({ record }) => record.state !== 'ended');
    this.living = new Map(living.map(({ record }) => [record.id, record]));
    for (const state of ['opening', 'open'] as const)
      this.gauge.set({ state }, living.filter(({ record }) => record.state === state).length);
    for (const stored of all) await this.treat(stored, workers);
    this.forget(all);
    const placed = living.flatMap(({ record }) => Object.values(record.placement).map((place) => place.grpcAddress));
    this.o.directory.prune(new Set([...workers.addresses, ...placed]));
  }

  /** The bucket lives in the memory of the NATS server: after its restart the living sessions are written again. */
  private async restore(all: readonly StoredSession[]): Promise<void> {
    const present = new Set(all.map(({ record }) => record.id));
    for (const [id, record] of this.living)
      if (!present.has(id) && (await this.o.store.find(id)) === undefined) {
        this.o.log.warn({ sessionId: id }, 'the session was lost from the store and is written again');
        await this.o.store.create(record).catch(() => undefined);
      }
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
    const lost = this.lostStage(record, workers);
    if (lost !== undefined) return this.endLost(record, lost);
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

  /** A stage whose worker is missing from two sweeps in a row: one may fall into a restart of NATS. */
  private lostStage(record: SessionRecord, workers: WorkerSnapshot): WorkerName | undefined {
    if (record.state !== 'open') return undefined;
    const entries = Object.entries(record.placement) as [WorkerName, { instanceId: string }][];
    const lost = entries.find(([service, { instanceId }]) => !workers.has(service, instanceId))?.[0];
    const sweeps = lost === undefined ? 0 : (this.missing.get(record.id) ?? 0) + 1;
    this.missing.set(record.id, sweeps);
    return sweeps > 1 ? lost : undefined;
  }

  private async endLost(record: SessionRecord, service: WorkerName): Promise<void> {
    const message = `the ${service} worker that held this session is gone; start a new call`;
    this.o.log.warn(
      { sessionId: record.id, service, worker: record.placement[service]?.instanceId },
      'a worker is gone, its session ends',
    );
    await this.o.sessions.end(record.id, {
      reason: 'failed',
      cause: 'worker-lost',
      failure: { service, reason: 'PEER_LOST', message },
    });
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
    for (const map of [this.watched, this.missing]) for (const id of map.keys()) if (!present.has(id)) map.delete(id);
  }
}
