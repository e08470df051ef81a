/** One trace per turn, over NATS and gRPC, through the six services of a real mesh. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SERVICES } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { CallTap } from '../support/call-tap.js';
import { firstAvatar } from '../support/nano.js';
import { OtlpReceiver, type ReceivedSpan, tracingEnv } from '../support/otlp-receiver.js';
import { rest } from '../support/record-call.js';
import { readMetrics, total } from '../support/service-metrics.js';
import { concatenate, silence, speak } from '../support/speech.js';
import { watchCall } from '../support/watch-call.js';

const PATIENCE_MS = 90_000;

let receiver: OtlpReceiver;
let mesh: Mesh;
before(async () => {
  receiver = await OtlpReceiver.start();
  mesh = await startMesh({ quiet: true, env: tracingEnv(receiver.url) });
});
after(async () => {
  await mesh?.stop();
  await mesh?.removeLogs();
  await receiver?.[Symbol.asyncDispose]();
});

/** Follows the session's events as a program does. @returns ends it */
async function followEvents(sessionId: string): Promise<() => void> {
  const stop = new AbortController();
  const answer = await fetch(new URL(`/v1/sessions/${sessionId}/events`, mesh.httpUrl), {
    headers: { authorization: `Bearer ${mesh.apiKey}` },
    signal: stop.signal,
  });
  assert.equal(answer.status, 200);
  answer.body?.pipeTo(new WritableStream(), { signal: stop.signal }).catch(() => undefined);
  return () => stop.abort();
}

const turnOf = (sessionId: string, source: string): ReceivedSpan | undefined =>
  receiver.spans.find(
    ({ name, attributes }) =>
      name === 'turn' && attributes['sessionId'] === sessionId && attributes['talkmesh.source'] === source,
  );

const ownedBy = (spans: readonly ReceivedSpan[], name: string): ReceivedSpan[] =>
  spans.filter((span) => span.name === name);

/** Every span follows from the one that it should. */
function assertChunks(spans: readonly ReceivedSpan[], turn: ReceivedSpan): void {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const parentOf = (span: ReceivedSpan | undefined) => byId.get(span?.parentSpanId ?? '');
  const generated = ownedBy(spans, 'generate');
  assert.ok(generated.length >= 2, `${generated.length} chunks`);
  for (const span of generated) {
    assert.equal(span.service, 'score-model');
    assert.equal(parentOf(span)?.spanId, turn.spanId);
  }
  const played = ownedBy(spans, 'play');
  assert.ok(played.length >= 2, `${played.length} chunks were played`);
  for (const span of played) {
    const decoded = parentOf(span);
    const source = parentOf(decoded);
    assert.deepEqual([span.service, decoded?.service, decoded?.name], ['webrtc-egress', 'vae-decode', 'decode']);
    assert.equal(source?.name, 'generate');
    const chunks = [span, decoded, source].map((one) => one?.attributes['talkmesh.chunk']);
    assert.equal(new Set(chunks).size, 1, `${chunks}`);
    assert.ok(source.startMs <= (decoded?.startMs ?? 0) && (decoded?.startMs ?? 0) <= span.startMs);
  }
}

test('a spoken question and its answer are one trace of all six services, which names the session’s set-up', {
  timeout: 300_000,
}, async (t) => {
  await using call = await watchCall(mesh, firstAvatar.id, { provider: 'parrot' });
  await using tap = await CallTap.open(mesh, call.sessionId);
  t.after(await followEvents(call.sessionId));
  await until('the picture', () => (tap.playhead?.chunk ?? 0) >= 2, PATIENCE_MS);
  await call.say(concatenate(speak('What is the weather in Oslo today?'), silence(1.5)));
  const isTold = (): boolean =>
    receiver.spans.some(
      ({ name, attributes }) => name === 'tell turn.finished' && attributes['sessionId'] === call.sessionId,
    );
  await until('the spans of the turn', () => turnOf(call.sessionId, 'voice') !== undefined && isTold(), PATIENCE_MS);

  const turn = turnOf(call.sessionId, 'voice') as ReceivedSpan;
  const spans = receiver.trace(turn.traceId);
  assert.deepEqual(new Set(spans.map(({ service }) => service)), new Set(SERVICES));
  const roots = spans.filter(({ parentSpanId }) => parentSpanId === '');
  assert.deepEqual(
    roots.map(({ name, service }) => [name, service]),
    [['hear', 'audio-ingest']],
    'the trace begins with what the user said',
  );
  assert.equal(turn.parentSpanId, roots[0]?.spanId);
  assert.equal(turn.attributes['talkmesh.outcome'], 'played');
  assert.ok(turn.events.some(({ name }) => name === 'first frame played'));
  const [reply] = ownedBy(spans, 'reply');
  assert.deepEqual([reply?.parentSpanId, reply?.service], [turn.spanId, 'audio-llm-bridge']);
  assertChunks(spans, turn);
  for (const span of spans.filter(({ name }) => name.startsWith('tell ')))
    assert.deepEqual([span.service, span.parentSpanId], ['gateway', turn.spanId]);

  const [setUp] = turn.links;
  const opened = receiver.spans.find(({ spanId }) => spanId === setUp?.spanId);
  assert.equal(opened?.name, 'talkmesh.v1.StageService/Open');
  const opening = receiver.trace(opened?.traceId ?? '');
  assert.equal(opening.find(({ parentSpanId }) => parentSpanId === '')?.name, 'POST /v1/sessions');
  assert.equal(opening.filter(({ name }) => name === 'talkmesh.v1.StageService/Open').length, 5);

  const shares = SERVICES.slice(1).map((service) => turn.attributes[`talkmesh.${service}_ms`]);
  assert.ok(
    shares.every((ms) => typeof ms === 'number' && ms >= 0),
    `the shares of the stages: ${shares}`,
  );
  const bridge = await readMetrics(mesh, 'audio-llm-bridge');
  for (const stage of [...SERVICES.slice(1), 'transport'])
    assert.equal(total(bridge, 'talkmesh_turn_stage_seconds_count', `stage="${stage}"`), 1, stage);
});

test('a line that is said belongs to the trace of the program that sends it', { timeout: 300_000 }, async () => {
  await using call = await watchCall(mesh, firstAvatar.id);
  await using tap = await CallTap.open(mesh, call.sessionId);
  await until('the picture', () => (tap.playhead?.chunk ?? 0) >= 2, PATIENCE_MS);
  const [traceId, spanId] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'];
  const headers = { traceparent: `00-${traceId}-${spanId}-01` };
  const said = await rest(mesh, 'POST', `/v1/sessions/${call.sessionId}/say`, { text: 'Good morning.' }, headers);
  assert.ok(said.status < 300, `${said.status}`);
  await until('the turn', () => turnOf(call.sessionId, 'text') !== undefined, PATIENCE_MS);
  const spans = receiver.trace(traceId);
  const named = (name: string) => spans.find((span) => span.name === name);
  const turn = named('turn') as ReceivedSpan;
  const server = named('talkmesh.v1.ConversationService/Say');
  const client = named('call say');
  const request = named('POST /v1/sessions/{id}/say');
  assert.deepEqual(
    [turn.parentSpanId, server?.parentSpanId, client?.parentSpanId, request?.parentSpanId],
    [server?.spanId, client?.spanId, request?.spanId, spanId],
  );
  assertChunks(spans, turn);
});

test('a turn whose bridge is killed is closed in its trace by the next process', { timeout: 300_000 }, async () => {
  await using call = await watchCall(mesh, firstAvatar.id);
  await using tap = await CallTap.open(mesh, call.sessionId);
  await until('the picture', () => (tap.playhead?.chunk ?? 0) >= 2, PATIENCE_MS);
  await call.say(concatenate(...Array.from({ length: 3 }, () => speak('One, two, three, four, five, six, seven.'))));
  await until('the voice', () => (tap.playhead?.turnPlayedMs ?? 0) > 500, PATIENCE_MS);
  assert.equal(turnOf(call.sessionId, 'external'), undefined, 'the turn goes on');
  process.kill(mesh.services.find(({ name }) => name === 'audio-llm-bridge')?.pid as number, 'SIGKILL');
  const closing = (): ReceivedSpan | undefined =>
    ownedBy(receiver.spans, 'turn').find(({ attributes }) => attributes['sessionId'] === call.sessionId);
  await until('the end of the turn', () => closing() !== undefined, PATIENCE_MS);
  const turn = closing() as ReceivedSpan;
  assert.deepEqual([turn.attributes['talkmesh.taken_over'], turn.attributes['talkmesh.outcome']], [true, 'played']);
  const spans = receiver.trace(turn.traceId);
  for (const name of ['reply', 'generate'])
    assert.equal(ownedBy(spans, name)[0]?.parentSpanId, turn.parentSpanId, `${name} is below the span that was lost`);
});

for (const [service, name] of [
  ['score-model', 'generate'],
  ['vae-decode', 'decode'],
] as const)
  test(`after ${service} was killed, what the next process reads back belongs to the turn`, {
    timeout: 300_000,
  }, async () => {
    await using call = await watchCall(mesh, firstAvatar.id);
    await using tap = await CallTap.open(mesh, call.sessionId);
    await until('the picture', () => (tap.playhead?.chunk ?? 0) >= 2, PATIENCE_MS);
    // All of it has been sent when the worker is lost.
    await call.say(concatenate(...Array.from({ length: 3 }, () => speak('One, two, three, four, five, six, seven.'))));
    await until('the voice', () => (tap.playhead?.turnPlayedMs ?? 0) > 500, PATIENCE_MS);
    const killedMs = Date.now();
    process.kill(mesh.services.find((one) => one.name === service)?.pid as number, 'SIGKILL');
    await until('the end of the turn', () => turnOf(call.sessionId, 'external') !== undefined, PATIENCE_MS);
    const turn = turnOf(call.sessionId, 'external') as ReceivedSpan;
    // What came live has its trace anyway: latents that were generated before the end of the decoder did not.
    const isReadBack = ({ parentSpanId }: ReceivedSpan): boolean =>
      service === 'score-model' ||
      receiver.spans.some(({ spanId, startMs }) => spanId === parentSpanId && startMs < killedMs);
    const later = (): ReceivedSpan[] =>
      ownedBy(receiver.trace(turn.traceId), name).filter((span) => span.startMs > killedMs && isReadBack(span));
    await until('its chunks in the trace', () => later().length >= 1, PATIENCE_MS);
  });

test('with a sampling share of 0 only what is late is exported', { timeout: 300_000 }, async () => {
  await using quiet = await OtlpReceiver.start();
  const share = { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' };
  const env = tracingEnv(quiet.url, share);
  const slow = await startMesh({ quiet: true, env });
  try {
    await using call = await watchCall(slow, firstAvatar.id);
    await using tap = await CallTap.open(slow, call.sessionId);
    await until('the picture', () => (tap.playhead?.chunk ?? 0) >= 2, PATIENCE_MS);
    const over = call.say(speak('One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve.'));
    await until('the voice', () => (tap.playhead?.turnPlayedMs ?? 0) > 500, PATIENCE_MS);
    const decoder = slow.services.find(({ name }) => name === 'vae-decode')?.pid as number;
    const heldBefore = tap.playhead?.heldFrames ?? 0;
    process.kill(decoder, 'SIGSTOP');
    try {
      await until('held frames', () => (tap.playhead?.heldFrames ?? 0) > heldBefore + 2, PATIENCE_MS);
    } finally {
      process.kill(decoder, 'SIGCONT');
    }
    await over;
    const isExported = (name: string): boolean => quiet.spans.some((span) => span.name === name);
    await until('the late turn', () => isExported('turn') && isExported('play'), PATIENCE_MS);
    for (const { name, attributes, parentSpanId } of quiet.spans) {
      const followsLate = quiet.spans.some(({ spanId }) => spanId === parentSpanId);
      assert.ok(attributes['talkmesh.late'] === true || followsLate, `${name} is neither late nor follows what is`);
    }
  } finally {
    await slow.stop();
    await slow.removeLogs();
  }
});
