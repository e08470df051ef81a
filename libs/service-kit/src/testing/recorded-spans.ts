import { context, propagation, trace } from '@opentelemetry/api';
import { core, node, tracing } from '@opentelemetry/sdk-node';
import { meshSampler } from '../telemetry/sampler.js';

/** Traces this process as `preload` does, and keeps the spans that would be exported. Only one at a time. */
export class RecordedSpans implements Disposable {
  readonly #exporter = new tracing.InMemorySpanExporter();

  /** @param share of the traces without a parent that are exported, 0 to 1 */
  constructor(share = 1) {
    const provider = new node.NodeTracerProvider({
      sampler: meshSampler('parentbased_traceidratio', String(share)),
      spanProcessors: [new tracing.SimpleSpanProcessor(this.#exporter)],
    });
    provider.register({ propagator: new core.W3CTraceContextPropagator() });
  }

  /** Finished spans of this name, by their end. */
  named(name: string): tracing.ReadableSpan[] {
    return this.#exporter.getFinishedSpans().filter((span) => span.name === name);
  }

  clear(): void {
    this.#exporter.reset();
  }

  [Symbol.dispose](): void {
    for (const api of [trace, context, propagation]) api.disable();
  }
}
