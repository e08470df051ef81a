import { MeshError, OPEN_ORDER, STAGE_CAUSES, type StageCause } from '@talkmesh/contracts';
import type { Bus, ClientSecurity, Logger, Metrics } from '@talkmesh/service-kit';
import type { Eligibility, EligibilityOf, WorkerRegistry } from './worker-directory.js';
import { type WorkerHealth, WorkerMonitor, type WorkerPlace } from './worker-monitor.js';

export interface HealthWatchOptions {
  readonly registry: Pick<WorkerRegistry, 'read'>;
  readonly bus: Pick<Bus, 'connected'>;
  readonly peerSecurity: ClientSecurity;
  /** How often the registry is read, milliseconds. */
  readonly watchMs: number;
  /** How long a worker may be missing from the registry, milliseconds. */
  readonly workerLostMs: number;
  /** How long a worker may be without NATS while this gateway is connected to it, milliseconds. */
  readonly cutOffMs: number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface HealthListener {
  /** The sessions of this worker need another one. Called once per loss. */
  onLost(place: WorkerPlace, cause: StageCause): void;
  /** Called on every pass while the worker drains, because a worker that accepts its sessions may appear at any time. */
  onDraining(place: WorkerPlace): void;
  /** The worker answers again; the listener has to check that it still holds its sessions. */
  onReturned(place: WorkerPlace): void;
}

interface Entry {
  readonly worker: WorkerMonitor;
  state: WorkerHealth;
  missingSinceMs: number | undefined;
  cutOffSinceMs: number | undefined;
  /** Whether it was cut off for so long that it was reported as lost. */
  isReportedCutOff: boolean;
}

const ELIGIBILITY: Readonly<Record<WorkerHealth, Eligibility>> = {
  connecting: 'eligible',
  up: 'eligible',
  suspect: 'last-resort',
  'cut-off': 'excluded',
  draining: 'excluded',
  lost: 'excluded',
};

/** Monitors the health of every registered worker, so that a loss is noticed before a request fails. Every gateway runs one. */
export class HealthWatch {
  readonly #options: HealthWatchOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #timer: NodeJS.Timeout;
  readonly #losses;
  readonly #flaps;
  #listener: HealthListener | undefined;
  #stopped = false;
  #passing: Promise<void> | undefined;
  #connectedSinceMs = performance.now();

  constructor(options: HealthWatchOptions) {
    this.#options = options;
    const { metrics } = options;
    this.#losses = metrics.counter('talkmesh_worker_losses_total', 'Workers found lost', ['service', 'cause'], {
      service: OPEN_ORDER,
      cause: STAGE_CAUSES,
    });
    this.#flaps = metrics.counter('talkmesh_worker_flaps_total', 'Broken connections to workers that were healthy', [
      'service',
    ]);
    this.#timer = setInterval(() => void this.#passOnce(), options.watchMs);
  }

  start(listener: HealthListener): void {
    this.#listener = listener;
    void this.#passOnce();
  }

  /** A pass that reads the registry meanwhile ends without monitoring what it finds. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    for (const { worker } of this.#entries.values()) worker.stop();
    this.#entries.clear();
  }

  /** Workers that are not monitored yet are eligible. */
  readonly eligibilityOf: EligibilityOf = (instanceId) =>
    ELIGIBILITY[this.#entries.get(instanceId)?.worker.state ?? 'connecting'];

  stateOf(instanceId: string): WorkerHealth | undefined {
    return this.#entries.get(instanceId)?.worker.state;
  }

  /** Monitors a worker from now on instead of from the next pass. */
  follow(place: WorkerPlace): void {
    if (this.#stopped || this.#entries.has(place.instanceId)) return;
    const worker = new WorkerMonitor({
      place,
      peerSecurity: this.#options.peerSecurity,
      onChange: (state, cause) => this.#changed(place, state, cause),
      onFlap: () => {
        this.#flaps.inc({ service: place.service });
        this.#options.log.warn(
          { target: place.service, worker: place.instanceId },
          'a health stream broke but the worker is healthy; it is opened again',
        );
      },
    });
    this.#entries.set(place.instanceId, {
      worker,
      state: worker.state,
      missingSinceMs: undefined,
      cutOffSinceMs: undefined,
      isReportedCutOff: false,
    });
  }

  #passOnce(): Promise<void> {
    this.#passing ??= this.#pass().finally(() => {
      this.#passing = undefined;
    });
    return this.#passing;
  }

  async #pass(): Promise<void> {
    const nowMs = performance.now();
    if (!this.#options.bus.connected) this.#connectedSinceMs = nowMs;
    const snapshot = await this.#options.registry.read().catch((thrown: unknown) => {
      this.#options.log.debug(
        { reason: MeshError.from(thrown).reason },
        'the worker registry could not be read; the next pass tries again',
      );
      return undefined;
    });
    if (this.#stopped) return;
    if (snapshot === undefined) {
      this.#connectedSinceMs = performance.now();
      for (const entry of this.#entries.values()) entry.missingSinceMs = undefined;
      return;
    }
    for (const record of snapshot.all) this.follow(record);
    for (const [instanceId, entry] of this.#entries) {
      const { place } = entry.worker;
      this.#checkRegistry(instanceId, entry, snapshot.has(place.service, instanceId), nowMs);
      this.#checkCutOff(entry, nowMs);
      if (entry.worker.state === 'draining') this.#listener?.onDraining(place);
    }
  }

  #checkRegistry(instanceId: string, entry: Entry, present: boolean, nowMs: number): void {
    if (present) {
      entry.missingSinceMs = undefined;
      return;
    }
    entry.missingSinceMs ??= nowMs;
    if (entry.worker.state === 'lost') {
      entry.worker.stop();
      this.#entries.delete(instanceId);
    } else if (nowMs - entry.missingSinceMs >= this.#options.workerLostMs) entry.worker.markUnregistered();
  }

  #checkCutOff(entry: Entry, nowMs: number): void {
    if (entry.worker.state !== 'cut-off' || entry.cutOffSinceMs === undefined || entry.isReportedCutOff) return;
    if (nowMs - Math.max(entry.cutOffSinceMs, this.#connectedSinceMs) < this.#options.cutOffMs) return;
    entry.isReportedCutOff = true;
    this.#reportLoss(entry.worker.place, 'cut-off', 'cut-off');
  }

  #changed(place: WorkerPlace, state: WorkerHealth, cause: StageCause | undefined): void {
    const entry = this.#entries.get(place.instanceId);
    if (entry === undefined) return;
    const before = entry.state;
    const fields = { target: place.service, worker: place.instanceId, address: place.grpcAddress, before, state };
    this.#options.log[state === 'up' && before === 'connecting' ? 'debug' : 'info'](fields, 'worker health changed');
    entry.state = state;
    entry.cutOffSinceMs = state === 'cut-off' ? performance.now() : undefined;
    entry.isReportedCutOff = false;
    if (state === 'lost') this.#reportLoss(place, cause ?? 'died', before);
    else if (state === 'draining') this.#listener?.onDraining(place);
    else if (state === 'up' && before !== 'connecting') this.#listener?.onReturned(place);
  }

  /** The exit of a drained worker is no loss for the metric, but sessions that it still had are taken over in the same way. */
  #reportLoss(place: WorkerPlace, cause: StageCause, before: WorkerHealth): void {
    if (before !== 'draining') this.#losses.inc({ service: place.service, cause });
    this.#listener?.onLost(place, cause);
  }
}
