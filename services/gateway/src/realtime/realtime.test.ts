/** The OpenAI Realtime protocol of the gateway, spoken by the official client over a real socket; the workers are fakes over real gRPC and NATS. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { type EventBody, encodeAudio } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import type { RealtimeClientEvent, RealtimeServerEvent } from 'openai/resources/realtime/realtime';
import { WebSocket } from 'ws';
import { API_KEY, FakeMesh, offer } from '../testing/fake-mesh.js';

let mesh: FakeMesh;
before(async () => {
  mesh = await FakeMesh.start({
    TALKMESH_CORS_ORIGINS: 'https://shop.example.com',
    TALKMESH_RATE_LIMIT_PER_SECOND: '1000',
  });
});
after(() => mesh[Symbol.asyncDispose]());
const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await until('all sessions to end', async () => (await sessions()).length === 0);
});

const sessions = async (): Promise<{ id: string; avatar: string; provider: string }[]> =>
  (await mesh.call<{ sessions: { id: string; avatar: string; provider: string }[] }>('GET', '/v1/sessions')).body
    .sessions;

type Event = RealtimeServerEvent | { readonly type: 'session.avatar.connecting'; readonly server_sdp: string };

/** The official client, with everything that it received. */
class Client {
  readonly events: Event[] = [];
  readonly #client: OpenAIRealtimeWS;

  private constructor(model: string, apiKey: string) {
    const { hostname, port } = new URL(mesh.gateway.url);
    // The client always uses TLS; the socket is replaced by a plain one.
    const options = { createConnection: () => connect({ host: hostname, port: Number(port) }) };
    const baseURL = `http://${hostname}:${port}/v1`;
    this.#client = new OpenAIRealtimeWS({ model, options }, { apiKey, baseURL });
    this.#client.on('event', (event) => this.events.push(event as Event));
    this.#client.on('error', () => undefined);
    clients.push(this);
  }

  static async open(apiKey = API_KEY): Promise<Client> {
    const client = new Client('parrot', apiKey);
    await client.next('session.created');
    return client;
  }

  get socket() {
    return this.#client.socket;
  }

  /** Azure's events and fields are not among the official types. */
  send(event: object): void {
    this.#client.send(event as RealtimeClientEvent);
  }

  of<T extends Event['type']>(type: T): Extract<Event, { type: T }>[] {
    return this.events.filter((event): event is Extract<Event, { type: T }> => event.type === type);
  }

  async next<T extends Event['type']>(type: T, count = 1): Promise<Extract<Event, { type: T }>> {
    await until(`${type}, got ${this.events.map((event) => event.type).join()}`, () => this.of(type).length >= count);
    return this.of(type)[count - 1] as Extract<Event, { type: T }>;
  }

  /** The error that answers an event. */
  async refused(event: Record<string, unknown>): Promise<Extract<Event, { type: 'error' }>['error']> {
    const before = this.of('error').length;
    this.send({ event_id: `test-${before}`, ...event });
    const { error } = await this.next('error', before + 1);
    assert.equal(error.event_id, `test-${before}`);
    return error;
  }

  close(): void {
    this.#client.socket.terminate();
  }
}

const audio = (ms: number, rateHz = 24_000): string => Buffer.alloc((ms * rateHz * 2) / 1000, 3).toString('base64');
const manual = { type: 'session.update', session: { type: 'realtime', audio: { input: { turn_detection: null } } } };

/** The bridge of the fake mesh speaks and tells. */
function speak(sessionId: string, turn: number, ms: number, endOfTurn = false): void {
  const at = { sessionId, epoch: 0, turn, chunk: 0, mediaTimeUs: 0, deadlineUs: 0, sequence: 0, fromSample: 0 };
  const pcm = new Int16Array(ms * 24).fill(7);
  mesh.workers['audio-llm-bridge'].bus.publish(
    'speech',
    sessionId,
    encodeAudio({ ...at, pcm, endOfTurn, sampleRateHz: 24_000 }),
  );
}
const tell = (sessionId: string, turn: number, body: EventBody): void =>
  mesh.workers['audio-llm-bridge'].bus.publishEvent({ sessionId, epoch: 0, turn, ...body });

async function opened(client: Client): Promise<string> {
  client.send({ type: 'session.avatar.connect', client_sdp: offer('video', 'audio') });
  await client.next('session.avatar.connecting');
  return (await sessions())[0]?.id ?? '';
}

test('a talk: the session is described, the face is connected by SDP, an answer comes as audio and words and is cut', async () => {
  const client = await Client.open();
  const { session } = await client.next('session.created');
  assert.equal((session as { model?: string }).model, 'parrot');
  assert.equal((await sessions()).length, 0, 'nothing is opened before it is needed');
  client.send({
    type: 'session.update',
    session: { type: 'realtime', instructions: 'Be brief.', audio: { output: { voice: 'kim' } } },
  });
  const updated = (await client.next('session.updated')).session as {
    instructions?: string;
    avatar?: { character?: string };
  };
  assert.deepEqual([updated.instructions, updated.avatar?.character], ['Be brief.', 'ada']);

  client.send({ type: 'session.avatar.connect', client_sdp: offer('video', 'audio') });
  assert.equal((await client.next('session.avatar.connecting')).server_sdp, 'v=0\r\nanswer');
  const [open] = await sessions();
  assert.deepEqual([open?.avatar, open?.provider], ['ada', 'parrot']);
  const id = open?.id ?? '';
  const bridge = mesh.workers['audio-llm-bridge'].opened.get(id);
  assert.match(JSON.stringify(bridge), /Be brief\./);

  client.send({ type: 'input_audio_buffer.append', audio: audio(100) });
  await until('the microphone', () => mesh.workers['audio-ingest'].receivedBytes >= 4800);
  tell(id, 0, { type: 'speech.started' });
  tell(id, 0, { type: 'speech.stopped', durationMs: 100 });
  await client.next('input_audio_buffer.committed');
  tell(id, 1, { type: 'turn.queued', source: 'voice' });
  await client.next('response.created');
  tell(id, 1, { type: 'transcript', role: 'avatar', text: 'Hello.', final: true });
  speak(id, 1, 500, true);
  const { response } = await client.next('response.done');
  assert.equal(response.status, 'completed');
  assert.equal(client.of('response.output_audio.delta').length, 0, 'audio comes by WebRTC');
  assert.equal((await client.next('response.output_audio_transcript.done')).transcript, 'Hello.');

  const { item_id } = await client.next('response.output_audio_transcript.done');
  client.send({ type: 'conversation.item.truncate', item_id, content_index: 0, audio_end_ms: 400 });
  tell(id, 1, { type: 'turn.started', source: 'voice' });
  tell(id, 1, { type: 'turn.finished', interrupted: true, speechMs: 500, heardMs: 320 });
  assert.equal((await client.next('conversation.item.truncated')).audio_end_ms, 320, 'what was heard counts');

  client.close();
  await until('the session to end with its connection', async () => (await sessions()).length === 0);
});

test('without a face the audio comes as deltas, sample for sample', async () => {
  const client = await Client.open();
  client.send({ type: 'input_audio_buffer.append', audio: audio(20) });
  await until('the session', async () => (await sessions()).length === 1);
  const [session] = await sessions();
  await until('audio', () => {
    speak(session?.id ?? '', 1, 40);
    return client.of('response.output_audio.delta').length > 0;
  });
  const [{ delta } = { delta: '' }] = client.of('response.output_audio.delta');
  assert.deepEqual(Buffer.from(delta, 'base64'), Buffer.from(new Int16Array(960).fill(7).buffer));
});

test('a client that ends turns itself: append in real time, commit, response.create; clear forgets', async () => {
  const ingest = mesh.workers['audio-ingest'];
  const client = await Client.open();
  client.send(manual);
  assert.equal((await client.refused({ type: 'response.create' })).code, 'nothing_to_answer');
  assert.equal((await client.refused({ type: 'input_audio_buffer.commit' })).code, 'input_audio_buffer_commit_empty');
  const before = ingest.receivedBytes;
  client.send({ type: 'input_audio_buffer.append', audio: audio(20_000) });
  await until('the beginning', () => ingest.receivedBytes > before);
  client.send({ type: 'input_audio_buffer.clear' });
  await client.next('input_audio_buffer.cleared');
  assert.ok(ingest.receivedBytes - before < 20_000 * 48, 'a burst is passed on in real time');
  assert.equal((await client.refused({ type: 'input_audio_buffer.commit' })).code, 'input_audio_buffer_commit_empty');
  client.send({ type: 'input_audio_buffer.append', audio: audio(200) });
  client.send({ type: 'input_audio_buffer.commit' });
  const { item_id } = await client.next('input_audio_buffer.committed');
  assert.equal((await client.next('conversation.item.added')).item.id, item_id);
  client.send({ type: 'response.create' });
  client.send({ type: 'input_audio_buffer.append', audio: audio(29_000) });
  assert.equal(
    (await client.refused({ type: 'input_audio_buffer.append', audio: audio(20_000) })).code,
    'audio_too_long',
  );
});

test('words to say, tool results and cancelling reach the bridge', async () => {
  const client = await Client.open();
  const id = await opened(client);
  const words = { pre_generated_assistant_message: { content: [{ type: 'text', text: 'Welcome.' }] } };
  client.send({ type: 'response.create', response: words });
  const { said, toolResults } = mesh.workers['audio-llm-bridge'];
  await until('the words', () => said.some(({ text }) => text === 'Welcome.'));

  tell(id, 0, { type: 'tool.call', callId: 'call-1', name: 'weather', arguments: '{}', deadlineMs: 1000 });
  const call = await client.next('response.function_call_arguments.done');
  client.send({
    type: 'conversation.item.create',
    item: { type: 'function_call_output', call_id: call.call_id, output: 'Sun.' },
  });
  await until('the result', () => toolResults.some(({ output }) => output === 'Sun.'));

  assert.equal((await client.refused({ type: 'response.cancel' })).code, 'response_cancel_not_active');
  speak(id, 1, 500);
  await client.next('response.content_part.added');
  client.send({ type: 'response.cancel' });
  await until('the cut', () => {
    tell(id, 1, { type: 'turn.cancelled' });
    return client.of('response.done').some(({ response }) => response.status_details?.reason === 'client_cancelled');
  });
});

test('every refusal names its event, the reason and what to do', async () => {
  const client = await Client.open();
  await opened(client);
  const cases: [Record<string, unknown>, string, RegExp][] = [
    [{ type: 'response.paint' }, 'unknown_event', /docs\/realtime/],
    [{ type: 'input_audio_buffer.append' }, 'invalid_value', /audio/],
    [{ type: 'input_audio_buffer.append', audio: 'AAAA' }, 'invalid_value', /PCM16/],
    [
      { type: 'session.update', session: { audio: { input: { format: { type: 'audio/pcmu' } } } } },
      'invalid_value',
      /pcm/,
    ],
    [
      { type: 'session.update', session: { instructions: 'New role.' } },
      'session_already_started',
      /before the first audio/,
    ],
    [
      { type: 'conversation.item.create', item: { type: 'message', role: 'user' } },
      'unsupported_item',
      /function_call_output/,
    ],
    [{ type: 'conversation.item.truncate', item_id: 'x', audio_end_ms: 1 }, 'item_not_found', /id/],
    [{ type: 'session.avatar.connect', client_sdp: 'nonsense' }, 'sdp_invalid', /offer/],
    [
      { type: 'conversation.item.create', item: { type: 'function_call_output', call_id: 'no', output: '' } },
      'not_found',
      /./,
    ],
  ];
  for (const [event, code, message] of cases) {
    const error = await client.refused(event);
    assert.equal(error.code, code, JSON.stringify(event));
    assert.match(error.message, message);
    assert.match(error.message, /^[A-Z\d_].*[.!]$/s, 'a sentence');
  }
  client.socket.send('no json');
  await until('the error', () => client.of('error').some(({ error }) => error.code === 'invalid_json'));
});

test("Azure's clients: key in their own header, flat session, beta names, SDP as base64 of JSON", async () => {
  const socket = new WebSocket(
    `${mesh.gateway.url.replace('http', 'ws')}/v1/realtime?model=parrot&api-version=2026-01-01-preview`,
    {
      headers: { 'api-key': API_KEY },
    },
  );
  const received: { type: string; [field: string]: unknown }[] = [];
  socket.on('message', (data) => received.push(JSON.parse(String(data))));
  const next = async (type: string) => {
    await until(type, () => received.some((event) => event.type === type));
    return received.find((event) => event.type === type) as { [field: string]: unknown };
  };
  await next('session.created');
  const flat = {
    voice: 'kim',
    turn_detection: { type: 'azure_semantic_vad' },
    input_audio_sampling_rate: 16_000,
    avatar: { character: 'bo' },
  };
  socket.send(JSON.stringify({ type: 'session.update', session: flat }));
  assert.equal(
    ((await next('session.updated'))['session'] as { avatar: { character: string } }).avatar.character,
    'bo',
  );
  const encoded = Buffer.from(JSON.stringify({ type: 'offer', sdp: offer('video', 'audio') })).toString('base64');
  socket.send(JSON.stringify({ type: 'session.avatar.connect', client_sdp: encoded }));
  const answer = JSON.parse(
    Buffer.from(String((await next('session.avatar.connecting'))['server_sdp']), 'base64').toString(),
  );
  assert.deepEqual(answer, { type: 'answer', sdp: 'v=0\r\nanswer' });
  const [session] = await sessions();
  assert.equal(session?.avatar, 'bo');
  tell(session?.id ?? '', 1, { type: 'transcript', role: 'avatar', text: 'Hi.', final: false });
  await next('response.audio_transcript.delta');
  await next('conversation.item.created');
  socket.terminate();
});

/** @returns the status with which a connection is refused, 101 when it is accepted */
function attempt(
  path: string,
  headers: Record<string, string>,
  protocols: string[] = [],
): Promise<{ status: number; protocol: string }> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${mesh.gateway.url.replace('http', 'ws')}${path}`, protocols, { headers });
    socket.once('unexpected-response', (_request, response) => {
      resolve({ status: response.statusCode ?? 0, protocol: '' });
      socket.terminate();
    });
    socket.once('open', () => {
      resolve({ status: 101, protocol: socket.protocol });
      socket.terminate();
    });
    socket.once('error', () => undefined);
  });
}

test('who may connect: a key in a header or as a subprotocol, never back; listed origins; nothing else', async () => {
  const authorization = `Bearer ${API_KEY}`;
  const browser = ['realtime', `openai-insecure-api-key.${API_KEY}`];
  assert.deepEqual(await attempt('/v1/realtime', {}, browser), { status: 101, protocol: 'realtime' });
  for (const [path, headers, status] of [
    ['/v1/realtime', { authorization }, 101],
    ['/v1/realtime', {}, 401],
    ['/v1/realtime', { authorization: 'Bearer wrong-key-wrong-key' }, 401],
    ['/v1/realtime?model=Not%20A%20Name', { authorization }, 400],
    ['/v1/realtime', { authorization, origin: 'https://evil.example.com' }, 403],
    ['/v1/realtime', { authorization, origin: 'https://shop.example.com' }, 101],
    ['/v1/realtime', { authorization, origin: mesh.gateway.url }, 101],
    ['/v1/nothing', { authorization }, 404],
    ['/v1/sessions', { authorization }, 200],
  ] as const)
    assert.equal((await attempt(path, headers)).status, status, `${path} ${JSON.stringify(headers)}`);
  const plain = await mesh.call('GET', '/v1/realtime');
  assert.equal(plain.status, 426);
});

test('a session token joins its own session, whose end ends the connection, and which the connection does not end', async () => {
  const { session, token } = await mesh.session({ avatar: 'bo' });
  const client = await Client.open(token);
  await opened(client);
  assert.equal(mesh.workers['webrtc-egress'].offers.at(-1)?.sessionId, session);
  client.close();
  await until('the connection is closed', () => client.socket.readyState === client.socket.CLOSED);
  assert.equal((await sessions()).length, 1);
  const again = await Client.open(token);
  await opened(again);
  await mesh.call('DELETE', `/v1/sessions/${session}`);
  await until('the end', () => again.socket.readyState === again.socket.CLOSED);
  assert.equal(again.of('error').at(-1)?.error.code, 'session_ended');
});

test('a refusal of the mesh is an error event, and the connection goes on', async () => {
  const client = await Client.open();
  client.send({ type: 'session.update', session: { avatar: { character: 'no-such-avatar' } } });
  const error = await client.refused({ type: 'session.avatar.connect', client_sdp: offer('video', 'audio') });
  assert.equal(error.code, 'avatar_not_found');
  client.send({ type: 'session.update', session: { avatar: { character: 'ada' } } });
  await opened(client);
});

test('a drained gateway says so and closes', async () => {
  const gateway = await mesh.addGateway();
  const { hostname, port } = new URL(gateway.url);
  const socket = new WebSocket(`ws://${hostname}:${port}/v1/realtime`, {
    headers: { authorization: `Bearer ${API_KEY}` },
  });
  const received: string[] = [];
  socket.on('message', (data) => received.push(String(data)));
  await until('the connection', () => received.length > 0);
  const closed = new Promise<number>((resolve) => void socket.once('close', resolve));
  await gateway[Symbol.asyncDispose]();
  assert.equal(await closed, 1012);
  assert.match(received.at(-1) ?? '', /shutting down/);
});
