import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { afterEach, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { until } from '@talkmesh/service-kit/testing';
import type { WebSocket } from 'ws';
import { MAX_UNREAD_BYTES } from '../http/socket-watch.js';
import { AvatarConnection, type AvatarConnectionOptions } from './avatar-connection.js';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.terminate();
});

/** A program that reads when the test says so. */
class Socket extends EventEmitter {
  readonly OPEN = 1;
  readonly CLOSED = 3;
  readyState = 1;
  isReading = true;
  bufferedAmount = 0;
  readonly sent: string[] = [];
  closed: number | undefined;
  readonly #unread: { bytes: number; onSent: (() => void) | undefined }[] = [];

  send(data: string | Buffer, onSent?: () => void): void {
    this.sent.push(typeof data === 'string' ? data : 'media');
    this.bufferedAmount += data.length;
    this.#unread.push({ bytes: data.length, onSent });
    if (this.isReading) this.read();
  }

  read(count = this.#unread.length): void {
    for (const { bytes, onSent } of this.#unread.splice(0, count)) {
      this.bufferedAmount -= bytes;
      onSent?.();
    }
  }

  close(code: number): void {
    this.#end(code);
  }

  terminate(): void {
    this.#end(1006);
  }

  pause(): void {}
  resume(): void {}

  #end(code: number): void {
    if (this.readyState === this.CLOSED) return;
    this.readyState = this.CLOSED;
    this.closed = code;
    this.emit('close', code);
  }

  says(text: string): void {
    this.emit('message', Buffer.from(text), false);
  }
}

/** The call to the worker. */
class Call extends EventEmitter {
  isPaused = false;
  write = (): boolean => true;
  end = (): void => undefined;
  cancel = (): void => undefined;
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
}

function setUp(issue: () => Promise<object> = async () => ({ token: 't', tokenExpiresAtMs: 0 })) {
  const [socket, call] = [new Socket(), new Call()];
  sockets.push(socket);
  const state = { connects: 0 };
  const sessions = {
    getLive: async () => ({ id: '0'.repeat(20), provider: 'external', output: 'frames' }),
    watch: async () => () => undefined,
    addressOf: async () => 'worker',
  };
  const directory = {
    connect: () => {
      state.connects += 1;
      return { client: () => ({ connect: () => call }), close: () => undefined };
    },
  };
  const options = {
    ...{ sessions, directory, auth: { issue }, maxSessionMs: 1000, checkMs: 1000, defaultAvatar: 'ada' },
    caller: { sessionId: '0'.repeat(20) },
    log: { info: () => undefined },
  };
  new AvatarConnection(socket as unknown as WebSocket, options as unknown as AvatarConnectionOptions);
  socket.says('{"type":"start"}');
  const ready = async (): Promise<void> => {
    await until('the call', () => call.listenerCount('data') > 0);
    call.emit('data', { ready: { width: 64, height: 64, fps: 25, graceMs: 8000, hasFrames: true, unfinished: [] } });
  };
  const frame = (bytes: number): boolean =>
    call.emit('data', {
      frame: { mediaTimeUs: 0, width: 64, height: 64, video: Buffer.alloc(bytes), pcm: Buffer.alloc(1920) },
    });
  return { socket, call, state, ready, frame };
}

test('a program that is answered and does not read is cut off', async () => {
  for (const flood of ['ping', 'sing']) {
    const { socket, ready } = setUp();
    await ready();
    socket.isReading = false;
    socket.bufferedAmount = MAX_UNREAD_BYTES;
    if (flood === 'ping') socket.emit('ping');
    else socket.says('{"type":"sing"}');
    assert.equal(socket.closed, undefined, 'up to the limit it may wait');
    socket.bufferedAmount = MAX_UNREAD_BYTES + 1;
    if (flood === 'ping') socket.emit('ping');
    else socket.says('{"type":"sing"}');
    assert.equal(socket.closed, 1006, flood);
  }
});

test('the worker goes on when the text behind the last picture was read', async () => {
  const { socket, call, ready, frame } = setUp();
  await ready();
  socket.isReading = false;
  frame(2 * 1024 * 1024);
  assert.equal(call.isPaused, true);
  for (let i = 0; i < 10_000; i += 1) call.emit('data', { started: { utterance: i } });
  socket.read(2);
  assert.ok(socket.bufferedAmount > 256 * 1024, 'the pictures were read, the text was not');
  assert.equal(call.isPaused, true);
  socket.read();
  assert.equal(call.isPaused, false);
});

test('a program whose messages are refused again and again is closed with 1008', async () => {
  const { socket, ready } = setUp();
  await ready();
  for (let i = 0; i < 300; i += 1) socket.says('{"type":"sing"}');
  assert.equal(socket.closed, undefined);
  for (let i = 0; i < 20 && socket.closed === undefined; i += 1) socket.says('{"type":"sing"}');
  assert.equal(socket.closed, 1008);
  assert.match(socket.sent.at(-1) ?? '', /"reason":"RATE_LIMITED".*Too many messages were refused/);
});

test('a socket that closes while its token is made reaches no worker', async () => {
  let issued: (token: object) => void = () => assert.fail('not asked for');
  let isAsked = false;
  const { socket, state } = setUp(() => {
    isAsked = true;
    return new Promise((resolve) => {
      issued = resolve;
    });
  });
  await until('the token', () => isAsked);
  socket.terminate();
  issued({ token: 't', tokenExpiresAtMs: 0 });
  for (let i = 0; i < 10; i += 1) await turn();
  assert.equal(state.connects, 0);
});
