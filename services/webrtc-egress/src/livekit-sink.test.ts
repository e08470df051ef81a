import assert from 'node:assert/strict';
import { afterEach, mock, test } from 'node:test';
import { decodePlayhead, encodeFrame, MeshError, type MeshEvent, type PlayheadMessage } from '@talkmesh/contracts';
import { type Bus, createLogger, createMetrics } from '@talkmesh/service-kit';
import type { RoomRequest } from '@talkmesh/webrtc';
import { MAX_SEGMENTS } from './agent-speech.js';
import { type EgressRoomHost, LivekitSink } from './livekit-sink.js';
import { createEgressMetrics } from './metrics.js';
import { RoomTexts } from './room-texts.js';
import { EgressSession } from './session.js';
import { testChunk } from './testing/frames.js';
import type { FromRoomPeer, RoomSetup, ToRoom } from './viewer-messages.js';

const SESSION_ID = '0'.repeat(20);
const SETUP: RoomSetup = { width: 16, height: 16, fps: 25, sampleRateHz: 24_000, maxKbps: 500, agent: '' };
const AGENT = 'agent-1';
const AGENT_GONE_MS = 7000;
const ALONE_MS = 5000;

type Listener = Parameters<EgressRoomHost['open']>[2];

interface FakeRoom {
  readonly id: string;
  readonly request: RoomRequest<RoomSetup>;
  readonly listener: Listener;
  readonly sent: ToRoom[];
  closed: boolean;
}

const open: EgressSession[] = [];
afterEach(async () => {
  mock.timers.reset();
  for (const session of open.splice(0)) await session.close();
});

function setUp({ agent = '' } = {}) {
  const handlers = new Map<string, (payload: Uint8Array) => void>();
  const playheads: PlayheadMessage[] = [];
  const events: (Pick<MeshEvent, 'type'> & { cause?: string; reason?: string })[] = [];
  const unsubscribe = { unsubscribe: () => undefined };
  const bus = {
    subscribe: (stream: string, _sessionId: string, on: (payload: Uint8Array) => void) => {
      handlers.set(stream, on);
      return unsubscribe;
    },
    subscribeEvents: () => unsubscribe,
    publish: (_stream: string, _sessionId: string, payload: Uint8Array) => playheads.push(decodePlayhead(payload)),
    publishEvent: (event: Pick<MeshEvent, 'type'>) => events.push(event),
    onReconnect: () => unsubscribe,
  } as unknown as Bus;
  const metrics = createEgressMetrics(createMetrics({ defaults: false }));
  const log = createLogger({ service: 'test', instanceId: 'test', level: 'silent', pretty: false });
  const session = new EgressSession({
    ...{ sessionId: SESSION_ID, epoch: 0, fps: 25, shape: { width: 16, height: 16, samples: 960 }, creditChunks: 2 },
    ...{ connectTimeoutMs: 3_600_000, goneMs: 3_600_000, bus, metrics, log },
  });
  const rooms: FakeRoom[] = [];
  const hooks = { refusals: [] as MeshError[] };
  const host: EgressRoomHost = {
    open: async (id, request, listener) => {
      const refusal = hooks.refusals.shift();
      if (refusal !== undefined) throw refusal;
      rooms.push({ id, request, listener, sent: [], closed: false });
      return {};
    },
    post: (id, message) => {
      rooms.find((room) => room.id === id)?.sent.push(message);
      return true;
    },
    close: async (id) => {
      for (const room of rooms) if (room.id === id) room.closed = true;
    },
  };
  const sink = new LivekitSink({
    ...{ session, host, metrics, log, setup: { ...SETUP, agent }, playoutFrames: 3, url: 'ws://rooms' },
    ...{ token: 'first-token', rejoinMs: 60_000, aloneMs: ALONE_MS, agentGoneMs: AGENT_GONE_MS, takeOver: false },
    texts: new RoomTexts(),
  });
  session.start(sink);
  open.push(session);
  for (const frame of testChunk(0)) handlers.get('frame')?.(encodeFrame(frame));
  const last = (): FakeRoom => rooms.at(-1) as FakeRoom;
  const media = (room: FakeRoom, body: FromRoomPeer) => room.listener.onMessage({ type: 'media', body });
  const causes = () => events.flatMap(({ type, cause }) => (type === 'viewer.gone' ? [cause] : []));
  return { session, sink, rooms, events, hooks, last, media, causes };
}

const serials = (room: FakeRoom) =>
  room.sent.flatMap((message) => (message.type === 'frame' ? [message.frame.serial] : []));

test('frames go to the room while it is joined, a few ahead of the clock, and wait while it is not', async () => {
  const { sink, last, media, session, events } = setUp();
  await sink.join(true);
  assert.ok(last().request.awaitJoinMs > 0, 'the opening of a session waits for the join');
  assert.deepEqual(serials(last()), []);
  last().listener.onState('connected');
  assert.deepEqual(serials(last()), [0, 1, 2]);
  media(last(), { type: 'played', report: { serial: 0, lateMs: 1, skewMs: 0 } });
  assert.deepEqual(serials(last()), [0, 1, 2, 3]);
  last().listener.onState('disconnected');
  media(last(), { type: 'played', report: { serial: 1, lateMs: 1, skewMs: 0 } });
  assert.deepEqual(serials(last()), [0, 1, 2, 3]);
  last().listener.onState('connected');
  assert.deepEqual(serials(last()), [0, 1, 2, 3, 4]);
  assert.equal(session.stats().itemsOut, 2);
  assert.deepEqual(
    events.map(({ type }) => type),
    ['viewer.connected', 'viewer.connected'],
  );
});

test('a takeover does not wait for the join', async () => {
  const { sink, last } = setUp();
  await sink.join(false);
  assert.equal(last().request.awaitJoinMs, 0);
});

test('when the process crashes, the room is joined again with the newest token, and nothing is lost', async () => {
  const { sink, rooms, last, media, hooks, session } = setUp();
  await sink.join(true);
  const first = last();
  first.listener.onState('connected');
  first.listener.onMessage({ type: 'token', token: 'renewed-token' });
  media(first, { type: 'played', report: { serial: 0, lateMs: 1, skewMs: 0 } });
  hooks.refusals.push(new MeshError('PEER_LOST', 'it is not up again'));
  first.listener.onLost();
  while (rooms.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual([last().request.token, last().request.awaitJoinMs], ['renewed-token', 0]);
  last().listener.onState('connected');
  first.listener.onState('failed', 'removed');
  const luma = last().sent.flatMap((message) => (message.type === 'frame' ? [message.frame.i420[0]] : []));
  assert.deepEqual(luma, [17, 18, 19], 'it continues with the frame after the last one that was played');
  media(last(), { type: 'played', report: { serial: serials(last())[0] ?? -1, lateMs: 1, skewMs: 0 } });
  assert.equal(session.stats().itemsOut, 2);
});

test('an end that is final is reported, and the session with it', async () => {
  const { sink, last, events, causes } = setUp();
  await sink.join(true);
  last().listener.onState('connected');
  last().listener.onState('failed', 'removed');
  assert.deepEqual(causes(), ['removed']);
  assert.deepEqual(
    events.flatMap(({ type, reason }) => (type === 'error' ? [reason] : [])),
    ['ROOM_REFUSED'],
  );
});

test('the avatar leaves a room in which it was alone for too long, but not while the room is out of reach', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { sink, last, causes } = setUp();
  await sink.join(true);
  const { listener } = last();
  const others = (...identities: string[]) => listener.onMessage({ type: 'participants', identities });
  listener.onState('connected');
  others();
  mock.timers.tick(ALONE_MS - 1);
  others('caller');
  mock.timers.tick(2 * ALONE_MS);
  others();
  listener.onState('disconnected');
  mock.timers.tick(2 * ALONE_MS);
  assert.deepEqual(causes(), []);
  others();
  listener.onState('connected');
  mock.timers.tick(ALONE_MS);
  assert.deepEqual(causes(), ['room-empty']);
});

test('a closed sink leaves its room and ignores what still comes from it', async () => {
  const { sink, session, last, causes } = setUp();
  await sink.join(true);
  last().listener.onState('connected');
  await session.close();
  assert.equal(last().closed, true);
  last().listener.onState('failed', 'room-closed');
  assert.deepEqual(causes(), []);
});

test('the avatar leaves when its agent is away for too long; what the agent sends says that it is there', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { sink, last, media, causes } = setUp({ agent: AGENT });
  await sink.join(true);
  const { listener } = last();
  const others = (...identities: string[]) => listener.onMessage({ type: 'participants', identities });
  listener.onState('connected');
  others('caller');
  mock.timers.tick(AGENT_GONE_MS - 1);
  media(last(), { type: 'agent', message: { type: 'clear' } });
  mock.timers.tick(2 * AGENT_GONE_MS);
  others('caller', AGENT);
  mock.timers.tick(2 * AGENT_GONE_MS);
  others('caller');
  listener.onState('disconnected');
  mock.timers.tick(2 * AGENT_GONE_MS);
  assert.deepEqual(causes(), []);
  listener.onState('connected');
  others('caller');
  mock.timers.tick(AGENT_GONE_MS);
  assert.deepEqual(causes(), ['agent-gone']);
});

test('of an agent that opens more segments than may wait the rest is dropped, and the avatar stays', async () => {
  const { sink, last, media, causes } = setUp({ agent: AGENT });
  await sink.join(true);
  last().listener.onState('connected');
  for (let i = 0; i <= MAX_SEGMENTS; i += 1) {
    const stream = String(i);
    media(last(), { type: 'agent', message: { type: 'opened', stream, rateHz: 24_000, channels: 1 } });
    media(last(), { type: 'agent', message: { type: 'audio', stream, bytes: new Uint8Array(2) } });
    media(last(), { type: 'agent', message: { type: 'closed', stream, complete: true } });
  }
  assert.deepEqual(causes(), []);
});
