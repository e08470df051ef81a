import type { CallStats } from './types.js';

/** Body of `POST /v1/sessions/ID/quality`; the gateway's schema is `qualityBody`. */
export interface QualityReport {
  /** Time that the report covers. */
  readonly watchedMs: number;
  /** One value for each second that was measured: positive when the picture is ahead. */
  readonly avSkewMs: readonly number[];
  readonly freezes: number;
  readonly frozenMs: number;
  readonly jitterMs?: number;
  readonly pictureDelayMs?: number;
  readonly soundDelayMs?: number;
  /** Once for each connection. */
  readonly firstFrameMs?: number;
}

const REPORT_EVERY_MS = 10_000;

const known = <K extends string>(name: K, value: number | undefined): { [P in K]?: number } =>
  value === undefined ? {} : ({ [name]: value } as { [P in K]?: number });

/** Collects the statistics of each second into a report every ten seconds. */
export class QualityReports {
  readonly #send: (report: QualityReport) => void;
  readonly #now: () => number;
  #sinceMs: number;
  #skews: number[] = [];
  #latest: CallStats | undefined;
  #reported = { freezes: 0, frozenMs: 0, firstFrameMs: undefined as number | undefined };

  /** @param now monotonic milliseconds */
  constructor(send: (report: QualityReport) => void, now: () => number = () => performance.now()) {
    this.#send = send;
    this.#now = now;
    this.#sinceMs = now();
  }

  add(stats: CallStats): void {
    if (this.#latest === undefined) this.#sinceMs = this.#now();
    this.#latest = stats;
    if (stats.avSkewMs !== undefined) this.#skews.push(stats.avSkewMs);
    if (this.#now() - this.#sinceMs >= REPORT_EVERY_MS) this.flush();
  }

  /** Sends what was collected since the last report; nothing when nothing was measured. */
  flush(): void {
    const stats = this.#latest;
    if (stats === undefined) return;
    const { freezes = 0, frozenMs = 0, firstFrameMs } = stats;
    // The browser counts from zero again after a reconnection.
    const since = (now: number, then: number): number => Math.max(0, now < then ? now : now - then);
    this.#send({
      watchedMs: this.#now() - this.#sinceMs,
      avSkewMs: this.#skews,
      freezes: since(freezes, this.#reported.freezes),
      frozenMs: since(frozenMs, this.#reported.frozenMs),
      ...known('jitterMs', stats.jitterMs),
      ...known('pictureDelayMs', stats.pictureDelayMs),
      ...known('soundDelayMs', stats.soundDelayMs),
      ...(firstFrameMs === this.#reported.firstFrameMs ? {} : known('firstFrameMs', firstFrameMs)),
    });
    this.#reported = { freezes, frozenMs, firstFrameMs };
    this.#sinceMs = this.#now();
    this.#skews = [];
    this.#latest = undefined;
  }
}
