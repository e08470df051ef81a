import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import {
  decodePlayhead,
  encodeEvent,
  encodeFrame,
  type FrameMessage,
  MeshError,
  type MeshEvent,
  type PlayheadMessage,
} from '@talkmesh/contracts';
import { type Bus, createLogger, createMetrics } from '@talkmesh/service-kit';
import type { PeerListener } from '@talkmesh/webrtc';
import { createEgressMetrics } from './metrics.js';
import { EgressSession } from './session.js';
import { FRAMES_PER_CHUNK, testChunk, testFrame } from './testing/frames.js';
import type { FromViewer, ToViewer } from './viewer-messages.js';
import { type ViewerHost, WebrtcSink } from './webrtc-sink.js';

const SESSION_ID = '0'.repeat(20);
const OFFER = [
  'v=0',
  'o=- 1 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'm=video 9 UDP/TLS/RTP/SAVPF 96',
  'a=rtpmap:96 VP8/90000',
  'a=recvonly',
  'a=ice-ufrag:abcd',
  'a=ice-pwd:abcdefghijklmnopqrstuvwx',
  `a=fingerprint:sha-256 ${'AB:'.repeat(31)}AB`,
  '',
].join('\r\n');

interface FakePeer {
  readonly peerId: string;
  readonly listener: PeerListener<FromViewer>;
  readonly sent: ToViewer[];
  closed: boolean;
}

/** A test that fails leaves its session open, whose timers would keep this process alive for ever. */
const open: EgressSession[] = [];
afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
});

function setUp() {
  const handlers = new Map<string, (payload: Uint8Array) => void>();
  const playheads: PlayheadMessage[] = [];
  const events: Pick<MeshEvent, 'type'>[] = [];
  const hooks = { beforeAnswer: async () => {}, accepts: true, reconnect: () => {} };
  const bus = {
    subscribe: (stream: string, _sessionId: string, on: (payload: Uint8Array) => void) => {
      handlers.set(stream, on);
      return { unsubscribe: () => handlers.delete(stream) };
    },
    subscribeEvents: (_sessionId: string, on: (event: MeshEvent) => void) => {
      handlers.set('event', (payload) => on(JSON.parse(new TextDecoder().decode(payload)) as MeshEvent));
      return { unsubscribe: () => handlers.delete('event') };
    },
    publish: (_stream: string, _sessionId: string, payload: Uint8Array) => playheads.push(decodePlayhead(payload)),
    publishEvent: (event: Pick<MeshEvent, 'type'>) => events.push(event),
    onReconnect: (listener: () => void) => {
      hooks.reconnect = listener;
      return { unsubscribe: () => undefined };
    },
  } as unknown as Bus;
  const metrics = createEgressMetrics(createMetrics({ defaults: false }));
  const session = new EgressSession({
    sessionId: SESSION_ID,
    epoch: 0,
    fps: 25,
    shape: { width: 16, height: 16, samples: 960 },
    creditChunks: 2,
    connectTimeoutMs: 3_600_000,
    goneMs: 3_600_000,
    bus,
    log: createLogger({ service: 'test', instanceId: 'test', level: 'silent', pretty: false }),
    metrics,
  });
  const peers: FakePeer[] = [];
  const host: ViewerHost = {
    open: async (peerId, _sdp, _setup, listener) => {
      await hooks.beforeAnswer();
      peers.push({ peerId, listener, sent: [], closed: false });
      return 'answer';
    },
    ice: async () => '',
    post: (peerId, message) => {
      if (hooks.accepts) peers.find((peer) => peer.peerId === peerId)?.sent.push(message);
      return hooks.accepts;
    },
    close: async (peerId) => {
      for (const peer of peers) if (peer.peerId === peerId) peer.closed = true;
    },
  };
  const setup = { width: 16, height: 16, fps: 25, sampleRateHz: 24_000 };
  const sink = new WebrtcSink({ session, host, metrics, setup, playoutFrames: 3, maxKbps: 500, startKbps: 100 });
  session.start(sink);
  open.push(session);
  const receive = (...frames: FrameMessage[]) => {
    for (const frame of frames) handlers.get('frame')?.(encodeFrame(frame));
  };
  const flush = (epoch: number, fromChunk: number, cut: { readonly cutFrom?: number } = {}) =>
    handlers.get('event')?.(
      encodeEvent({
        id: `test.${epoch}`,
        type: 'flush',
        fromChunk,
        ...cut,
        cause: 'interrupt',
        sessionId: SESSION_ID,
        epoch,
        turn: 0,
      }),
    );
  const connect = async () => {
    await sink.offer(OFFER);
    const peer = peers.at(-1) as FakePeer;
    peer.listener.onState('connected');
    return peer;
  };
  const play = (peer: FakePeer, serial: number) =>
    peer.listener.onMessage({ type: 'played', report: { serial, lateMs: 1, skewMs: 0 } });
  /** Frames of an outcome that were counted. */
  const counted = async (outcome: string): Promise<number> =>
    (await metrics.frames.get()).values.find(({ labels }) => labels['outcome'] === outcome)?.value ?? 0;
  return { session, sink, peers, playheads, events, hooks, receive, flush, connect, play, counted };
}

const sentSerials = (peer: FakePeer) =>
  peer.sent.flatMap((message) => (message.type === 'frame' ? [message.frame.serial] : []));
const types = (events: readonly Pick<MeshEvent, 'type'>[]) => events.map(({ type }) => type);

test('no frame is handed over before the viewer connects, then a few ahead of the clock', {
  timeout: 30_000,
}, async () => {
  const { receive, connect, play, sink, peers, session } = setUp();
  receive(...testChunk(0));
  await sink.offer(OFFER);
  assert.deepEqual(sentSerials(peers[0] as FakePeer), []);
  const peer = await connect();
  assert.deepEqual(sentSerials(peer), [0, 1, 2]);
  play(peer, 0);
  assert.deepEqual(sentSerials(peer), [0, 1, 2, 3]);
  assert.equal(session.stats().itemsOut, 1);
});

test('a flush reaches the child process, and the frames it discards make room', { timeout: 30_000 }, async () => {
  const { receive, flush, connect, peers, session } = setUp();
  receive(...testChunk(0));
  const peer = await connect();
  flush(1, 0);
  assert.deepEqual(peer.sent.at(-1), { type: 'flush', epoch: 1, fromChunk: 0, isInterrupt: true });
  peer.listener.onMessage({ type: 'discarded', serials: [1, 2] });
  assert.equal(session.stats().dropped, FRAMES_PER_CHUNK - 3 + 2);
  receive(testFrame(0, 0, { epoch: 1 }));
  assert.equal(peers[0]?.sent.filter((message) => message.type === 'frame').length, 4);
});

test('a new viewer plays what the old one had not, and late messages of the old one are ignored', {
  timeout: 30_000,
}, async () => {
  const { receive, connect, play, session, events } = setUp();
  receive(...testChunk(0));
  const first = await connect();
  play(first, 0);
  const second = await connect();
  assert.equal(first.closed, true);
  play(first, 1);
  first.listener.onState('failed');
  const frames = second.sent.flatMap((message) => (message.type === 'frame' ? [message.frame] : []));
  assert.equal(frames[0]?.i420[0], 17, 'it starts with frame 1');
  assert.equal(session.stats().itemsOut, 1);
  assert.deepEqual(types(events), ['viewer.connected', 'viewer.connected']);
});

test('after a reconnect to NATS missed frames are requested, and later frames wait for them', {
  timeout: 30_000,
}, async () => {
  const { receive, connect, play, events, hooks, playheads } = setUp();
  receive(testFrame(0, 0));
  const peer = await connect();
  play(peer, 0);
  hooks.reconnect();
  assert.equal(events.at(-1)?.type, 'frames.missed');
  assert.deepEqual([playheads.at(-1)?.chunk, playheads.at(-1)?.frame], [0, 0]);
  receive(testFrame(0, 2));
  assert.deepEqual(sentSerials(peer), [0]);
  receive(testFrame(0, 1));
  assert.deepEqual(sentSerials(peer), [0, 1, 2]);
});

test('after a crash of the child an error is published and the next viewer plays the remaining frames', {
  timeout: 30_000,
}, async () => {
  const { receive, connect, session, events, play } = setUp();
  receive(...testChunk(0));
  const peer = await connect();
  peer.listener.onLost();
  assert.deepEqual(types(events), ['viewer.connected', 'error']);
  const again = await connect();
  play(again, sentSerials(again)[0] ?? -1);
  assert.equal(session.stats().itemsOut, 1);
});

test('when the child does not keep up, a frame is dropped and playout continues', { timeout: 30_000 }, async () => {
  const { receive, connect, hooks, session } = setUp();
  const peer = await connect();
  hooks.accepts = false;
  receive(testFrame(0, 0));
  hooks.accepts = true;
  receive(testFrame(0, 1));
  assert.equal(peer.sent.length, 1);
  assert.equal(session.stats().dropped, 1);
});

test('a session that ends while an offer is being answered leaves no peer open', { timeout: 30_000 }, async () => {
  const { sink, session, hooks, peers } = setUp();
  let answer = () => {};
  hooks.beforeAnswer = () =>
    new Promise<void>((resolve) => {
      answer = resolve;
    });
  const offered = sink.offer(OFFER);
  const ended = assert.rejects(offered, (error) => error instanceof MeshError && error.reason === 'SESSION_ENDED');
  await new Promise((resolve) => setImmediate(resolve));
  const closed = session.close();
  answer();
  await Promise.all([ended, closed]);
  assert.deepEqual(
    peers.map((peer) => peer.closed),
    [true],
  );
});

test('an offer that receives no media is rejected', { timeout: 30_000 }, async () => {
  const { sink } = setUp();
  await assert.rejects(sink.offer(OFFER.replace('recvonly', 'sendonly')), /neither audio nor video/);
});

test('the wait for the chunk after a cut is not lateness, unless it takes too long', async () => {
  const { receive, flush, connect, play, counted } = setUp();
  const peer = await connect();
  receive(testFrame(0, 0), testFrame(0, 1));
  play(peer, 0);
  flush(1, 1, { cutFrom: 0 });
  for (let held = 0; held < 12; held++) peer.listener.onMessage({ type: 'held' });
  assert.deepEqual([await counted('cut'), await counted('held')], [10, 2]);
  receive(testFrame(1, 0, { epoch: 1 }));
  play(peer, 2);
  peer.listener.onMessage({ type: 'held' });
  assert.deepEqual([await counted('cut'), await counted('held')], [10, 3]);
});
