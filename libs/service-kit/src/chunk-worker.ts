import { MeshError } from '@talkmesh/contracts';
import type { RunningService } from './context.js';
import type { Counter, Gauge, Histogram, Metrics } from './metrics.js';
import type { SessionStats, WorkerHandlers } from './worker.js';

/** What a worker holds and may hold, as its admission sees it. */
export interface AdmissionFigures {
  readonly stateBytes: number;
  readonly stateBytesLimit: number;
  readonly utilisationLimit: number;
  utilisation(): number;
}

/** Admission of a worker that makes chunks, read at each scrape. */
function exportAdmissionGauges(metrics: Metrics, admission: AdmissionFigures): void {
  const gauge = (name: string, help: string, read: () => number): void =>
    void Object.assign(metrics.gauge(name, help), {
      collect(this: Gauge) {
        this.set(read());
      },
    });
  gauge('talkmesh_admitted_state_bytes', 'Bytes of state the admitted sessions may hold', () => admission.stateBytes);
  gauge('talkmesh_admitted_state_limit_bytes', 'TALKMESH_STATE_BYTES_MAX', () => admission.stateBytesLimit);
  gauge('talkmesh_expected_utilisation_ratio', 'Share of the time the admitted sessions are expected to take', () =>
    admission.utilisation(),
  );
  gauge('talkmesh_utilisation_limit_ratio', 'TALKMESH_UTILISATION_MAX', () => admission.utilisationLimit);
}

const CHUNK_SECONDS_BUCKETS = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 0.36, 0.48, 0.72, 0.96];

/** Metrics of a worker that makes chunks. */
export interface ChunkMetrics {
  readonly seconds: Histogram;
  readonly chunks: Counter;
  /** step: fewer_steps, held; reason: late, load, idle. */
  readonly degraded: Counter;
}

/** @param stateBytes bytes of model state held, by kind */
export function createChunkMetrics(
  metrics: Metrics,
  stateBytes: () => object,
  admission: AdmissionFigures,
): ChunkMetrics {
  exportAdmissionGauges(metrics, admission);
  const bytes = metrics.gauge('talkmesh_state_bytes', 'Bytes of model state held', ['kind']);
  Object.assign(bytes, {
    collect: () => {
      for (const [kind, value] of Object.entries(stateBytes())) bytes.set({ kind }, value as number);
    },
  });
  return {
    seconds: metrics.histogram(
      'talkmesh_chunk_seconds',
      'Time a chunk waits, is computed and is published',
      ['phase'],
      CHUNK_SECONDS_BUCKETS,
    ),
    chunks: metrics.counter('talkmesh_chunks_total', 'Chunks by what became of them', ['outcome']),
    degraded: metrics.counter('talkmesh_degraded_chunks_total', 'Chunks that were less than they could be', [
      'step',
      'reason',
    ]),
  };
}

/** Counts the sessions an admission refuses. */
export function refusalCounter(metrics: Metrics): (reason: string) => void {
  const refusals = metrics.counter('talkmesh_admission_refusals_total', 'Sessions refused, by what is full', [
    'reason',
  ]);
  return (reason) => refusals.inc({ reason });
}

type Counted = Omit<SessionStats, 'p50Ms' | 'p95Ms'> & { readonly durations: { p(q: number): number } };

/** A stage's counters as StageService tells them. */
export const sessionStats = (calls: readonly Counted[]): SessionStats[] =>
  calls.map(({ durations, ...counts }) => ({ ...counts, p50Ms: durations.p(0.5), p95Ms: durations.p(0.95) }));

/** `failed`: the session is given up. */
type Output = { readonly type: string; readonly sessionId?: string };

export interface ChunkWorkerParts<O extends Output> {
  readonly stage: {
    run(signal: AbortSignal): AsyncIterable<O>;
    stats(): readonly { readonly sessionId: string; readonly epoch: number }[];
    close(sessionId: string): void;
  };
  readonly control: WorkerHandlers & { forget(sessionId: string): void };
  readonly outbound: { output(output: O): void; error(sessionId: string, epoch: number, error: MeshError): void };
  /** Rejects when inference is gone, and every state with it. */
  readonly failed: Promise<unknown>;
  readonly timeline: Disposable;
  /** Let go at the end, in this order, unless inference is gone. */
  readonly resources: readonly AsyncDisposable[];
}

/** Runs a stage that makes chunks until the service ends. When inference is gone every session is told, and the process starts again. */
export function runChunkWorker<O extends Output>(
  parts: ChunkWorkerParts<O>,
): Pick<RunningService, 'worker' | typeof Symbol.asyncDispose> {
  const { stage, control, outbound, failed, timeline, resources } = parts;
  const stop = new AbortController();
  const work = async (): Promise<void> => {
    for await (const output of stage.run(stop.signal)) {
      if (output.type === 'failed' && output.sessionId !== undefined) control.forget(output.sessionId);
      outbound.output(output);
    }
  };
  const working = work();
  let died: unknown;
  failed.catch((error: unknown) => {
    died = error;
    for (const { sessionId, epoch } of stage.stats()) {
      outbound.error(sessionId, epoch, MeshError.from(error));
      control.forget(sessionId);
      stage.close(sessionId);
    }
    process.kill(process.pid, 'SIGTERM');
  });
  return {
    worker: control,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await working;
      timeline[Symbol.dispose]();
      if (died !== undefined) throw died;
      for (const resource of resources) await resource[Symbol.asyncDispose]();
    },
  };
}
