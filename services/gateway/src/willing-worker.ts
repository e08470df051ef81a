import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError, type Reason, type WorkerName, type WorkerRecord } from '@talkmesh/contracts';
import type { WorkerDirectory, WorkerSnapshot } from './worker-directory.js';

/** The refusals another worker may not repeat: it is full, draining, lost, slow or broken. */
export const isWorkersFault = (error: MeshError): boolean => error.retryable || error.httpStatus === 500;

/** Refusals of a worker between two processes: a moment later it, or its successor, takes it. */
const PASSING: ReadonlySet<Reason> = new Set(['PEER_LOST', 'DRAINING', 'NATS_UNAVAILABLE']);
const PAUSES_MS = [50, 100, 200, 400];

export interface Asking<T> {
  readonly directory: Pick<WorkerDirectory, 'read'>;
  readonly service: WorkerName;
  /** `name@version` */
  readonly model: string;
  /** What was read of the registry a moment ago. */
  readonly workers?: WorkerSnapshot;
  /** Until when a worker may appear, `Date.now()` milliseconds. */
  readonly untilMs: number;
  readonly signal: AbortSignal;
  /** Called once, when nobody takes it yet. */
  readonly onWait: () => void;
  /** @throws MeshError why the worker does not take it */
  readonly ask: (worker: WorkerRecord) => Promise<T>;
}

export type Asked<T> = { readonly answer: T } | { readonly refused: readonly MeshError[] };

/**
 * Asks the ready workers of a service, best first. While none is there, or those that are there are just going, the registry is read
 * again: a worker that starts anew is gone for a moment, and a caller rather waits than tries again.
 * @returns the first answer, or why nobody gave one. @throws MeshError when the request itself is wrong, or the caller is gone
 */
export async function askWilling<T>(o: Asking<T>): Promise<Asked<T>> {
  for (let round = 0; ; round += 1) {
    const workers = (round === 0 ? o.workers : undefined) ?? (await o.directory.read());
    const refused: MeshError[] = [];
    for (const worker of workers.candidates(o.service, o.model))
      try {
        return { answer: await o.ask(worker) };
      } catch (thrown) {
        const error = MeshError.from(thrown);
        if (o.signal.aborted || !isWorkersFault(error)) throw error;
        refused.push(error);
      }
    const leftMs = o.untilMs - Date.now();
    if (leftMs <= 0 || !refused.every(({ reason }) => PASSING.has(reason))) return { refused };
    if (round === 0) o.onWait();
    const pauseMs = Math.min(leftMs, PAUSES_MS[Math.min(round, PAUSES_MS.length - 1)] as number);
    await sleep(pauseMs, undefined, { signal: o.signal }).catch(() => {
      throw MeshError.from(o.signal.reason);
    });
  }
}
