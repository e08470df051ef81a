import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createLogger } from '../logging.js';
import { createMetrics } from '../metrics.js';
import type { ToCrashing } from '../test-fixtures/child/crashing.js';
import { waitUntil } from '../waiting.js';
import { type ChildExit, SupervisedChild, type SupervisedChildOptions } from './child.js';

/** Only the .ts file exists; SupervisedChild must find it although the URL ends in .js. */
const MODULE = new URL('../test-fixtures/child/crashing.js', import.meta.url);
const log = createLogger({ service: 't', instanceId: 't', level: 'silent', pretty: false });
const PATIENCE_MS = 30_000;
const children: SupervisedChild<ToCrashing>[] = [];
after(() => Promise.all(children.map((child) => child.dispose())));

function startChild(options: Partial<SupervisedChildOptions> = {}) {
  const exits: ChildExit[] = [];
  const events: unknown[] = [];
  let starts = 0;
  const metrics = createMetrics({ defaults: false });
  const child = new SupervisedChild<ToCrashing>({
    name: 'rtc',
    module: MODULE,
    log,
    metrics,
    onExit: (exit) => exits.push(exit),
    onStart: () => {
      starts++;
    },
    ...options,
  });
  children.push(child);
  child.on('event', (event) => events.push(event));
  const until = async (condition: () => boolean) =>
    assert.ok(await waitUntil(condition, PATIENCE_MS), 'the condition did not become true in time');
  return { child, exits, events, metrics, until, starts: () => starts };
}

const ask = (child: SupervisedChild<ToCrashing>, message: ToCrashing) =>
  child.request(message, { deadlineMs: PATIENCE_MS });
const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test('a child answers with typed arrays, runs TypeScript and receives its arguments', async () => {
  const { child } = startChild({ args: ['--x', '1'] });
  const reply = (await ask(child, { op: 'echo', data: Int16Array.of(1, -5) })) as { data: Int16Array };
  assert.deepEqual(reply.data, Int16Array.of(2, -4));
  const { argv, execArgv } = (await ask(child, { op: 'pid' })) as { argv: string[]; execArgv: string[] };
  assert.deepEqual(argv, ['--x', '1']);
  assert.ok(execArgv.every((argument) => !argument.startsWith('--test')));
});

test('errors keep their reason; messages without a reply and events are delivered', async () => {
  const { child, events, until } = startChild();
  await assert.rejects(ask(child, { op: 'refuse' }), {
    reason: 'SDP_INVALID',
    message: 'no m= line',
    metadata: { line: '3' },
  });
  await assert.rejects(ask(child, { op: 'bug' }), { reason: 'INTERNAL', message: 'undefined is not a picture' });
  assert.equal(child.send({ op: 'never' }), true);
  await until(() => events.length > 0);
  assert.deepEqual(events, [{ got: { op: 'never' } }]);
});

test('an error of one event listener does not affect the others', async () => {
  const { child, events, until } = startChild();
  child.on('event', () => {
    throw new Error('a bug');
  });
  child.send({ op: 'never' });
  child.send({ op: 'never' });
  await until(() => events.length === 2);
});

test('a request without a reply fails with DEADLINE_EXCEEDED', async () => {
  const { child } = startChild();
  await assert.rejects(child.request({ op: 'never' }, { deadlineMs: 50 }), { reason: 'DEADLINE_EXCEEDED' });
});

test('after SIGKILL the child is restarted, and requests in progress fail', async () => {
  const { child, exits, metrics, until, starts } = startChild({ backoff: { minMs: 10 } });
  const { pid } = (await ask(child, { op: 'pid' })) as { pid: number };
  assert.equal(pid, child.pid);
  const lost = assert.rejects(ask(child, { op: 'never' }), { reason: 'PEER_LOST', retryable: true });
  process.kill(pid, 'SIGKILL');
  await lost;
  assert.deepEqual(exits, [{ code: null, signal: 'SIGKILL', restartInMs: 10 }]);
  assert.equal(child.send({ op: 'never' }), false);
  await assert.rejects(ask(child, { op: 'pid' }), { reason: 'PEER_LOST' });
  await until(() => starts() === 2);
  const restarted = (await ask(child, { op: 'pid' })) as { pid: number };
  assert.notEqual(restarted.pid, pid);
  const text = await metrics.registry.metrics();
  assert.match(text, /talkmesh_child_restarts_total\{child="rtc"\} 1/);
  assert.match(text, /talkmesh_child_messages_refused_total\{child="rtc"\} 2/);
});

test('the back-off doubles up to its limit while the child keeps crashing', async () => {
  const { child, exits, until, starts } = startChild({ backoff: { minMs: 10, maxMs: 40 } });
  for (let run = 1; run <= 4; run++) {
    await until(() => starts() === run);
    await assert.rejects(ask(child, { op: 'crash' }), { reason: 'PEER_LOST' });
  }
  assert.deepEqual(
    exits.map(({ restartInMs }) => restartInMs),
    [10, 20, 40, 40],
  );
  assert.deepEqual(
    exits.map(({ signal }) => signal),
    Array(4).fill('SIGSEGV'),
  );
});

test('a stable run resets the back-off', async () => {
  const { child, exits, until, starts } = startChild({ backoff: { minMs: 10, stableMs: 1 } });
  for (let run = 1; run <= 3; run++) {
    await until(() => starts() === run);
    await assert.rejects(ask(child, { op: 'crash' }), { reason: 'PEER_LOST' });
  }
  assert.deepEqual(
    exits.map(({ restartInMs }) => restartInMs),
    [10, 10, 10],
  );
});

test('a module that cannot run is restarted with growing back-off', async () => {
  const missing = new URL('../test-fixtures/child/missing.ts', import.meta.url);
  const { child, exits, until } = startChild({
    module: missing,
    backoff: { minMs: 1, maxMs: 4 },
    env: { NODE_OPTIONS: '--no-warnings' },
  });
  await until(() => exits.length >= 2);
  assert.deepEqual(
    exits.slice(0, 2).map(({ code, restartInMs }) => [code, restartInMs]),
    [
      [1, 1],
      [1, 2],
    ],
  );
  await child.dispose();
});

test('send refuses further messages when maxPending of them wait', async () => {
  const { child, until, starts } = startChild({ maxPending: 5 });
  await until(() => starts() === 1);
  child.send({ op: 'block' });
  const big = { op: 'echo', data: new Int16Array(500_000) } as const;
  let sent = 0;
  await until(() => !(child.send(big) && sent++ < 1000));
  assert.ok(sent < 1000, 'every message was accepted');
  assert.equal(child.send(big), false);
});

test('dispose ends the child with SIGTERM, and with SIGKILL when it is blocked', async () => {
  const gentle = startChild();
  const stuck = startChild();
  const pids = [
    (await ask(gentle.child, { op: 'pid' })) as { pid: number },
    (await ask(stuck.child, { op: 'pid' })) as { pid: number },
  ];
  stuck.child.send({ op: 'block' });
  const pending = assert.rejects(ask(gentle.child, { op: 'never' }), { reason: 'CANCELLED' });
  await Promise.all([gentle.child.dispose(), gentle.child.dispose(), stuck.child.dispose()]);
  await pending;
  assert.deepEqual(gentle.exits, [{ code: 0, signal: null, restartInMs: undefined }]);
  assert.deepEqual(stuck.exits, [{ code: null, signal: 'SIGKILL', restartInMs: undefined }]);
  for (const { pid } of pids) assert.equal(isRunning(pid), false);
  await assert.rejects(ask(gentle.child, { op: 'pid' }), { reason: 'CANCELLED' });
});

test('dispose between a crash and the restart prevents the restart', async () => {
  const { child, exits, until, starts } = startChild({ backoff: { minMs: 50 } });
  await until(() => starts() === 1);
  process.kill(child.pid as number, 'SIGKILL');
  await until(() => exits.length === 1);
  await child.dispose();
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(child.pid, undefined);
  assert.equal(starts(), 1);
});
