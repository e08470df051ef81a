import { MeshError } from '@talkmesh/contracts';
import {
  type Counter,
  type Histogram,
  type Metrics,
  type RunningService,
  readGauge,
  type SessionStats,
  type WorkerHandlers,
} from '@talkmesh/service-kit';

/** State and load that a worker has admitted, and their limits. */
export interface AdmissionFigures {
  readonly stateBytes: number;
  readonly stateBytesLimit: number;
  readonly utilisationLimit: number;
  utilisation(): number;
}

/** Registers gauges that read the admission at each scrape. */
function exportAdmissionGauges(metrics: Metrics, admission: AdmissionFigures): void {
  const gauge = (name: string, help: string, read: () => number): void => readGauge(metrics, name, help, read);
  gauge('talkmesh_admitted_state_bytes', 'Bytes of state the admitted sessions may hold', () => admission.stateBytes);
  gauge('talkmesh_admitted_state_limit_bytes', 'TALKMESH_STATE_BYTES_MAX', () => admission.stateBytesLimit);
  gauge(
    'talkmesh_expected_utilisation_ratio',
    'Share of the time that the admitted sessions are expected to take',
    () => admission.utilisation(),
  );
  gauge('talkmesh_utilisation_limit_ratio', 'TALKMESH_UTILISATION_MAX', () => admission.utilisationLimit);
}

const CHUNK_SECONDS_BUCKETS = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 0.36, 0.48, 0.72, 0.96];

/** Metrics of a chunk worker. */
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
    chunks: metrics.counter('talkmesh_chunks_total', 'Chunks by outcome', ['outcome']),
    degraded: metrics.counter('talkmesh_degraded_chunks_total', 'Chunks with fewer steps or a held frame', [
      'step',
      'reason',
    ]),
  };
}

/** Counts the sessions an admission refuses. */
export function refusalCounter(metrics: Metrics): (reason: string) => void {
  const refusals = metrics.counter(
    'talkmesh_admission_refusals_total',
    'Sessions refused, by the limit that was reached',
    ['reason'],
    { reason: ['state_bytes', 'utilisation'] },
  );
  return (reason) => refusals.inc({ reason });
}

/** Durations of one session's chunks, milliseconds; p(0.5) is the median, 0 while there are none. */
export interface Durations {
  add(ms: number): void;
  p(q: number): number;
}

export type CountedSession = Omit<SessionStats, 'p50Ms' | 'p95Ms'> & { readonly durations: Durations };

/** The counters of a scheduler as StageService reports them. */
export const sessionStats = (sessions: readonly CountedSession[]): SessionStats[] =>
  sessions.map(({ durations, ...counts }) => ({ ...counts, p50Ms: durations.p(0.5), p95Ms: durations.p(0.95) }));

/** `failed`: the session ends. */
type Output = { readonly type: string; readonly sessionId?: string };

export interface ChunkWorkerParts<O extends Output> {
  readonly scheduler: {
    run(signal: AbortSignal): AsyncIterable<O>;
    stats(): readonly { readonly sessionId: string; readonly epoch: number }[];
    close(sessionId: string): void;
  };
  readonly handlers: WorkerHandlers;
  /** Stops listening to a session that failed. */
  readonly sessions: { forget(sessionId: string): void };
  readonly outbound: { output(output: O): void; error(sessionId: string, epoch: number, error: MeshError): void };
  /** Rejects when inference has failed: the state of every session is lost. */
  readonly failed: Promise<unknown>;
  readonly timeline: Disposable;
  /** Disposed of at the end, in this order, unless inference has failed. */
  readonly resources: readonly AsyncDisposable[];
}

/** Runs a scheduler until the service ends. When inference fails, every session gets an `error` event and the process exits, to be restarted. */
export function runChunkWorker<O extends Output>(
  parts: ChunkWorkerParts<O>,
): Pick<RunningService, 'worker' | typeof Symbol.asyncDispose> {
  const { scheduler, handlers, sessions, outbound, failed, timeline, resources } = parts;
  const stop = new AbortController();
  const work = async (): Promise<void> => {
    for await (const output of scheduler.run(stop.signal)) {
      if (output.type === 'failed' && output.sessionId !== undefined) sessions.forget(output.sessionId);
      outbound.output(output);
    }
  };
  const working = work();
  let failure: unknown;
  failed.catch((error: unknown) => {
    failure = error;
    for (const { sessionId, epoch } of scheduler.stats()) {
      outbound.error(sessionId, epoch, MeshError.from(error));
      sessions.forget(sessionId);
      scheduler.close(sessionId);
    }
    process.kill(process.pid, 'SIGTERM');
  });
  return {
    worker: handlers,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await working;
      timeline[Symbol.dispose]();
      if (failure !== undefined) throw failure;
      for (const resource of resources) await resource[Symbol.asyncDispose]();
    },
  };
}
