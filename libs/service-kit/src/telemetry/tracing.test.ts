import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { context, propagation, SamplingDecision, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { core, node, tracing } from '@opentelemetry/sdk-node';
import { newSessionId } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { callUnary, closeClient, connectClient, unary } from '../grpc/grpc.js';
import { KitGrpcServer } from '../grpc/grpc-server.js';
import { createMetrics } from '../metrics.js';
import { startFixtureService } from '../test-fixtures/service.js';
import {
  createTestContext,
  flagsOf,
  moduleUrl,
  type NatsServer,
  startNatsServer,
  type TestContext,
} from '../testing/index.js';
import { waitUntil } from '../waiting.js';
import { meshSampler } from './sampler.js';
import { tracingEnabled, withSpan } from './spans.js';
import { NO_TRACE, runSetUp, StageSpan, setUpLinks } from './stage-span.js';
import { ledgerAfter, type Trail, trailOf } from './trail.js';

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

test('a message carries the span and the ledger of its sender to the handler, without a span of its own', async () => {
  provider.register({ propagator: new core.W3CTraceContextPropagator() });
  assert.equal(tracingEnabled(), true);
  const sessionId = newSessionId();
  let trail: Trail | undefined;
  const subscription = vae.bus.subscribe('latent', sessionId, (_payload, meta) => {
    trail = trailOf(meta);
  });
  await vae.bus.flush();
  const traceId = withSpan('chunk', {}, (span) => {
    score.bus.publish('latent', sessionId, new Uint8Array(1), { 'audio-ingest': 420, 'score-model': 45.12 });
    return span.spanContext().traceId;
  });
  assert.ok(await waitUntil(() => trail !== undefined, 10_000));
  assert.equal(trace.getSpanContext(trail?.context ?? context.active())?.traceId, traceId);
  assert.deepEqual(trail?.ledger, { 'audio-ingest': 420, 'score-model': 45.1 });
  assert.deepEqual(
    exporter.getFinishedSpans().map(({ name }) => name),
    ['chunk'],
  );
  const after = ledgerAfter(trail as Trail, 'vae-decode');
  assert.deepEqual(Object.keys(after), ['audio-ingest', 'score-model', 'vae-decode']);
  subscription.unsubscribe();
});

test('what opens a session is no parent of what happens in it, but its set-up', async () => {
  const opened = await withSpan('open', {}, (span) =>
    runSetUp(async () => {
      await new Promise(setImmediate);
      assert.equal(trace.getActiveSpan(), undefined);
      return { links: setUpLinks(), spanId: span.spanContext().spanId };
    }),
  );
  assert.deepEqual(
    opened.links.map(({ context: { spanId } }) => spanId),
    [opened.spanId],
  );
  assert.deepEqual(setUpLinks(), []);
});

test('with a sampling share of 0 a span of a stage is exported when it is kept, and with it what follows from it', () => {
  const late = new node.NodeTracerProvider({
    sampler: meshSampler('parentbased_traceidratio', '0'),
    spanProcessors: [new tracing.SimpleSpanProcessor(exporter)],
  });
  trace.disable();
  trace.setGlobalTracerProvider(late);
  const stage = (name: string, parent = NO_TRACE): StageSpan =>
    new StageSpan({ name, stage: 'score-model', sessionId: 's', parent, startMs: performance.now() - 50 });
  withSpan('not a stage', {}, () => undefined);
  stage('in time').end();
  const first = stage('late').keep();
  stage('decode', first.context).end();
  first.end();
  const [decode, kept] = exporter.getFinishedSpans();
  assert.deepEqual([decode?.name, kept?.name, exporter.getFinishedSpans().length], ['decode', 'late', 2]);
  assert.equal(decode?.parentSpanContext?.spanId, kept?.spanContext().spanId);
  assert.equal(kept?.attributes['talkmesh.late'], true);
  const tookMs = (kept?.duration[0] ?? 0) * 1000 + (kept?.duration[1] ?? 0) / 1e6;
  assert.ok(tookMs >= 50 && tookMs < 5000, `it began in the past: ${tookMs} ms`);
  trace.disable();
  trace.setGlobalTracerProvider(provider);
});

test('always_off is taken at its word, and the other names choose as the SDK does', () => {
  const ask = (name: string | undefined, argument?: string): number =>
    meshSampler(name, argument).shouldSample(NO_TRACE, '1'.repeat(32), 'x', SpanKind.INTERNAL, {}, []).decision;
  const { NOT_RECORD: no, RECORD_AND_SAMPLED: yes } = SamplingDecision;
  assert.deepEqual(
    ['always_on', 'always_off', 'parentbased_always_off', undefined].map((name) => ask(name)),
    [yes, no, no, yes],
  );
  assert.deepEqual([ask('traceidratio', '1'), ask('parentbased_traceidratio', '0')], [yes, no]);
  assert.match(String(meshSampler('traceidratio', '0.5')), /RecordsStages\{TraceIdRatioBased\{0.5\}\}/);
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
  await using service = startFixtureService(env, ['--import', moduleUrl('./preload', import.meta.url).href]);
  const { grpcAddress } = await service.ready();
  const client = connectClient(v1.StageService, grpcAddress);
  await callUnary(client, 'describe', {}, { deadlineMs: 10_000 });
  closeClient(client);
  service.signal('SIGTERM');
  assert.equal(await service.exit(), 0);
  assert.deepEqual([...new Set(requests)], ['POST /v1/traces']);
  collector.close();
});

test('the preload lets no baggage into the mesh, and at most 512 characters of a tracestate', async () => {
  const sent = {
    traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    tracestate: Array.from({ length: 32 }, (_, i) => `vendor${i}=${'x'.repeat(240)}`).join(','),
    baggage: ['a', 'b'].map((key) => `${key}=${'x'.repeat(4000)}`).join(','),
  };
  const script = `
    import { context } from '@opentelemetry/api';
    import { Metadata } from '@grpc/grpc-js';
    import { extractFromHttp, injectIntoMetadata } from ${JSON.stringify(moduleUrl('./carriers', import.meta.url).href)};
    const metadata = new Metadata();
    context.with(extractFromHttp(${JSON.stringify(sent)}), () => injectIntoMetadata(metadata));
    console.log(JSON.stringify(metadata.getMap()));`;
  const preload = moduleUrl('./preload', import.meta.url);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...flagsOf(preload), '--import', preload.href, '--input-type=module', '--eval', script],
    {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      env: {
        ...process.env,
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
        OTEL_PROPAGATORS: 'tracecontext,baggage',
      },
    },
  );
  const { traceparent, tracestate = '', ...others } = JSON.parse(stdout) as Record<string, string>;
  assert.equal(traceparent, sent.traceparent);
  assert.ok(tracestate.startsWith('vendor0=') && tracestate.length <= 512, `${tracestate.length} characters`);
  assert.deepEqual(others, {});
});
