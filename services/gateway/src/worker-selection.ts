import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError, type Reason, type WorkerName, type WorkerRecord } from '@talkmesh/contracts';
import type { WorkerDirectory, WorkerSnapshot } from './worker-directory.js';

/** Whether the refusal concerns this worker alone (full, draining, lost, slow or broken), so that another one may accept. */
export const mayAnotherWorkerAccept = (error: MeshError): boolean =>
  !OUTSIDE.has(error.reason) && (error.retryable || error.httpStatus === 500);

/** Failures of what every worker would reach. */
const OUTSIDE: ReadonlySet<Reason> = new Set(['PROVIDER_FAILED', 'ROOM_UNREACHABLE']);

/** Refusals of a worker that is restarting: the worker or its successor may accept soon. */
const TRANSIENT: ReadonlySet<Reason> = new Set(['PEER_LOST', 'DRAINING', 'NATS_UNAVAILABLE']);
const BACK_OFF_MS = [50, 100, 200, 400];

export interface SelectionOptions<T> {
  readonly directory: Pick<WorkerDirectory, 'read'>;
  readonly service: WorkerName;
  /** `name@version` */
  readonly model: string;
  /** A recent snapshot of the registry, for the first round. */
  readonly workers?: WorkerSnapshot;
  /** Until when to wait for a worker to become ready, `performance.now()` milliseconds. */
  readonly untilMs: number;
  readonly signal: AbortSignal;
  /** Called once, when no worker has accepted in the first round. */
  readonly onWait: () => void;
  /** Calls one worker. @throws MeshError why it refused */
  readonly call: (worker: WorkerRecord) => Promise<T>;
}

export type Selection<T> = { readonly answer: T } | { readonly refused: readonly MeshError[] };

/**
 * Calls the ready workers of a service, least loaded first, until one accepts. While none is ready or all are restarting, the registry
 * is read again with back-off, because a short wait is better for the caller than an error.
 * @returns the first answer, or all refusals of the last round. @throws MeshError when the request is invalid or was cancelled
 */
export async function tryWorkers<T>(options: SelectionOptions<T>): Promise<Selection<T>> {
  for (let round = 0; ; round += 1) {
    const workers = (round === 0 ? options.workers : undefined) ?? (await options.directory.read());
    const refused: MeshError[] = [];
    for (const worker of workers.candidates(options.service, options.model))
      try {
        return { answer: await options.call(worker) };
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (options.signal.aborted || !mayAnotherWorkerAccept(error)) throw error;
        refused.push(error);
      }
    const leftMs = options.untilMs - performance.now();
    if (leftMs <= 0 || !refused.every(({ reason }) => TRANSIENT.has(reason))) return { refused };
    if (round === 0) options.onWait();
    const pauseMs = Math.min(leftMs, BACK_OFF_MS[Math.min(round, BACK_OFF_MS.length - 1)] as number);
    await sleep(pauseMs, undefined, { signal: options.signal }).catch(() => {
      throw MeshError.from(options.signal.reason);
    });
  }
}
