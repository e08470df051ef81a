import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSessionId } from '@talkmesh/contracts';
import { Lifecycle } from './lifecycle.js';
import { createLogger } from './logging.js';
import { createMetrics } from './metrics.js';
import { SessionAdmission } from './stage-service.js';
import type { OpenRequest, SessionStats } from './worker.js';

const never = new AbortController().signal;
const request = (sessionId: string, avatar = 'mira'): OpenRequest => ({
  sessionId,
  epoch: 0,
  resume: false,
  instanceId: '',
  options: 'decode',
  decode: { avatar },
});
const statsOf = (sessionId: string): SessionStats => ({
  sessionId,
  epoch: 0,
  chunk: 0,
  itemsIn: 0,
  itemsOut: 0,
  dropped: 0,
  p50Ms: 0,
  p95Ms: 0,
  late: 0,
});

function makeAdmission(capacity = 2) {
  const log = createLogger({ service: 'vae-decode', instanceId: 'a', level: 'silent', pretty: false });
  const lifecycle = new Lifecycle(log, createMetrics({ defaults: false }));
  const held = new Set<string>();
  const calls: string[] = [];
  const gate = { open: Promise.resolve() };
  const worker = {
    capacity,
    model: '',
    sessions: () => held.size,
    async open({ sessionId }: OpenRequest) {
      calls.push('open');
      await gate.open;
      held.add(sessionId);
    },
    async close(sessionId: string, reason: string) {
      calls.push(`close ${reason}`);
      held.delete(sessionId);
    },
    stats: () => [...held].map(statsOf),
  };
  return { admission: new SessionAdmission(worker, 'vae-decode', lifecycle), held, calls, gate, lifecycle };
}

test('the same Open twice, even at once, opens once; with other options it is refused', async () => {
  const { admission, calls } = makeAdmission();
  const sid = newSessionId();
  await Promise.all([admission.open(request(sid), never), admission.open(request(sid), never)]);
  await admission.open(request(sid), never);
  assert.deepEqual(calls, ['open']);
  await assert.rejects(admission.open(request(sid, 'tom'), never), { reason: 'SESSION_EXISTS' });
});

test('a session that is to be taken over and is here already goes on as it is', async () => {
  const { admission, calls } = makeAdmission();
  const sid = newSessionId();
  await admission.open(request(sid), never);
  await admission.open({ ...request(sid), resume: true, epoch: 7 }, never);
  await assert.rejects(admission.open({ ...request(sid, 'other'), resume: true }, never), { reason: 'SESSION_EXISTS' });
  assert.deepEqual(calls, ['open']);
});

test('ids and options are checked before the worker sees them', async () => {
  const { admission, calls } = makeAdmission();
  await assert.rejects(admission.open(request('*'), never), { reason: 'SESSION_ID_INVALID' });
  await assert.rejects(admission.open({ sessionId: newSessionId(), epoch: 0, resume: false, instanceId: '' }, never), {
    reason: 'ARGUMENT_INVALID',
  });
  const wrong: OpenRequest = {
    sessionId: newSessionId(),
    epoch: 0,
    resume: false,
    instanceId: '',
    options: 'ingest',
    ingest: { vad: true },
  };
  await assert.rejects(admission.open(wrong, never), { reason: 'ARGUMENT_INVALID' });
  await assert.rejects(admission.close('nope', 'x'), { reason: 'SESSION_ID_INVALID' });
  assert.deepEqual(calls, []);
});

test('sessions that are still opening count against the capacity', async () => {
  const { admission, gate } = makeAdmission(2);
  let letGo: () => void = () => undefined;
  gate.open = new Promise((resolve) => {
    letGo = resolve;
  });
  const opening = [newSessionId(), newSessionId()].map((sid) => admission.open(request(sid), never));
  await assert.rejects(admission.open(request(newSessionId()), never), { reason: 'SESSION_LIMIT', retryable: true });
  letGo();
  await Promise.all(opening);
  assert.equal(admission.size, 2);
});

test('an Open that fails leaves nothing behind and can be repeated', async () => {
  const { admission, gate } = makeAdmission(1);
  const sid = newSessionId();
  gate.open = Promise.reject(new Error('no memory'));
  await assert.rejects(admission.open(request(sid), never), /no memory/);
  assert.equal(admission.size, 0);
  gate.open = Promise.resolve();
  await admission.open(request(sid), never);
  assert.equal(admission.size, 1);
});

test('Close waits for Open, runs once, and an unknown session closes well', async () => {
  const { admission, calls, gate, held } = makeAdmission();
  const sid = newSessionId();
  await admission.close(newSessionId(), 'ended');
  let letGo: () => void = () => undefined;
  gate.open = new Promise((resolve) => {
    letGo = resolve;
  });
  const opening = admission.open(request(sid), never);
  const closing = [admission.close(sid, 'ended'), admission.close(sid, 'again')];
  letGo();
  await Promise.all([opening, ...closing]);
  assert.deepEqual(calls, ['open', 'close ended']);
  assert.equal(held.size, 0);
});

test('an Open during a Close opens anew afterwards', async () => {
  const { admission, calls } = makeAdmission();
  const sid = newSessionId();
  await admission.open(request(sid), never);
  await Promise.all([admission.close(sid, 'ended'), admission.open(request(sid), never)]);
  assert.deepEqual(calls, ['open', 'close ended', 'open']);
  assert.equal(admission.size, 1);
});

test('two Opens with different options during a Close: one of them wins', async () => {
  const { admission, calls } = makeAdmission();
  const sid = newSessionId();
  await admission.open(request(sid), never);
  const [, ...opens] = await Promise.allSettled([
    admission.close(sid, 'ended'),
    admission.open(request(sid, 'a'), never),
    admission.open(request(sid, 'b'), never),
  ]);
  assert.deepEqual(opens.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  assert.deepEqual(calls, ['open', 'close ended', 'open']);
});

test('a session the worker ended by itself makes room and can be opened again', async () => {
  const { admission, calls, held } = makeAdmission(1);
  const [first, second] = [newSessionId(), newSessionId()];
  await admission.open(request(first), never);
  held.delete(first);
  await admission.open(request(second), never);
  assert.equal(admission.size, 1);
  held.delete(second);
  await admission.open(request(second), never);
  assert.deepEqual(calls, ['open', 'open', 'open']);
});

test('draining refuses new sessions, keeps the ones it has, and closes them when told', async () => {
  const { admission, lifecycle, calls } = makeAdmission();
  const sid = newSessionId();
  await admission.open(request(sid), never);
  lifecycle.drain();
  await assert.rejects(admission.open(request(newSessionId()), never), { reason: 'DRAINING', retryable: true });
  await admission.open(request(sid), never);
  assert.deepEqual(await admission.closeAll('drain'), []);
  assert.deepEqual(calls, ['open', 'close drain']);
  assert.equal(admission.size, 0);
});
