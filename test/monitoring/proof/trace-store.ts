/** A real OpenTelemetry collector with the configuration of this repository, and behind it a real Jaeger that keeps traces in memory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { until } from '@talkmesh/service-kit/testing';
import { GoModules } from '../../../deploy/cluster/go-modules.js';
import { freePort } from '../../support/free-port.js';
import type { ReceivedSpan } from '../../support/otlp-receiver.js';

const modules = new GoModules<'collector' | 'jaeger'>({
  name: 'tracing',
  modules: join(import.meta.dirname, 'modules'),
  packages: { collector: { collector: '.' }, jaeger: { jaeger: 'github.com/jaegertracing/jaeger/cmd/jaeger' } },
});
const COLLECTOR_CONFIG = 'deploy/monitoring/collector.yaml';
const START_MS = 60_000;

/** Builds what is missing. @throws Error with Go's output */
export async function requireTraceStore(say: (line: string) => void): Promise<void> {
  const missing = modules.missingOf();
  if (missing.length === 0) return;
  say(
    `building ${missing.join(' and ')} with Go into ${modules.cache}: 10 to 40 minutes on two cores, about 5 GB of Go's caches, once`,
  );
  await modules.buildMissing(say);
}

interface JaegerSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly operationName: string;
  /** Microseconds. */
  readonly startTime: number;
  readonly duration: number;
  readonly processID: string;
  readonly references: readonly { readonly refType: string; readonly traceID: string; readonly spanID: string }[];
  readonly tags: readonly { readonly key: string; readonly value: unknown }[];
  readonly logs: readonly {
    readonly timestamp: number;
    readonly fields: readonly { readonly key: string; readonly value: unknown }[];
  }[];
}
interface JaegerTrace {
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string }>>;
}

export class TraceStore implements AsyncDisposable {
  /** OTLP/HTTP endpoint of the collector. */
  readonly url: string;
  readonly #query: string;
  readonly #folder: string;
  readonly #processes: ChildProcess[] = [];
  #output = '';

  static async start(): Promise<TraceStore> {
    const folder = await mkdtemp(join(tmpdir(), 'talkmesh-traces-'));
    const [otlp, grpc, query, queryGrpc] = [await freePort(), await freePort(), await freePort(), await freePort()];
    const silent = { telemetry: { metrics: { level: 'none' } } };
    const jaeger = {
      service: {
        ...silent,
        extensions: ['jaeger_storage', 'jaeger_query'],
        pipelines: { traces: { receivers: ['otlp'], exporters: ['jaeger_storage_exporter'] } },
      },
      extensions: {
        jaeger_storage: { backends: { memory: { memory: { max_traces: 10_000 } } } },
        jaeger_query: {
          storage: { traces: 'memory' },
          http: { endpoint: `127.0.0.1:${query}` },
          grpc: { endpoint: `127.0.0.1:${queryGrpc}` },
        },
      },
      receivers: { otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` } } } },
      exporters: { jaeger_storage_exporter: { trace_storage: 'memory' } },
    };
    const here = {
      receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${otlp}` } } } },
      exporters: { otlp: { endpoint: `127.0.0.1:${grpc}`, tls: { insecure: true } } },
      service: { ...silent, pipelines: { traces: { exporters: ['debug', 'otlp'] } } },
    };
    // JSON is YAML.
    await writeFile(join(folder, 'jaeger.yaml'), JSON.stringify(jaeger));
    await writeFile(join(folder, 'collector.yaml'), JSON.stringify(here));
    const store = new TraceStore(folder, `http://127.0.0.1:${otlp}`, `http://127.0.0.1:${query}`);
    store.#spawn(modules.pathOf('jaeger'), ['--config', join(folder, 'jaeger.yaml')]);
    store.#spawn(modules.pathOf('collector'), [
      ...['--config', resolve(COLLECTOR_CONFIG)],
      ...['--config', join(folder, 'collector.yaml')],
    ]);
    try {
      await store.#answers('Jaeger', `${store.#query}/api/services`);
      await store.#answers('the collector', `${store.url}/v1/traces`);
    } catch (error) {
      await store[Symbol.asyncDispose]();
      throw new Error(`the trace store did not start:\n${store.#output.slice(-4000)}`, { cause: error });
    }
    return store;
  }

  private constructor(folder: string, url: string, query: string) {
    this.#folder = folder;
    this.url = url;
    this.#query = query;
  }

  /** Spans of one trace as Jaeger has them; empty while it has none. */
  async trace(traceId: string): Promise<ReceivedSpan[]> {
    const response = await fetch(`${this.#query}/api/traces/${traceId}`);
    if (response.status === 404) return [];
    const { data } = (await response.json()) as { data: readonly JaegerTrace[] };
    return data.flatMap((trace) => trace.spans.map((span) => spanOf(span, trace.processes)));
  }

  /** Ids of the traces with a span of that name and attributes, newest first. */
  async find(service: string, operation: string, tags: Readonly<Record<string, string>>): Promise<string[]> {
    const wanted = { service, operation, tags: JSON.stringify(tags), limit: '100', lookback: '1h' };
    const response = await fetch(`${this.#query}/api/traces?${new URLSearchParams(wanted)}`);
    const { data } = (await response.json()) as { data: readonly { readonly traceID: string }[] | null };
    return (data ?? []).map(({ traceID }) => traceID);
  }

  #spawn(program: string, args: readonly string[]): void {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => {
        this.#output = (this.#output + data.toString()).slice(-20_000);
      });
    this.#processes.push(child);
  }

  /** Any answer will do: the collector's endpoint takes no GET. */
  async #answers(what: string, url: string): Promise<void> {
    const isThere = (): Promise<boolean> => {
      if (this.#processes.some(({ exitCode }) => exitCode !== null)) throw new Error(`a process of ${what} has ended`);
      return fetch(url).then(
        () => true,
        () => false,
      );
    };
    await until(what, isThere, START_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#processes) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGKILL');
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function spanOf(span: JaegerSpan, processes: JaegerTrace['processes']): ReceivedSpan {
  const parent = span.references.find(({ refType }) => refType === 'CHILD_OF');
  return {
    service: processes[span.processID]?.serviceName ?? '',
    traceId: span.traceID,
    spanId: span.spanID,
    parentSpanId: parent?.traceID === span.traceID ? parent.spanID : '',
    name: span.operationName,
    startMs: span.startTime / 1000,
    endMs: (span.startTime + span.duration) / 1000,
    attributes: Object.fromEntries(span.tags.map(({ key, value }) => [key, value])),
    events: span.logs.map(({ timestamp, fields }) => ({
      name: String(fields.find(({ key }) => key === 'event')?.value ?? ''),
      atMs: timestamp / 1000,
    })),
    links: span.references
      .filter(({ traceID }) => traceID !== span.traceID)
      .map(({ traceID, spanID }) => ({ traceId: traceID, spanId: spanID })),
  };
}
