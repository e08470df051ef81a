import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, mock, test } from 'node:test';
import type { WebSocket } from 'ws';
import { closeSocket, watchSocket } from './socket-watch.js';

class Socket extends EventEmitter {
  readonly CLOSED = 3;
  readyState = 1;
  isPaused = false;
  readonly did: string[] = [];

  close(code: number): void {
    this.did.push(`close ${code}`);
  }

  resume(): void {
    this.did.push('resume');
  }

  ping(): void {
    this.did.push('ping');
  }

  terminate(): void {
    this.did.push('terminate');
    this.emit('close');
  }
}

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'setInterval'] }));
afterEach(() => mock.timers.reset());

const watched = (): Socket => {
  const socket = new Socket();
  watchSocket(socket as unknown as WebSocket);
  return socket;
};
const pass = (seconds: number): void => {
  for (let ms = 0; ms < 1000 * seconds; ms += 500) mock.timers.tick(500);
};

test('a client that says nothing at first is sent away; one that spoke may be silent', () => {
  const [quiet, speaking] = [watched(), watched()];
  speaking.emit('message', '{}');
  for (let i = 0; i < 4; i += 1) {
    pass(10);
    for (const socket of [quiet, speaking]) socket.emit('pong');
  }
  assert.ok(quiet.did.includes('close 1008'));
  assert.ok(!speaking.did.includes('close 1008'));
});

test('a client that answers no ping is gone, unless its socket is not read on purpose', () => {
  const [gone, held] = [watched(), watched()];
  held.isPaused = true;
  pass(31);
  assert.deepEqual(
    gone.did.filter((what) => what !== 'close 1008'),
    ['ping', 'terminate'],
  );
  assert.ok(!held.did.includes('terminate'));
  held.isPaused = false;
  held.emit('message', '{}');
  pass(31);
  assert.ok(held.did.includes('terminate'));
});

test('a socket is closed, whether or not its client answers', async () => {
  const [answers, hangs] = [new Socket(), new Socket()];
  const closing = [answers, hangs].map((socket) => closeSocket(socket as unknown as WebSocket, 1012, 'ends'));
  answers.emit('close');
  await closing[0];
  pass(2);
  await Promise.all(closing);
  assert.deepEqual(answers.did, ['resume', 'close 1012']);
  assert.deepEqual(hangs.did, ['resume', 'close 1012', 'terminate']);
});
