/** Whose trace a public request belongs to. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { v1 } from '@talkmesh/contracts/protos';
import { closeClient, connectClient } from '@talkmesh/service-kit';
import { RecordedSpans, until } from '@talkmesh/service-kit/testing';
import { API_KEY, FakeMesh } from './testing/fake-mesh.js';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN_ID = '00f067aa0ba902b7';
const SENT = { traceparent: `00-${TRACE_ID}-${SPAN_ID}-01`, tracestate: 'vendor=1' };
const REST = 'POST /v1/sessions/{id}/say';
const GRPC = 'talkmesh.v1.SessionService/SaySession';
const WORKER = 'talkmesh.v1.ConversationService/Say';

let mesh: FakeMesh;
let session: string;
let token: string;
before(async () => {
  mesh = await FakeMesh.start();
  ({ session, token } = await mesh.session());
});
after(() => mesh[Symbol.asyncDispose]());

async function sayByRest(bearer: string, headers: Record<string, string> = SENT): Promise<void> {
  const said = await mesh.call('POST', `/v1/sessions/${session}/say`, { bearer, headers, body: { text: 'hi' } });
  assert.ok(said.status < 300, `${said.status}`);
}

/** As a program that is not traced by this process: the call's own client span would replace the header. */
async function sayByGrpc(bearer: string): Promise<void> {
  const client = connectClient(v1.SessionService, mesh.gateway.grpcAddress);
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${bearer}`);
  for (const [name, value] of Object.entries(SENT)) metadata.set(name, value);
  try {
    await new Promise<void>((resolve, reject) => {
      client.saySession({ sessionId: session, text: 'hi' }, metadata, (error: Error | null) =>
        error === null ? resolve() : reject(error),
      );
    });
  } finally {
    closeClient(client);
  }
}

async function spanOf(spans: RecordedSpans, name: string) {
  await until(name, () => spans.named(name).length > 0);
  const [span] = spans.named(name);
  assert.ok(span);
  return span;
}

for (const [what, name, say] of [
  ['REST', REST, sayByRest],
  ['gRPC', GRPC, sayByGrpc],
] as const)
  test(`${what}: the trace of an API key is continued, that of a session token is only linked`, async () => {
    using spans = new RecordedSpans();
    await say(API_KEY);
    const byKey = await spanOf(spans, name);
    assert.deepEqual([byKey.spanContext().traceId, byKey.parentSpanContext?.spanId], [TRACE_ID, SPAN_ID]);
    assert.deepEqual(byKey.links, []);
    assert.equal((await spanOf(spans, WORKER)).spanContext().traceId, TRACE_ID);

    spans.clear();
    await say(token);
    const byToken = await spanOf(spans, name);
    const { traceId } = byToken.spanContext();
    assert.notEqual(traceId, TRACE_ID);
    assert.equal(byToken.parentSpanContext, undefined);
    assert.equal(byToken.spanContext().traceState, undefined);
    const [link, ...more] = byToken.links;
    assert.deepEqual([link?.context.traceId, link?.context.spanId, more], [TRACE_ID, SPAN_ID, []]);
    assert.equal(link?.context.traceState, undefined, 'what the caller wrote there is not exported');
    assert.equal((await spanOf(spans, WORKER)).spanContext().traceId, traceId, 'the mesh keeps the context');
  });

test('a session token that sends no trace has a trace without links', async () => {
  using spans = new RecordedSpans();
  await sayByRest(token, {});
  const span = await spanOf(spans, REST);
  assert.deepEqual([span.parentSpanContext, span.links], [undefined, []]);
});

test('a request without a credential begins a trace of its own', async () => {
  using spans = new RecordedSpans();
  const path = '/openapi.json';
  assert.equal((await mesh.call('GET', path, { bearer: undefined, headers: SENT })).status, 200);
  const span = await spanOf(spans, `GET ${path}`);
  assert.notEqual(span.spanContext().traceId, TRACE_ID);
  assert.deepEqual([span.parentSpanContext, span.links[0]?.context.spanId], [undefined, SPAN_ID]);
});

test('a refused gRPC caller has no span', async () => {
  using spans = new RecordedSpans();
  await assert.rejects(sayByGrpc('not-a-key-of-this-one'));
  await sayByGrpc(token);
  await spanOf(spans, GRPC);
  assert.equal(spans.named(GRPC).length, 1);
});

test('with a sampling share of 0 only an API key can have its request exported', async () => {
  using spans = new RecordedSpans(0);
  for (const say of [sayByRest, sayByGrpc]) await say(token);
  for (const say of [sayByRest, sayByGrpc]) await say(API_KEY);
  for (const name of [REST, GRPC]) {
    const span = await spanOf(spans, name);
    assert.deepEqual([spans.named(name).length, span.spanContext().traceId], [1, TRACE_ID]);
  }
  assert.equal(spans.named(WORKER).length, 2);
});
