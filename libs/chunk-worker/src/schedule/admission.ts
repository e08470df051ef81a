import { MeshError } from '@talkmesh/contracts';
import { CLOCKLESS_EVERY_CHUNKS } from './order.js';

/** What a session needs. */
export interface Demand {
  /** A recording without deadlines, which takes the time that live sessions leave. */
  readonly clockless: boolean;
  /** Time of its chunks, as a multiple of the measured cost. Default 1. */
  readonly cost?: number;
  /** Default: that of the limits. */
  readonly stateBytes?: number;
}

export interface AdmissionLimits {
  /** Time from the moment a chunk can start until it must leave the worker, milliseconds. Every session needs one chunk in it. */
  readonly windowMs: number;
  /** Share of that time that may be spent on chunks. Above 1: overbooked. */
  readonly utilisation: number;
  /** Bytes of state that all sessions together may hold. */
  readonly stateBytes: number;
  /** Bytes of state one session holds at most, unless its demand says another number. */
  readonly stateBytesPerSession: number;
  /** A recording counts as this share of a live session: the rate of chunks it is guaranteed. */
  readonly clocklessShare: number;
}

/** Limits of a worker from its settings. @param chunkMs duration of a chunk, milliseconds @param stateBytesPerSession from the manifest */
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

/** A session may end soon, or another worker may have room. */
const RETRY_AFTER_MS = 2000;

/**
 * Admits a session only if its state fits and if every admitted session stays in real time at the measured cost of a chunk.
 * The first session is always admitted: a machine that is too slow for one session degrades it, and reports that.
 */
export class RealTimeAdmission {
  readonly #limits: AdmissionLimits;
  readonly #costMs: () => number;
  readonly #refused: (reason: RefusalReason) => void;
  readonly #places = new Set<Demand>();

  /** @param costMs current cost of a whole chunk, milliseconds */
  constructor(limits: AdmissionLimits, costMs: () => number, refused: (reason: RefusalReason) => void = () => {}) {
    this.#limits = limits;
    this.#costMs = costMs;
    this.#refused = refused;
  }

  get stateBytes(): number {
    return [...this.#places].reduce((sum, demand) => sum + this.#bytesOf(demand), 0);
  }

  get stateBytesLimit(): number {
    return this.#limits.stateBytes;
  }

  get utilisationLimit(): number {
    return this.#limits.utilisation;
  }

  /** Share of the time that the admitted sessions, and `more` if given, are expected to take. */
  utilisation(more?: Demand): number {
    const { windowMs, clocklessShare } = this.#limits;
    const demands = more === undefined ? [...this.#places] : [...this.#places, more];
    const chunks = demands.reduce((sum, { clockless, cost = 1 }) => sum + cost * (clockless ? clocklessShare : 1), 0);
    return (chunks * this.#costMs()) / windowMs;
  }

  /** Takes a place synchronously, so that sessions opened at the same moment count each other. @throws MeshError SESSION_LIMIT */
  enter(demand: Demand): Place {
    const { stateBytes, utilisation } = this.#limits;
    const neededBytes = this.stateBytes + this.#bytesOf(demand);
    if (neededBytes > stateBytes)
      throw this.#full(
        'state_bytes',
        `${this.#places.size + 1} sessions would hold ${neededBytes} bytes of state, the limit is ${stateBytes} (TALKMESH_STATE_BYTES_MAX)`,
      );
    const expected = this.utilisation(demand);
    if (this.#places.size > 0 && expected > utilisation)
      throw this.#full(
        'utilisation',
        `${this.#places.size + 1} sessions at ${this.#costMs().toFixed(0)} ms a chunk${this.#times(demand)} would take ${percent(expected)} of the time, the limit is ${percent(utilisation)} (TALKMESH_UTILISATION_MAX)`,
      );
    const held = { ...demand };
    this.#places.add(held);
    return { release: () => void this.#places.delete(held) };
  }

  /** For a message: how many times the cost of a chunk the sessions pay on average, unless it is once. */
  #times(more: Demand): string {
    const costs = [...this.#places, more].map(({ cost = 1 }) => cost);
    const mean = costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
    return mean === 1 ? '' : ` (times ${mean.toFixed(2)} for their quality or size)`;
  }

  #bytesOf({ stateBytes = this.#limits.stateBytesPerSession }: Demand): number {
    return stateBytes;
  }

  #full(reason: RefusalReason, why: string): MeshError {
    this.#refused(reason);
    const message = `this worker is full: ${why}; try again later, or on another worker`;
    return new MeshError('SESSION_LIMIT', message, { retryAfterMs: RETRY_AFTER_MS, metadata: { full: reason } });
  }
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;
