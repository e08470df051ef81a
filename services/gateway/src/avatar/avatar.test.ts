/** The avatar socket of the gateway over a real socket; the workers are fakes over real gRPC and NATS. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '@talkmesh/contracts';
import { toServiceError } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { WebSocket } from 'ws';
import { API_KEY, FakeMesh, type Gateway } from '../testing/fake-mesh.js';
import type { AvatarStream } from '../testing/fake-worker.js';

let mesh: FakeMesh;
before(async () => {
  mesh = await FakeMesh.start({
    TALKMESH_API_KEYS: `test/admin:${API_KEY},other:${'k'.repeat(20)}`,
    TALKMESH_CORS_ORIGINS: 'https://shop.example.com',
    TALKMESH_RATE_LIMIT_PER_SECOND: '1000',
  });
});
after(() => mesh[Symbol.asyncDispose]());

const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.terminate();
  for (const { id } of await sessions()) await mesh.call('DELETE', `/v1/sessions/${id}`);
  mesh.workers['webrtc-egress'].avatarStreams.length = 0;
});

const sessions = async (): Promise<{ id: string; avatar: string; provider: string; output: string }[]> =>
  (
    await mesh.call<{ sessions: { id: string; avatar: string; provider: string; output: string }[] }>(
      'GET',
      '/v1/sessions',
    )
  ).body.sessions;

interface Message {
  readonly type: string;
  readonly [field: string]: unknown;
}

class Client {
  readonly messages: Message[] = [];
  readonly media: Buffer[] = [];
  readonly socket: WebSocket;
  closed: number | undefined;
  status: number | undefined;

  constructor(query = '', headers: Record<string, string> = { authorization: `Bearer ${API_KEY}` }, gateway?: Gateway) {
    this.socket = new WebSocket(`${(gateway ?? mesh.gateway).url.replace('http', 'ws')}/v1/avatar${query}`, {
      headers,
    });
    this.socket.on('message', (data, isBinary) => {
      if (isBinary) this.media.push(data as Buffer);
      else this.messages.push(JSON.parse(String(data)) as Message);
    });
    this.socket.on('unexpected-response', (_request, { statusCode }) => {
      this.status = statusCode;
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', (code) => {
      this.closed = code;
    });
    clients.push(this);
  }

  static async start(message: object = {}, ...given: ConstructorParameters<typeof Client>): Promise<Client> {
    const client = new Client(...given);
    await client.open();
    client.send({ type: 'start', ...message });
    await client.next('ready');
    return client;
  }

  open(): Promise<void> {
    return until('the socket', () => this.socket.readyState === WebSocket.OPEN);
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  of(type: string): Message[] {
    return this.messages.filter((message) => message.type === type);
  }

  async next(type: string, count = 1): Promise<Message> {
    await until(`${type}, got ${JSON.stringify(this.messages)} ${this.closed}`, () => this.of(type).length >= count);
    return this.of(type)[count - 1] as Message;
  }

  async ends(code: number): Promise<void> {
    await until('the close', () => this.closed !== undefined);
    assert.equal(this.closed, code);
  }
}

const stream = async (count = 1): Promise<AvatarStream> => {
  const { avatarStreams } = mesh.workers['webrtc-egress'];
  await until('the stream', () => avatarStreams.length >= count);
  return avatarStreams[count - 1] as AvatarStream;
};
const errorOf = async (client: Client, count = 1) => (await client.next('error', count))['reason'];

test('a key opens a session of frames; speech, end and clear go to its worker in order, reports come back', async () => {
  const client = await Client.start({ avatar: 'ada', rate: 16_000, channels: 2, video: 'i420', badge: true });
  const [session] = await sessions();
  assert.deepEqual([session?.provider, session?.output, session?.avatar], ['external', 'frames', 'ada']);
  const opened = mesh.workers['webrtc-egress'].opened.get(session?.id ?? '');
  assert.deepEqual([opened?.egress?.sink, opened?.egress?.disclosure?.badge], ['SINK_FRAMES', true]);
  const ready = await client.next('ready');
  assert.deepEqual(
    [ready['session'], ready['media'], ready['rate'], ready['graceMs'], ready['open']],
    [session?.id, 'frames', 24_000, 8000, null],
  );
  assert.deepEqual(ready['disclosure'], { label: 'AI-generated', badge: true });
  const { attach, received, call } = await stream();
  assert.deepEqual([attach.sampleRateHz, attach.channels, attach.video], [16_000, 2, 'VIDEO_FORMAT_I420']);
  client.socket.send(Buffer.alloc(1001));
  client.socket.send(Buffer.alloc(7));
  client.send({ type: 'end' });
  client.socket.send(Buffer.alloc(4));
  client.send({ type: 'clear' });
  await until('all of it', () => received.length === 5);
  assert.deepEqual(received, [1001, 7, 'end', 4, 'clear']);
  call.write({ started: { utterance: 1 } });
  call.write({ finished: { utterance: 1, positionMs: 31.5, interrupted: false } });
  call.write({ finished: { utterance: 2, positionMs: 0, interrupted: true } });
  call.write({ cleared: {} });
  await client.next('cleared');
  assert.deepEqual(client.messages.slice(1), [
    { type: 'started', utterance: 1 },
    { type: 'finished', utterance: 1, positionMs: 31.5, interrupted: false },
    { type: 'finished', utterance: 2, positionMs: 0, interrupted: true },
    { type: 'cleared' },
  ]);
  client.socket.close();
  await until('the end of the session', async () => (await sessions()).length === 0);
  assert.equal(received[5], 'leave');
});

test('a frame is a picture and its samples, each with the header of the table', async () => {
  const client = await Client.start();
  const { call } = await stream();
  const frame = { mediaTimeUs: 5_000_000_000, width: 64, height: 48, speaking: true, pcm: Buffer.alloc(1920, 2) };
  call.write({ frame: { ...frame, format: 'VIDEO_FORMAT_JPEG', video: Buffer.alloc(9, 1) } });
  call.write({ frame: { ...frame, format: 'VIDEO_FORMAT_I420', video: Buffer.alloc(0) } });
  await until('the media', () => client.media.length === 3);
  const header = (data: Buffer) => [
    ...[data.readUInt8(0), data.readUInt8(1), data.readUInt16LE(2), data.readUInt16LE(4), data.readUInt16LE(6)],
    ...[Number(data.readBigUInt64LE(8)), data.readUInt32LE(16), data.length - 20, data[20]],
  ];
  assert.deepEqual(client.media.map(header), [
    [1, 1, 64, 48, 0, 5_000_000_000, 9, 9, 1],
    [3, 1, 24_000, 1, 0, 5_000_000_000, 1920, 1920, 2],
    [3, 1, 24_000, 1, 0, 5_000_000_000, 1920, 1920, 2],
  ]);
});

test('with WHEP the media comes there, with the token of ready', async () => {
  mesh.workers['webrtc-egress'].onAttach = () => ({ ready: { width: 64, height: 64, fps: 25, hasFrames: false } });
  const client = await Client.start({ media: 'whep' });
  const { session, media, whep, token } = await client.next('ready');
  assert.deepEqual([media, whep, (await sessions())[0]?.output], ['whep', `/v1/whep/${session}`, 'webrtc']);
  const watched = await mesh.call('GET', `/v1/sessions/${session}`, { bearer: String(token) });
  assert.equal(watched.status, 200);
  mesh.workers['webrtc-egress'].onAttach = () => ({ ready: { width: 64, height: 64, fps: 25, hasFrames: true } });
});

test('a session token and a key of its owner continue a session; its end is told', async () => {
  const { session, token } = await mesh.session({ provider: 'external', output: 'frames' });
  const byToken = await Client.start({}, '', { authorization: `Bearer ${token}` });
  assert.equal((await byToken.next('ready'))['session'], session);
  byToken.socket.close();
  await byToken.ends(1005);
  assert.equal((await sessions()).length, 1, 'it was only joined');
  const byQuery = await Client.start({}, `?token=${token}`, {});
  const chosen = new Client(`?session=${session}`);
  await chosen.open();
  chosen.send({ type: 'start', avatar: 'bo' });
  assert.equal(await errorOf(chosen), 'ARGUMENT_INVALID');
  await chosen.ends(1008);
  const byKey = await Client.start({}, `?session=${session}`);
  await mesh.call('DELETE', `/v1/sessions/${session}`);
  for (const client of [byQuery, byKey]) {
    assert.equal(await errorOf(client), 'SESSION_ENDED');
    await client.ends(1000);
  }
});

test('who may not connect is refused before the socket is opened', async () => {
  const { session, token } = await mesh.session({ provider: 'external', output: 'frames' });
  const refused: [number, string, Record<string, string>][] = [
    [401, '', {}],
    [401, '', { authorization: 'Bearer wrong-key-of-the-test' }],
    [404, `?session=${session}`, { authorization: `Bearer ${'k'.repeat(20)}` }],
    [400, '?session=x', { authorization: `Bearer ${API_KEY}` }],
    [403, '', { authorization: `Bearer ${token}`, origin: 'https://evil.example.com' }],
  ];
  for (const [status, query, headers] of refused) {
    const client = new Client(query, headers);
    await until(`the refusal ${status}`, () => client.status !== undefined);
    assert.equal(client.status, status);
  }
  const answer = await mesh.call('GET', '/v1/avatar');
  assert.equal(answer.status, 426);
});

test('a session of another kind, a wrong start and another first message close the socket with a reason', async () => {
  const parrot = await mesh.session({ provider: 'parrot' });
  const wrong: [object | Buffer, string, string][] = [
    [{ type: 'start' }, 'ARGUMENT_INVALID', `?session=${parrot.session}`],
    [{ type: 'start', rate: 7 }, 'ARGUMENT_INVALID', ''],
    [{ type: 'start', avatar: 'unknown' }, 'AVATAR_NOT_FOUND', ''],
    [{ type: 'end' }, 'ARGUMENT_INVALID', ''],
    [Buffer.alloc(10), 'ARGUMENT_INVALID', ''],
  ];
  for (const [message, reason, query] of wrong) {
    const client = new Client(query);
    await client.open();
    client.socket.send(message instanceof Buffer ? message : JSON.stringify(message));
    assert.equal(await errorOf(client), reason);
    await client.ends(1008);
  }
  assert.equal((await sessions()).length, 1, 'nothing was opened');
  const large = new Client();
  await large.open();
  large.socket.send(Buffer.alloc(2 * 1024 * 1024 + 1));
  await large.ends(1009);
});

test('a wrong message later is answered, and the talk goes on', async () => {
  const client = await Client.start();
  const { received } = await stream();
  client.socket.send('no json');
  client.send({ type: 'start' });
  client.send({ type: 'sing' });
  await client.next('error', 3);
  assert.deepEqual(
    client.of('error').map(({ reason }) => reason),
    ['ARGUMENT_INVALID', 'ARGUMENT_INVALID', 'ARGUMENT_INVALID'],
  );
  client.socket.send(Buffer.alloc(2));
  await until('the audio', () => received.length === 1);
  for (let i = 0; i < 1100; i += 1) client.send({ type: 'end' });
  await until('the limit', () => client.of('error').some(({ reason }) => reason === 'RATE_LIMITED'));
  assert.equal(client.closed, undefined);
});

test('a socket that vanishes leaves its session for another one, and one that the worker gave up says why', async () => {
  const client = await Client.start();
  const { session, token } = await client.next('ready');
  const first = await stream();
  client.socket.terminate();
  await until('the stream to break', () => first.received.includes('broken'));
  assert.equal((await sessions()).length, 1);
  const again = await Client.start({}, '', { authorization: `Bearer ${String(token)}` });
  assert.equal((await again.next('ready'))['session'], session);
  const second = await stream(2);
  second.call.emit('error', toServiceError(new MeshError('RATE_LIMITED', 'too slow')));
  assert.equal(await errorOf(again), 'RATE_LIMITED');
  await again.ends(1008);
  assert.equal((await sessions()).length, 1);
});

test('when the worker is lost the speech waits, and goes on at the worker that has the session then', async () => {
  const client = await Client.start();
  const first = await stream();
  client.socket.send(Buffer.alloc(100));
  client.send({ type: 'end' });
  await until('the speech', () => first.received.length === 2);
  first.call.emit('error', toServiceError(new MeshError('PEER_LOST', 'it moves')));
  // The gateway notices, and looks for a worker again a little later.
  await sleep(100);
  client.socket.send(Buffer.alloc(30));
  client.send({ type: 'end' });
  const second = await stream(2);
  assert.equal(second.attach.utterances, 1);
  await until('what waited', () => second.received.length === 2);
  assert.deepEqual(second.received, [30, 'end']);
  second.call.write({ finished: { utterance: 0, positionMs: 90, interrupted: false } });
  second.call.write({ finished: { utterance: 2, positionMs: 10, interrupted: false } });
  await client.next('finished', 2);
  assert.deepEqual(
    client.of('finished').map(({ utterance, positionMs }) => [utterance, positionMs]),
    [
      [1, 90],
      [2, 10],
    ],
  );
});

test('speech comes faster than it is spoken, up to a limit: beyond it the socket is read more slowly', async () => {
  const client = await Client.start({ rate: 8000 });
  const { received } = await stream();
  const seconds = (): number => received.reduce<number>((sum, n) => sum + (typeof n === 'number' ? n : 0), 0) / 16_000;
  for (let i = 0; i < 120; i += 1) client.socket.send(Buffer.alloc(16_000));
  await until('the burst', () => seconds() > 60);
  const [atMs, at] = [performance.now(), seconds()];
  await until('all of it', () => seconds() === 120);
  const took = (performance.now() - atMs) / 1000;
  assert.ok(took > (120 - at) / 16 - 0.5, `${120 - at} s of speech in ${took} s`);
  assert.ok(took < 15, `${took} s`);
});

test('a program that does not read holds the worker back, and gets all of it later', async () => {
  const client = await Client.start();
  const { call } = await stream();
  client.socket.pause();
  let sent = 0;
  const pcm = Buffer.alloc(1920);
  const frame = { width: 512, height: 512, format: 'VIDEO_FORMAT_I420', video: Buffer.alloc(393_216), pcm } as const;
  let blocked = false;
  while (!blocked && sent < 200) {
    const written = new Promise<void>((resolve) =>
      call.write({ frame: { ...frame, mediaTimeUs: sent } }, () => resolve()),
    );
    sent += 1;
    blocked =
      (await Promise.race([written, new Promise((resolve) => setTimeout(resolve, 1500, 'blocked'))])) === 'blocked';
  }
  assert.ok(blocked, 'the worker is held back');
  assert.ok(sent < 60, `${sent} frames are on the way`);
  client.socket.resume();
  await until('all of them', () => client.media.length === 2 * sent);
});

test('a gateway that drains says so, and the session goes on at another one', async () => {
  const gateway = await mesh.addGateway();
  const client = await Client.start({}, '', { authorization: `Bearer ${API_KEY}` }, gateway);
  const { token } = await client.next('ready');
  await gateway[Symbol.asyncDispose]();
  assert.equal(await errorOf(client), 'DRAINING');
  await client.ends(1012);
  const again = await Client.start({}, '', { authorization: `Bearer ${String(token)}` });
  assert.equal((await again.next('ready'))['session'], (await sessions())[0]?.id);
});
