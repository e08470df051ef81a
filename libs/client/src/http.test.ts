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

test('problem+json becomes an error with reason, advice and the time to wait', async () => {
  const answer = (): Response => problem(503, 'NO_WORKER', { retryable: true, retryAfterMs: 2000 });
  const error = await rejection(http(answer).send('GET', '/x'));
  assert.ok(error instanceof TalkMeshError);
  assert.deepEqual(
    [error.reason, error.status, error.retryable, error.retryAfterMs, error.message],
    ['NO_WORKER', 503, true, 2000, 'about NO_WORKER'],
  );
});

test('an answer that is no problem document still gives an error that names the status', async () => {
  const error = await rejection(http(() => new Response('<h1>proxy</h1>', { status: 502 })).send('GET', '/x'));
  assert.deepEqual([error.reason, error.status, error.retryable], ['INTERNAL', 502, false]);
  assert.match(error.message, /502/);
});

test('a dead network, a timeout and a cancellation are told apart', async () => {
  const dead = http(() => {
    throw new TypeError('fetch failed');
  });
  assert.equal((await rejection(dead.send('GET', '/x'))).reason, 'NETWORK');
  const hanging = (_: string, init?: RequestInit): Promise<Response> =>
    new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)));
  // AbortSignal.timeout does not keep the process alive; an open socket would.
  const open = setInterval(() => undefined, 1000);
  const slow = new Http({ baseUrl: '', fetch: hanging, timeoutMs: 20 });
  const late = await rejection(slow.send('GET', '/x'));
  assert.deepEqual([late.reason, late.retryable], ['DEADLINE_EXCEEDED', true]);
  const stop = new AbortController();
  const cancelled = rejection(slow.send('GET', '/x', { signal: stop.signal, timeoutMs: 0 }));
  stop.abort();
  assert.equal((await cancelled).reason, 'CANCELLED');
  clearInterval(open);
});

test('a cancelled pause rejects at once', async () => {
  const stop = new AbortController();
  const waiting = rejection(pause(60_000, stop.signal));
  stop.abort();
  assert.equal((await waiting).reason, 'CANCELLED');
  assert.equal((await rejection(pause(60_000, stop.signal))).reason, 'CANCELLED');
});

test('server-sent events: comments, multi-line data, any line end, any cut', () => {
  const text = ': hi\nevent: a\ndata: {"a":\ndata: 1}\n\nretry: 5\n\ndata:x\r\n\r\ndata: y\n\n';
  const expected = ['{"a":\n1}', 'x', 'y'];
  for (let size = 1; size < text.length; size += 1) {
    const parser = new EventStreamParser();
    const got: string[] = [];
    for (let at = 0; at < text.length; at += size) got.push(...parser.push(text.slice(at, at + size)));
    assert.deepEqual(got, expected, `cut every ${size} characters`);
  }
});
