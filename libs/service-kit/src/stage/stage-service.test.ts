import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSessionId } from '@talkmesh/contracts';
import { createLogger } from '../logging.js';
import { createMetrics } from '../metrics.js';
import { emptyStats } from '../test-fixtures/empty-stats.js';
import { Lifecycle } from './lifecycle.js';
import { SessionAdmission } from './stage-service.js';
import type { OpenRequest } from './worker.js';

const never = new AbortController().signal;
const request = (sessionId: string, avatar = 'mira'): OpenRequest => ({
  sessionId,
  epoch: 0,
  takeOver: false,
  instanceId: '',
  options: 'decode',
  decode: { avatar, size: 0 },
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
    stats: () => [...held].map(emptyStats),
  };
  return {
    admission: new SessionAdmission(worker, 'vae-decode', lifecycle, () => undefined),
    held,
    calls,
    gate,
    lifecycle,
  };
}

test('the same Open twice, also concurrently, opens one session; with other options it is refused', async () => {
  const { admission, calls } = makeAdmission();
  const sessionId = newSessionId();
  await Promise.all([admission.open(request(sessionId), never), admission.open(request(sessionId), never)]);
  await admission.open(request(sessionId), never);
  assert.deepEqual(calls, ['open']);
  await assert.rejects(admission.open(request(sessionId, 'tom'), never), { reason: 'SESSION_EXISTS' });
});

test('a takeover of a session that the worker already holds succeeds and changes nothing', async () => {
  const { admission, calls } = makeAdmission();
  const sessionId = newSessionId();
  await admission.open(request(sessionId), never);
  await admission.open({ ...request(sessionId), takeOver: true, epoch: 7 }, never);
  await assert.rejects(admission.open({ ...request(sessionId, 'other'), takeOver: true }, never), {
    reason: 'SESSION_EXISTS',
  });
  assert.deepEqual(calls, ['open']);
});

test('ids and options are checked before the worker is called', async () => {
  const { admission, calls } = makeAdmission();
  await assert.rejects(admission.open(request('*'), never), { reason: 'SESSION_ID_INVALID' });
  await assert.rejects(
    admission.open({ sessionId: newSessionId(), epoch: 0, takeOver: false, instanceId: '' }, never),
    {
      reason: 'ARGUMENT_INVALID',
    },
  );
  const wrong: OpenRequest = {
    sessionId: newSessionId(),
    epoch: 0,
    takeOver: false,
    instanceId: '',
    options: 'ingest',
    ingest: { vad: true, room: null },
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
  const opening = [newSessionId(), newSessionId()].map((sessionId) => admission.open(request(sessionId), never));
  await assert.rejects(admission.open(request(newSessionId()), never), { reason: 'SESSION_LIMIT', retryable: true });
  letGo();
  await Promise.all(opening);
  assert.equal(admission.size, 2);
});

test('a failed Open leaves no session behind and can be repeated', async () => {
  const { admission, gate } = makeAdmission(1);
  const sessionId = newSessionId();
  gate.open = Promise.reject(new Error('no memory'));
  await assert.rejects(admission.open(request(sessionId), never), /no memory/);
  assert.equal(admission.size, 0);
  gate.open = Promise.resolve();
  await admission.open(request(sessionId), never);
  assert.equal(admission.size, 1);
});

test('Close waits for Open and runs once; closing an unknown session succeeds', async () => {
  const { admission, calls, gate, held } = makeAdmission();
  const sessionId = newSessionId();
  await admission.close(newSessionId(), 'ended');
  let letGo: () => void = () => undefined;
  gate.open = new Promise((resolve) => {
    letGo = resolve;
  });
  const opening = admission.open(request(sessionId), never);
  const closing = [admission.close(sessionId, 'ended'), admission.close(sessionId, 'again')];
  letGo();
  await Promise.all([opening, ...closing]);
  assert.deepEqual(calls, ['open', 'close ended']);
  assert.equal(held.size, 0);
});

test('an Open during a Close opens the session after the Close', async () => {
  const { admission, calls } = makeAdmission();
  const sessionId = newSessionId();
  await admission.open(request(sessionId), never);
  await Promise.all([admission.close(sessionId, 'ended'), admission.open(request(sessionId), never)]);
  assert.deepEqual(calls, ['open', 'close ended', 'open']);
  assert.equal(admission.size, 1);
});

test('of two Opens with different options during a Close one succeeds', async () => {
  const { admission, calls } = makeAdmission();
  const sessionId = newSessionId();
  await admission.open(request(sessionId), never);
  const [, ...opens] = await Promise.allSettled([
    admission.close(sessionId, 'ended'),
    admission.open(request(sessionId, 'a'), never),
    admission.open(request(sessionId, 'b'), never),
  ]);
  assert.deepEqual(opens.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  assert.deepEqual(calls, ['open', 'close ended', 'open']);
});

test('a session that the worker ended on its own frees capacity and can be opened again', async () => {
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

test('draining refuses new sessions and keeps the open ones, which can still be closed', async () => {
  const { admission, lifecycle, calls } = makeAdmission();
  const sessionId = newSessionId();
  await admission.open(request(sessionId), never);
  lifecycle.drain();
  await assert.rejects(admission.open(request(newSessionId()), never), { reason: 'DRAINING', retryable: true });
  await admission.open(request(sessionId), never);
  assert.deepEqual(await admission.closeAll('drain'), []);
  assert.deepEqual(calls, ['open', 'close drain']);
  assert.equal(admission.size, 0);
});
