import type { Logger } from '../logging.js';
import type { Gauge, Metrics } from '../metrics.js';

/**
 * INITIALIZED: configured. WARMING: connects and loads the model. READY: accepts sessions. DRAINING: refuses new sessions, its own
 * continue. STOPPED: everything is released. FAILED: it could not start, or lost something that it cannot run without.
 */
export const SERVICE_STATES = ['INITIALIZED', 'WARMING', 'READY', 'DRAINING', 'STOPPED', 'FAILED'] as const;
export type ServiceState = (typeof SERVICE_STATES)[number];

/** State of the process, and the three steps of its shutdown: drain, stop, force. */
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

  /** Aborted when new sessions are refused. */
  get drainSignal(): AbortSignal {
    return this.#drain.signal;
  }

  /** Aborted when the process must exit after it has drained. */
  get stopSignal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Aborted when the process must exit at once. */
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

  /** Refuses new sessions from now on. The process keeps running. */
  drain(): void {
    if (this.#state === 'READY') this.set('DRAINING');
    this.#drain.abort(new DOMException('the service is draining', 'AbortError'));
  }

  /** Drains, then exits. */
  stop(): void {
    this.drain();
    this.#stop.abort(new DOMException('the service is stopping', 'AbortError'));
  }

  /** Exits without waiting for sessions or calls. */
  force(): void {
    this.stop();
    this.#force.abort(new DOMException('the service is exiting at once', 'AbortError'));
  }

  #export(): void {
    for (const state of SERVICE_STATES) this.#gauge.set({ state }, state === this.#state ? 1 : 0);
  }
}
