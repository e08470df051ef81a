import type { Logger } from './logging.js';
import type { Gauge, Metrics } from './metrics.js';

/**
 * INITIALIZED: configured. WARMING: connecting, loading the model. READY: takes sessions. DRAINING: refuses new sessions, the ones it
 * has go on. STOPPED: everything released. FAILED: it could not start, or lost something it cannot run without.
 */
export const SERVICE_STATES = ['INITIALIZED', 'WARMING', 'READY', 'DRAINING', 'STOPPED', 'FAILED'] as const;
export type ServiceState = (typeof SERVICE_STATES)[number];

/** The one place that knows what a process is doing: state, and the three steps of going away (drain, stop, force). */
export class Lifecycle {
  readonly #log: Logger;
  readonly #gauge: Gauge;
  readonly #drain = new AbortController();
  readonly #stop = new AbortController();
  readonly #force = new AbortController();
  readonly #listeners = new Set<(state: ServiceState) => void>();
  #state: ServiceState = 'INITIALIZED';

  constructor(log: Logger, metrics: Metrics) {
    this.#log = log;
    this.#gauge = metrics.gauge('talkmesh_service_state', '1 for the state the service is in', ['state']);
    this.#export();
  }

  get state(): ServiceState {
    return this.#state;
  }

  /** Aborted when no new session is taken any more. */
  get drainSignal(): AbortSignal {
    return this.#drain.signal;
  }

  /** Aborted when the process is to end once it is drained. */
  get stopSignal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Aborted when it is to end at once. */
  get forceSignal(): AbortSignal {
    return this.#force.signal;
  }

  onChange(listener: (state: ServiceState) => void): void {
    this.#listeners.add(listener);
  }

  set(state: ServiceState): void {
    if (state === this.#state) return;
    this.#log.info({ from: this.#state, to: state }, 'state');
    this.#state = state;
    this.#export();
    for (const listener of this.#listeners) listener(state);
  }

  /** No new sessions from now on; the process stays. */
  drain(): void {
    if (this.#state === 'READY') this.set('DRAINING');
    this.#drain.abort(new DOMException('the service is draining', 'AbortError'));
  }

  /** Drain, then end. */
  stop(): void {
    this.drain();
    this.#stop.abort(new DOMException('the service is stopping', 'AbortError'));
  }

  /** End without waiting for sessions or calls. */
  force(): void {
    this.stop();
    this.#force.abort(new DOMException('the service is ending at once', 'AbortError'));
  }

  #export(): void {
    for (const state of SERVICE_STATES) this.#gauge.set({ state }, state === this.#state ? 1 : 0);
  }
}
