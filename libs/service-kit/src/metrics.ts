import { TraceFlags, trace } from '@opentelemetry/api';
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type Metric,
  type ObserveDataWithExemplar,
  type OpenMetricsContentType,
  Registry,
} from 'prom-client';
import { queueDepths, queueDrops } from './bounded-queue.js';

export type { Counter, Gauge, Histogram, Registry };

/** Values by label. */
export type KnownLabels = Readonly<Record<string, readonly string[]>>;

/** Metrics of a service. Names start with `talkmesh_`, durations are in seconds, sizes in bytes. No label may identify a session. */
export interface Metrics {
  readonly registry: Registry<OpenMetricsContentType>;
  /** @param known all values of all labels: their series begin at 0, because Prometheus sees no increase in a series that begins with 1 */
  counter(name: string, help: string, labels?: readonly string[], known?: KnownLabels): Counter;
  histogram(name: string, help: string, labels?: readonly string[], buckets?: readonly number[]): Histogram;
  gauge(name: string, help: string, labels?: readonly string[]): Gauge;
}

/** Buckets from 1 ms to 5 s, dense around the 480 ms of a chunk. */
export const SECONDS_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.48, 0.6, 1, 2, 5,
] as const;

const SESSION_LABEL = /^(sid|session|session_?id)$/i;

class PromMetrics implements Metrics {
  /** OpenMetrics is the only format that carries exemplars. */
  readonly registry = new Registry<OpenMetricsContentType>();
  readonly #known = new Map<string, { metric: Metric; kind: string }>();

  constructor() {
    this.registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  }

  counter(name: string, help: string, labels: readonly string[] = [], known?: KnownLabels): Counter {
    const counter = this.#once('counter', name, labels, () => new Counter({ ...this.#base(name, help, labels) }));
    for (const combination of known === undefined ? [] : combinations(known)) counter.inc(combination, 0);
    return counter;
  }

  histogram(
    name: string,
    help: string,
    labels: readonly string[] = [],
    buckets: readonly number[] = SECONDS_BUCKETS,
  ): Histogram {
    return this.#once('histogram', name, labels, () =>
      withExemplars(new Histogram({ ...this.#base(name, help, labels), buckets: [...buckets], enableExemplars: true })),
    );
  }

  gauge(name: string, help: string, labels: readonly string[] = []): Gauge {
    return this.#once('gauge', name, labels, () => new Gauge({ ...this.#base(name, help, labels) }));
  }

  #base(name: string, help: string, labels: readonly string[]) {
    return { name, help, labelNames: [...labels], registers: [this.registry] };
  }

  #once<M extends Metric>(type: string, name: string, labels: readonly string[], make: () => M): M {
    const kind = `${type}(${labels.join(',')})`;
    const known = this.#known.get(name);
    if (known !== undefined) {
      if (known.kind !== kind) throw new Error(`metric ${name} exists as ${known.kind}, not as ${kind}`);
      return known.metric as M;
    }
    if (!/^talkmesh_[a-z0-9_]+$/.test(name))
      throw new Error(`metric ${name}: a name starts with talkmesh_ and has only lower case letters, digits and _`);
    const session = labels.find((label) => SESSION_LABEL.test(label));
    if (session !== undefined)
      throw new Error(`metric ${name}: label ${session} would create one time series per session`);
    const metric = make();
    this.#known.set(name, { metric, kind });
    return metric;
  }
}

/** Every choice of one value for each label. */
const combinations = (known: KnownLabels): Record<string, string>[] =>
  Object.entries(known).reduce<Record<string, string>[]>(
    (found, [label, values]) => found.flatMap((one) => values.map((value) => ({ ...one, [label]: value }))),
    [{}],
  );

type Labels = Partial<Record<string, string | number>>;

/** Observations inside an exported span carry its trace, so that a slow bucket leads to one turn or chunk that fell into it. */
function withExemplars(histogram: Histogram): Histogram {
  const observe = histogram.observe.bind(histogram) as unknown as (data: ObserveDataWithExemplar<string>) => void;
  const observeTraced = (first: Labels | number | ObserveDataWithExemplar<string>, second?: number): void => {
    const span = trace.getActiveSpan()?.spanContext();
    const isExported = span !== undefined && (span.traceFlags & TraceFlags.SAMPLED) !== 0;
    const exemplar = isExported ? { exemplarLabels: { trace_id: span.traceId } } : {};
    if (typeof first === 'number') observe({ value: first, ...exemplar });
    else if (second !== undefined) observe({ labels: first as Labels, value: second, ...exemplar });
    // prom-client's timers pass an object when exemplars are enabled.
    else observe({ ...(first as ObserveDataWithExemplar<string>), ...exemplar });
  };
  return Object.assign(histogram, { observe: observeTraced });
}

/** Creates a metrics registry with Node's default metrics and with depth and drops of all BoundedQueues of the process. */
export function createMetrics(options: { defaults?: boolean } = {}): Metrics {
  const metrics = new PromMetrics();
  if (options.defaults ?? true) collectDefaultMetrics({ register: metrics.registry });
  new Gauge({
    name: 'talkmesh_queue_depth',
    help: 'Items waiting in bounded queues',
    labelNames: ['queue'],
    registers: [metrics.registry],
    collect() {
      this.reset();
      for (const [queue, depth] of queueDepths()) this.set({ queue }, depth);
    },
  });
  new Counter({
    name: 'talkmesh_queue_dropped_total',
    help: 'Items lost by bounded queues: full, refused (never-drop) or cleared',
    labelNames: ['queue', 'reason'],
    registers: [metrics.registry],
    collect() {
      this.reset();
      for (const { queue, reason, count } of queueDrops()) this.inc({ queue, reason }, count);
    },
  });
  return metrics;
}

/** Registers a gauge that is read at each scrape. */
export function readGauge(metrics: Metrics, name: string, help: string, read: () => number): void {
  Object.assign(metrics.gauge(name, help), {
    collect(this: Gauge) {
      this.set(read());
    },
  });
}

/** Exports sessions and capacity of a worker. */
export function exportSessionGauges(metrics: Metrics, worker: { readonly capacity: number; sessions(): number }): void {
  readGauge(metrics, 'talkmesh_sessions', 'Sessions that this worker holds', () => worker.sessions());
  readGauge(metrics, 'talkmesh_sessions_capacity', 'Most sessions that this worker admits', () => worker.capacity);
}
