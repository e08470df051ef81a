/**
 * `node --import @talkmesh/service-kit/preload`: starts OpenTelemetry tracing when OTEL_EXPORTER_OTLP_ENDPOINT is set, and loads
 * nothing otherwise. The kit creates the gRPC and NATS spans itself, so no module is patched. Metrics remain with Prometheus and
 * logs with stdout. The SDK reads the standard OTEL_* variables (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, ...).
 */
const FLUSH_DEADLINE_MS = 3000;

if (process.env['OTEL_EXPORTER_OTLP_ENDPOINT']) {
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  const sdk = new NodeSDK({ instrumentations: [], metricReaders: [], logRecordProcessors: [] });
  sdk.start();
  process.once('beforeExit', () => {
    setTimeout(() => process.exit(), FLUSH_DEADLINE_MS).unref();
    sdk.shutdown().catch((cause: unknown) => console.error('the last traces were not sent to the collector:', cause));
  });
}
