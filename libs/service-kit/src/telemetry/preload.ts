/**
 * `node --import @talkmesh/service-kit/preload`: starts OpenTelemetry tracing when OTEL_EXPORTER_OTLP_ENDPOINT is set, and loads
 * nothing otherwise. The kit creates the gRPC and NATS spans itself, so no module is patched. Metrics remain with Prometheus and
 * logs with stdout. The standard OTEL_* variables apply (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, ...) except OTEL_PROPAGATORS: only the W3C
 * trace context is read and written, because baggage would carry what a caller sends into every call and message of the mesh. Turns and
 * chunks that miss a deadline are exported whatever the sampler says, unless it is always_off.
 */
const FLUSH_DEADLINE_MS = 3000;

if (process.env['OTEL_EXPORTER_OTLP_ENDPOINT']) {
  const { core, NodeSDK } = await import('@opentelemetry/sdk-node');
  const { meshSampler } = await import('./sampler.js');
  const sampler = meshSampler(process.env['OTEL_TRACES_SAMPLER'], process.env['OTEL_TRACES_SAMPLER_ARG']);
  const sdk = new NodeSDK({
    instrumentations: [],
    metricReaders: [],
    logRecordProcessors: [],
    sampler,
    // Writes at most 512 characters and 32 members of a tracestate.
    textMapPropagator: new core.W3CTraceContextPropagator(),
  });
  sdk.start();
  process.once('beforeExit', () => {
    setTimeout(() => process.exit(), FLUSH_DEADLINE_MS).unref();
    sdk.shutdown().catch((cause: unknown) => console.error('the last traces were not sent to the collector:', cause));
  });
}
