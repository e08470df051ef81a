import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { core, node, tracing } from '@opentelemetry/sdk-node';
import { newSessionId, v1 } from '@talkmesh/contracts';
import { callUnary, closeClient, connectClient, unary } from '../grpc/grpc.js';
import { KitGrpcServer } from '../grpc/grpc-server.js';
import { createMetrics } from '../metrics.js';
import { startFixtureService } from '../test-fixtures/service.js';
import { createTestContext, type NatsServer, startNatsServer, type TestContext } from '../testing/index.js';
import { waitUntil } from '../waiting.js';
import { tracingEnabled, withSpan } from './spans.js';

let nats: NatsServer;
let score: TestContext<object>;
let vae: TestContext<object>;
const exporter = new tracing.InMemorySpanExporter();
const provider = new node.NodeTracerProvider({ spanProcessors: [new tracing.SimpleSpanProcessor(exporter)] });

before(async () => {
  nats = await startNatsServer();
  score = await createTestContext('score-model', undefined, nats.url);
  vae = await createTestContext('vae-decode', undefined, nats.url);
});
after(async () => {
  await score[Symbol.asyncDispose]();
  await vae[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});
beforeEach(() => exporter.reset());

async function headersOf(publish: (sessionId: string) => void): Promise<string[]> {
  const sessionId = newSessionId();
  let keys: string[] | undefined;
  const subscription = vae.bus.subscribe('latent', sessionId, (_payload, { headers }) => {
    keys = headers?.keys();
  });
  await vae.bus.flush();
  publish(sessionId);
  assert.ok(await waitUntil(() => keys !== undefined, 10_000));
  subscription.unsubscribe();
  return keys ?? [];
}

test('without an SDK the headers contain only the sender, and no span is exported', async () => {
  assert.equal(tracingEnabled(), false);
  assert.deepEqual(await headersOf((sessionId) => score.bus.publish('latent', sessionId, new Uint8Array(1))), [
    'tm-instance',
  ]);
  assert.equal(await withSpan('x', {}, async () => 7), 7);
});

test('a chunk has one trace from its sender to the handler of the receiver', async () => {
  provider.register({ propagator: new core.W3CTraceContextPropagator() });
  assert.equal(tracingEnabled(), true);
  const sessionId = newSessionId();
  let handled: string | undefined;
  const subscription = vae.bus.subscribe('latent', sessionId, () => {
    handled = trace.getActiveSpan()?.spanContext().traceId;
  });
  await vae.bus.flush();
  const traceId = withSpan('chunk', { 'talkmesh.chunk': 3 }, (span) => {
    score.bus.publish('latent', sessionId, new Uint8Array(1));
    return span.spanContext().traceId;
  });
  assert.ok(await waitUntil(() => handled !== undefined, 10_000));
  assert.equal(handled, traceId);
  const [send, chunk, processed] = exporter.getFinishedSpans();
  assert.deepEqual(
    [send?.name, chunk?.name, processed?.name],
    ['send tm.v1.{sid}.latent', 'chunk', 'process tm.v1.{sid}.latent'],
  );
  assert.deepEqual([send?.kind, processed?.kind], [SpanKind.PRODUCER, SpanKind.CONSUMER]);
  assert.equal(send?.parentSpanContext?.spanId, chunk?.spanContext().spanId);
  assert.equal(processed?.parentSpanContext?.spanId, send?.spanContext().spanId);
  assert.equal(processed?.attributes['sessionId'], sessionId);
  subscription.unsubscribe();
});

test('playhead messages carry the trace context without a span of their own', async () => {
  await using egress = await createTestContext('webrtc-egress', undefined, nats.url);
  const sessionId = newSessionId();
  let handled: string | undefined;
  score.bus.subscribe('playhead', sessionId, () => {
    handled = trace.getSpanContext(context.active())?.traceId;
  });
  await score.bus.flush();
  const traceId = withSpan('play', {}, (span) => {
    egress.bus.publish('playhead', sessionId, new Uint8Array(1));
    return span.spanContext().traceId;
  });
  assert.ok(await waitUntil(() => handled !== undefined, 10_000));
  assert.equal(handled, traceId);
  assert.deepEqual(
    exporter.getFinishedSpans().map(({ name }) => name),
    ['play'],
  );
});

test('a gRPC call has a client span and a server span in one trace; failures set the error status', async () => {
  const say = unary(async () => {
    throw new Error('a bug');
  });
  const implementation = { Say: say, Interrupt: unary(async () => ({})) };
  const server = new KitGrpcServer(
    [{ definition: v1.ConversationService.service, implementation }],
    createMetrics({ defaults: false }),
  );
  const port = await server.listen('127.0.0.1', 0);
  const client = connectClient(v1.ConversationService, `127.0.0.1:${port}`);
  await assert.rejects(callUnary(client, 'say', { sessionId: 's', text: 'x' }, { deadlineMs: 10_000 }), {
    reason: 'INTERNAL',
  });
  const [serverSpan, clientSpan] = exporter.getFinishedSpans();
  assert.deepEqual([serverSpan?.name, clientSpan?.name], ['talkmesh.v1.ConversationService/Say', 'call say']);
  assert.equal(serverSpan?.parentSpanContext?.spanId, clientSpan?.spanContext().spanId);
  assert.equal(serverSpan?.status.code, SpanStatusCode.ERROR);
  closeClient(client);
  await server.close(1000, new AbortController().signal);
});

test('withSpan ends its span when fn throws or rejects', async () => {
  const boom = () => {
    throw new Error('boom');
  };
  assert.throws(() => withSpan('sync', {}, boom), /boom/);
  await assert.rejects(
    withSpan('async', {}, async () => boom()),
    /boom/,
  );
  assert.deepEqual(
    exporter.getFinishedSpans().map(({ name, status }) => [name, status.message]),
    [
      ['sync', 'boom'],
      ['async', 'boom'],
    ],
  );
  trace.disable();
  context.disable();
  propagation.disable();
});

test('the preload sends spans of a real process to the collector', async () => {
  const requests: string[] = [];
  const collector = createServer((request: IncomingMessage, response) => {
    requests.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => response.end());
  }).listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const { port } = collector.address() as { port: number };
  const env = {
    TALKMESH_NATS_URL: nats.url,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
  };
  await using service = startFixtureService(env, ['--import', fileURLToPath(new URL('./preload.ts', import.meta.url))]);
  const { grpcAddress } = await service.ready();
  const client = connectClient(v1.StageService, grpcAddress);
  await callUnary(client, 'describe', {}, { deadlineMs: 10_000 });
  closeClient(client);
  service.signal('SIGTERM');
  assert.equal(await service.exit(), 0);
  assert.deepEqual([...new Set(requests)], ['POST /v1/traces']);
  collector.close();
});
