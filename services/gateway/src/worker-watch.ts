import { MeshError, type StageCause } from '@talkmesh/contracts';
import type { Bus, Logger, Metrics } from '@talkmesh/service-kit';
import { WatchedWorker, type WatchState, type WorkerPlace } from './watched-worker.js';
import type { Standing, StandingOf, WorkerDirectory } from './worker-directory.js';

export interface WorkerWatchOptions {
  readonly directory: WorkerDirectory;
  readonly bus: Pick<Bus, 'connected'>;
  /** How often the registry is read, milliseconds. */
  readonly watchMs: number;
  /** How long a worker may be missing from the registry, milliseconds. */
  readonly workerLostMs: number;
  /** How long a worker may be without NATS while this gateway has it, milliseconds. */
  readonly cutOffMs: number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface WatchListener {
  /** Its sessions need another worker; told once per loss. */
  onLost(place: WorkerPlace, cause: StageCause): void;
  /** Told with every look while it drains: its sessions should go as soon as somebody takes them. */
  onDraining(place: WorkerPlace): void;
  /** It answers again: does it still know its sessions? */
  onReturned(place: WorkerPlace): void;
}

interface Entry {
  readonly worker: WatchedWorker;
  state: WatchState;
  missingSinceMs: number | undefined;
  cutOffSinceMs: number | undefined;
  /** Cut off long enough that its sessions go. */
  given: boolean;
}

const STANDINGS: Readonly<Record<WatchState, Standing>> = {
  connecting: 'fit',
  up: 'fit',
  suspect: 'doubtful',
  'cut-off': 'unfit',
  draining: 'unfit',
  lost: 'unfit',
};

/** Watches every worker of the registry, so that a loss is known before a session asks for it. Every gateway runs one. */
export class WorkerWatch {
  private readonly o: WorkerWatchOptions;
  private readonly entries = new Map<string, Entry>();
  private readonly timer: NodeJS.Timeout;
  private readonly losses;
  private readonly flaps;
  private listener: WatchListener | undefined;
  private looking: Promise<void> | undefined;
  private natsSinceMs = performance.now();

  constructor(options: WorkerWatchOptions) {
    this.o = options;
    const { metrics } = options;
    this.losses = metrics.counter('talkmesh_worker_losses_total', 'Workers given up for lost', ['service', 'cause']);
    this.flaps = metrics.counter('talkmesh_worker_flaps_total', 'Broken connections to workers that were well', [
      'service',
    ]);
    this.timer = setInterval(() => void this.look(), options.watchMs);
  }

  start(listener: WatchListener): void {
    this.listener = listener;
    void this.look();
  }

  stop(): void {
    clearInterval(this.timer);
    for (const { worker } of this.entries.values()) worker.stop();
    this.entries.clear();
  }

  /** Unknown ones are given the benefit of the doubt. */
  readonly standingOf: StandingOf = (instanceId) =>
    STANDINGS[this.entries.get(instanceId)?.worker.state ?? 'connecting'];

  stateOf(instanceId: string): WatchState | undefined {
    return this.entries.get(instanceId)?.worker.state;
  }

  /** Watches a worker at once; the next look at the registry would do it too. */
  follow(place: WorkerPlace): void {
    if (this.entries.has(place.instanceId)) return;
    const worker = new WatchedWorker({
      place,
      onChange: (state, cause) => this.changed(place, state, cause),
      onFlap: () => {
        this.flaps.inc({ service: place.service });
        this.o.log.warn(
          { target: place.service, worker: place.instanceId },
          'a connection to a worker broke; it is well',
        );
      },
    });
    this.entries.set(place.instanceId, {
      worker,
      state: worker.state,
      missingSinceMs: undefined,
      cutOffSinceMs: undefined,
      given: false,
    });
  }

  private look(): Promise<void> {
    this.looking ??= this.pass().finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }

  private async pass(): Promise<void> {
    const nowMs = performance.now();
    if (!this.o.bus.connected) this.natsSinceMs = nowMs;
    const snapshot = await this.o.directory.read().catch((thrown: unknown) => {
      this.o.log.debug({ reason: MeshError.from(thrown).reason }, 'the registry was not read');
      return undefined;
    });
    if (snapshot === undefined) {
      this.natsSinceMs = performance.now();
      for (const entry of this.entries.values()) entry.missingSinceMs = undefined;
      return;
    }
    for (const record of snapshot.all) this.follow(record);
    for (const [instanceId, entry] of this.entries) {
      const { place } = entry.worker;
      this.lookAtRegistry(instanceId, entry, snapshot.has(place.service, instanceId), nowMs);
      this.lookAtNats(entry, nowMs);
      if (entry.worker.state === 'draining') this.listener?.onDraining(place);
    }
  }

  private lookAtRegistry(instanceId: string, entry: Entry, present: boolean, nowMs: number): void {
    if (present) {
      entry.missingSinceMs = undefined;
      return;
    }
    entry.missingSinceMs ??= nowMs;
    if (entry.worker.state === 'lost') {
      entry.worker.stop();
      this.entries.delete(instanceId);
    } else if (nowMs - entry.missingSinceMs >= this.o.workerLostMs) entry.worker.unregistered();
  }

  private lookAtNats(entry: Entry, nowMs: number): void {
    if (entry.worker.state !== 'cut-off' || entry.cutOffSinceMs === undefined || entry.given) return;
    if (nowMs - Math.max(entry.cutOffSinceMs, this.natsSinceMs) < this.o.cutOffMs) return;
    entry.given = true;
    this.lose(entry.worker.place, 'cut-off', 'cut-off');
  }

  private changed(place: WorkerPlace, state: WatchState, cause: StageCause | undefined): void {
    const entry = this.entries.get(place.instanceId);
    if (entry === undefined) return;
    const before = entry.state;
    const facts = { target: place.service, worker: place.instanceId, address: place.grpcAddress, before, state };
    this.o.log[state === 'up' && before === 'connecting' ? 'debug' : 'info'](facts, 'a worker changed');
    entry.state = state;
    entry.cutOffSinceMs = state === 'cut-off' ? performance.now() : undefined;
    entry.given = false;
    if (state === 'lost') this.lose(place, cause ?? 'died', before);
    else if (state === 'draining') this.listener?.onDraining(place);
    else if (state === 'up' && before !== 'connecting') this.listener?.onReturned(place);
  }

  /** A drained worker ends; sessions it had to close are taken over like those of any other. */
  private lose(place: WorkerPlace, cause: StageCause, before: WatchState): void {
    if (before !== 'draining') this.losses.inc({ service: place.service, cause });
    this.listener?.onLost(place, cause);
  }
}
