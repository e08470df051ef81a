import { MeshError } from '@talkmesh/contracts';
import { CLOCKLESS_EVERY_CHUNKS } from './order.js';

/** What one more session would need; `clockless`: a recording, which takes what the calls leave. */
export interface Demand {
  readonly clockless: boolean;
}

export interface AdmissionLimits {
  /** From a chunk's start being possible until it must have left, milliseconds: every session wants one in that time. */
  readonly windowMs: number;
  /** Share of that time that may be spent on chunks; above 1: overbooked. */
  readonly utilisation: number;
  /** Bytes of state all sessions together may hold. */
  readonly stateBytes: number;
  /** Bytes of state one session holds at most, from the manifest. */
  readonly stateBytesPerSession: number;
  /** Share of a call's work that a recording is guaranteed, so that it counts for that much. */
  readonly clocklessShare: number;
}

/** Limits of a worker from its settings. @param chunkMs what a chunk lasts @param stateBytesPerSession from the manifest */
export function realTimeLimits(
  config: { readonly downstreamMs: number; readonly utilisationMax: number; readonly stateBytesMax: number },
  chunkMs: number,
  stateBytesPerSession: number,
): AdmissionLimits {
  return {
    windowMs: Math.max(1, chunkMs - config.downstreamMs),
    utilisation: config.utilisationMax,
    stateBytes: config.stateBytesMax,
    stateBytesPerSession,
    clocklessShare: 1 / CLOCKLESS_EVERY_CHUNKS,
  };
}

export type RefusalReason = 'state_bytes' | 'utilisation';

/** A place in a worker; released once. */
export interface Place {
  release(): void;
}

/** Full now is not full for long: a call ends, or another worker has room. */
const RETRY_AFTER_MS = 2000;

/**
 * Admits a session only where its state fits and where every admitted session stays in real time, judged by what chunks
 * really cost. The first one is always let in: a machine that is too slow for one call degrades it, and says so.
 */
export class RealTimeAdmission {
  readonly #limits: AdmissionLimits;
  readonly #costMs: () => number;
  readonly #refused: (reason: RefusalReason) => void;
  readonly #places = new Set<Demand>();

  /** @param costMs what a whole chunk costs now, milliseconds */
  constructor(limits: AdmissionLimits, costMs: () => number, refused: (reason: RefusalReason) => void = () => {}) {
    this.#limits = limits;
    this.#costMs = costMs;
    this.#refused = refused;
  }

  get stateBytes(): number {
    return this.#places.size * this.#limits.stateBytesPerSession;
  }

  get stateBytesLimit(): number {
    return this.#limits.stateBytes;
  }

  get utilisationLimit(): number {
    return this.#limits.utilisation;
  }

  /** Share of the time that the admitted sessions, and `more` of them, are expected to take. */
  utilisation(more?: Demand): number {
    const { windowMs, clocklessShare } = this.#limits;
    const demands = more === undefined ? [...this.#places] : [...this.#places, more];
    const chunks = demands.reduce((sum, { clockless }) => sum + (clockless ? clocklessShare : 1), 0);
    return (chunks * this.#costMs()) / windowMs;
  }

  /** Takes a place at once, so that sessions opened at the same moment see each other. @throws MeshError SESSION_LIMIT */
  enter(demand: Demand): Place {
    const { stateBytes, stateBytesPerSession, utilisation } = this.#limits;
    const neededBytes = this.stateBytes + stateBytesPerSession;
    if (neededBytes > stateBytes)
      throw this.#full(
        'state_bytes',
        `${this.#places.size + 1} sessions would hold ${neededBytes} bytes of state, the limit is ${stateBytes} (TALKMESH_STATE_BYTES_MAX)`,
      );
    const expected = this.utilisation(demand);
    if (this.#places.size > 0 && expected > utilisation)
      throw this.#full(
        'utilisation',
        `${this.#places.size + 1} sessions at ${this.#costMs().toFixed(0)} ms a chunk would take ${percent(expected)} of the time, the limit is ${percent(utilisation)} (TALKMESH_UTILISATION_MAX)`,
      );
    const held = { ...demand };
    this.#places.add(held);
    return { release: () => void this.#places.delete(held) };
  }

  #full(reason: RefusalReason, why: string): MeshError {
    this.#refused(reason);
    const message = `this worker is full: ${why}; try again later, or on another worker`;
    return new MeshError('SESSION_LIMIT', message, { retryAfterMs: RETRY_AFTER_MS, metadata: { full: reason } });
  }
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;
