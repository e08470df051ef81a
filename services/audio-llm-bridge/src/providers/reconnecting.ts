import type { Logger } from '@talkmesh/service-kit';
import type { Problem, ProblemReporter } from './problem.js';

export interface ConnectionHandlers<L> {
  /** The provider is ready for the session. Called at most once. */
  ready(link: L): void;
  /** The connection could not be made or was lost. Called at most once, and not after `close`. */
  lost(problem: Problem): void;
}

export interface ReconnectingOptions<L> {
  /** Begins one connection. The returned function ends it without a call of `lost`. */
  readonly connect: (handlers: ConnectionHandlers<L>) => () => void;
  readonly onUp: (link: L) => void;
  /** Called when a connection that was up is lost. @returns whether the listener notices, because an answer or a question was cut */
  readonly onDown: () => boolean;
  readonly onConnected: (ms: number) => void;
  readonly problems: ProblemReporter;
  readonly log: Logger;
}

const BACKOFF = { firstMs: 250, longestMs: 8000 } as const;
/** A connection that lasted this long ends a series of failures. */
const STABLE_MS = 10_000;

/** Keeps one connection to a provider up: back-off with jitter, one explanation for a series of failures, no attempts after a fatal one. */
export class Reconnecting<L> implements Disposable {
  readonly #options: ReconnectingOptions<L>;
  #close: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #link: L | undefined;
  #failures = 0;
  #readyAtMs = 0;
  #ended = false;

  constructor(options: ReconnectingOptions<L>) {
    this.#options = options;
  }

  /** The connection; undefined while there is none. */
  get link(): L | undefined {
    return this.#link;
  }

  /** Whether a fatal problem or the end of the session has stopped all attempts. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Makes the first connection. @throws MeshError PROVIDER_FAILED when that fails; later failures are reported and tried again */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#attempt(resolve, (problem) => {
        this.#ended = true;
        reject(this.#options.problems.errorOf(problem));
      });
    });
  }

  /** Like `start`, but a temporary failure of the first connection is tried again as well. */
  startPatiently(): void {
    this.#attempt(
      () => undefined,
      (problem) => this.#retry(problem, true),
    );
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#close?.();
    this.#close = undefined;
    this.#link = undefined;
  }

  #attempt(onReady: () => void, onFailed: (problem: Problem) => void): void {
    const begunAtMs = performance.now();
    let isUp = false;
    this.#close = this.#options.connect({
      ready: (link) => {
        isUp = true;
        this.#link = link;
        this.#readyAtMs = performance.now();
        this.#options.onConnected(this.#readyAtMs - begunAtMs);
        this.#options.onUp(link);
        onReady();
      },
      lost: (problem) => {
        this.#close = undefined;
        this.#link = undefined;
        if (this.#ended) return;
        if (!isUp) return onFailed(problem);
        if (performance.now() - this.#readyAtMs >= STABLE_MS) this.#failures = 0;
        this.#retry(problem, this.#options.onDown());
      },
    });
  }

  #retry(problem: Problem, isNoticed: boolean): void {
    const { log, problems } = this.#options;
    this.#failures += 1;
    if (problem.severity === 'fatal' || isNoticed || this.#failures > 1) problems.report(problem);
    if (problem.severity === 'fatal') {
      this.#ended = true;
      log.error({ code: problem.code }, 'the provider refuses this session; no further attempts');
      return;
    }
    const limitMs = Math.min(BACKOFF.longestMs, BACKOFF.firstMs * 2 ** (this.#failures - 1));
    const waitMs = limitMs * (0.5 + Math.random() / 2);
    log.warn({ code: problem.code, waitMs: Math.round(waitMs) }, 'the provider is not connected; connecting again');
    this.#timer = setTimeout(() => {
      this.#attempt(
        () => undefined,
        (next) => this.#retry(next, false),
      );
    }, waitMs);
  }
}
