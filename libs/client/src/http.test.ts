import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventStreamParser } from './event-feed.js';
import { Http, pause, TalkMeshError } from './http.js';
import { problem } from './testing/fakes.js';

function http(answer: () => Response | Promise<Response>, timeoutMs = 1000): Http {
  return new Http({ baseUrl: 'http://gateway.test/', fetch: async () => answer(), timeoutMs });
}

const rejection = (promise: Promise<unknown>): Promise<TalkMeshError> =>
  promise.then(
    () => assert.fail('should have been refused'),
    (error: TalkMeshError) => error,
  );

test('a problem document becomes an error with reason, message and time to wait', async () => {
  const answer = (): Response => problem(503, 'NO_WORKER', { retryable: true, retryAfterMs: 2000 });
  const error = await rejection(http(answer).send('GET', '/x'));
  assert.ok(error instanceof TalkMeshError);
  assert.deepEqual(
    [error.reason, error.status, error.retryable, error.retryAfterMs, error.message],
    ['NO_WORKER', 503, true, 2000, 'about NO_WORKER'],
  );
});

test('an error answer without a problem document becomes an error that names the status', async () => {
  const error = await rejection(http(() => new Response('<h1>proxy</h1>', { status: 502 })).send('GET', '/x'));
  assert.deepEqual([error.reason, error.status, error.retryable], ['INTERNAL', 502, false]);
  assert.match(error.message, /502/);
});

test('a network failure, a timeout and a cancellation have different reasons', async (context) => {
  const dead = http(() => {
    throw new TypeError('fetch failed');
  });
  assert.equal((await rejection(dead.send('GET', '/x'))).reason, 'NETWORK');
  const hanging = (_: string, init?: RequestInit): Promise<Response> =>
    new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)));
  // AbortSignal.timeout does not keep the process alive; an open socket would.
  const open = setInterval(() => undefined, 1000);
  context.after(() => clearInterval(open));
  const slow = new Http({ baseUrl: '', fetch: hanging, timeoutMs: 20 });
  const late = await rejection(slow.send('GET', '/x'));
  assert.deepEqual([late.reason, late.retryable], ['DEADLINE_EXCEEDED', true]);
  const stop = new AbortController();
  const cancelled = rejection(slow.send('GET', '/x', { signal: stop.signal, timeoutMs: 0 }));
  stop.abort();
  assert.equal((await cancelled).reason, 'CANCELLED');
});

test('a path that a proxy already completed is not given the prefix twice; the base may be empty or a path', () => {
  const url = (baseUrl: string, path: string): string =>
    new Http({ baseUrl, fetch: () => Promise.reject(new Error('not asked')), timeoutMs: 1 }).url(path);
  assert.equal(url('https://a.test/mesh/', '/v1/x'), 'https://a.test/mesh/v1/x');
  assert.equal(url('https://a.test/mesh', '/mesh/v1/x'), 'https://a.test/mesh/v1/x');
  assert.equal(url('https://a.test', '/v1/x'), 'https://a.test/v1/x');
  assert.equal(url('', '/v1/x'), '/v1/x');
  assert.equal(url('/mesh', '/v1/x'), '/mesh/v1/x');
  assert.equal(url('https://a.test', 'https://b.test/v1'), 'https://b.test/v1');
});

test('a cancelled pause rejects at once', async () => {
  const stop = new AbortController();
  const waiting = rejection(pause(60_000, stop.signal));
  stop.abort();
  assert.equal((await waiting).reason, 'CANCELLED');
  assert.equal((await rejection(pause(60_000, stop.signal))).reason, 'CANCELLED');
});

test('server-sent events are parsed with comments, multi-line data, every kind of line end, and split at any position', () => {
  const text = ': hi\nevent: a\ndata: {"a":\ndata: 1}\n\nretry: 5\n\ndata:x\r\n\r\ndata: y\n\n';
  const expected = ['{"a":\n1}', 'x', 'y'];
  for (let size = 1; size < text.length; size += 1) {
    const parser = new EventStreamParser();
    const got: string[] = [];
    for (let at = 0; at < text.length; at += size) got.push(...parser.push(text.slice(at, at + size)));
    assert.deepEqual(got, expected, `cut every ${size} characters`);
  }
});
