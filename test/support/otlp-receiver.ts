import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SERVICES, type ServiceName } from '@talkmesh/contracts';
import { ROOMY } from './roomy.js';

/** A span as it was exported. Times are milliseconds since 1970. */
export interface ReceivedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the root of a trace. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly { readonly name: string; readonly atMs: number }[];
  /** Spans that it is linked to. */
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
interface OtlpSpan extends Pick<ReceivedSpan, 'traceId' | 'spanId' | 'name'> {
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly Attribute[];
  readonly events?: readonly { readonly name: string; readonly timeUnixNano: string }[];
  readonly links?: ReceivedSpan['links'];
}
interface OtlpBody {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

const plainValue = ({ value }: Attribute): unknown => {
  const [[kind, plain] = []] = Object.entries(value);
  return kind === 'intValue' ? Number(plain) : plain;
};
const record = (attributes: readonly Attribute[] = []): Record<string, unknown> =>
  Object.fromEntries(attributes.map((attribute) => [attribute.key, plainValue(attribute)]));
const ms = (nanoseconds: string): number => Number(BigInt(nanoseconds) / 1000n) / 1000;

/** Receives traces over OTLP/HTTP with JSON (OpenTelemetry protocol 1.x), as a collector does. */
export class OtlpReceiver implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#receive(request).then(
        () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
        (error: unknown) => response.writeHead(400).end(String(error)),
      );
    });
  }

  static async start(): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver();
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Spans of one trace, by start. */
  trace(traceId: string): ReceivedSpan[] {
    return this.spans.filter((span) => span.traceId === traceId).sort((a, b) => a.startMs - b.startMs);
  }

  async #receive(request: IncomingMessage): Promise<void> {
    for (const { resource, scopeSpans } of (JSON.parse(await text(request)) as OtlpBody).resourceSpans) {
      const service = String(record(resource.attributes)['service.name']);
      for (const { spans } of scopeSpans)
        for (const span of spans)
          this.spans.push({
            service,
            traceId: span.traceId,
            spanId: span.spanId,
            parentSpanId: span.parentSpanId ?? '',
            name: span.name,
            startMs: ms(span.startTimeUnixNano),
            endMs: ms(span.endTimeUnixNano),
            attributes: record(span.attributes),
            events: (span.events ?? []).map(({ name, timeUnixNano }) => ({ name, atMs: ms(timeUnixNano) })),
            links: span.links ?? [],
          });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Environment of every service of a roomy mesh, so that it sends its spans to `url` over OTLP/HTTP with JSON. */
export function tracingEnv(url: string, more: NodeJS.ProcessEnv = {}): Partial<Record<ServiceName, NodeJS.ProcessEnv>> {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_BSP_SCHEDULE_DELAY: '200',
    ...more,
  };
  return Object.fromEntries(SERVICES.map((service) => [service, { ...env, ...ROOMY[service as keyof typeof ROOMY] }]));
}
