import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Call } from './call.js';
import { type ClientOptions, TalkMeshClient } from './client.js';
import type { TalkMeshError } from './http.js';
import { FakeGateway, FakePeer, FakeStream, FakeTrack, fakeToken, problem, SESSION, until } from './testing/fakes.js';

let gateway: FakeGateway;
let microphone: FakeStream;

beforeEach(() => {
  gateway = new FakeGateway();
  microphone = new FakeStream([new FakeTrack('audio')]);
  FakePeer.made = [];
  FakePeer.connects = true;
});

function client(extra: Partial<ClientOptions> = {}): TalkMeshClient {
  return new TalkMeshClient({
    baseUrl: 'http://gateway.test/',
    apiKey: 'key',
    fetch: gateway.fetch,
    createPeer: (configuration) => new FakePeer(configuration) as unknown as RTCPeerConnection,
    createStream: () => new FakeStream() as unknown as MediaStream,
    mediaDevices: { getUserMedia: async () => microphone as unknown as MediaStream },
    gatherMs: 200,
    connectMs: 200,
    ...extra,
  });
}

function reasonIs(reason: string): (error: TalkMeshError) => boolean {
  return (error) => {
    assert.equal(error.reason, reason);
    return true;
  };
}

async function connected(extra: Partial<ClientOptions> = {}): Promise<Call> {
  const call = await client(extra).createSession({ avatar: 'ada' });
  await call.connect();
  await until('events', () => gateway.openFeeds > 0);
  return call;
}

test('a call connects video and microphone with the session token and gathers candidates before it offers', async () => {
  const call = await connected();
  assert.equal(call.state, 'listening');
  const [create, ...rest] = gateway.seen;
  assert.equal(create?.bearer, 'key');
  for (const seen of rest) assert.equal(seen.bearer, fakeToken(600), seen.path);
  const offers = gateway.seen.filter((seen) => seen.path.startsWith('/v1/wh'));
  assert.deepEqual(
    offers.map((seen) => seen.path),
    [`/v1/whep/${SESSION}`, `/v1/whip/${SESSION}`],
  );
  for (const offer of offers) assert.match(offer.body ?? '', /a=candidate/);
  const [view, voice] = FakePeer.made;
  assert.deepEqual(view?.transceivers, [
    { what: 'video', direction: 'recvonly' },
    { what: 'audio', direction: 'recvonly' },
  ]);
  assert.deepEqual(voice?.transceivers, [{ what: microphone.tracks[0], direction: 'sendonly' }]);
  assert.deepEqual(
    call.stream.getTracks().map((track) => track.kind),
    ['video', 'audio'],
  );
  assert.deepEqual(view?.configuration.iceServers, []);
  assert.ok(call.hasMicrophone);
  await call.hangUp();
});

test('the state follows the events of the session', async () => {
  const call = await connected();
  const states: string[] = [];
  const events: string[] = [];
  call.on('state', (state) => states.push(state));
  call.on('event', (event) => events.push(event.type));
  const types = ['speech.started', 'speech.stopped', 'turn.queued', 'turn.started', 'flush', 'turn.finished'];
  for (const type of types) gateway.event({ type });
  await until('all events', () => events.length === types.length);
  assert.deepEqual(states, ['thinking', 'speaking', 'listening']);
  await call.hangUp();
  assert.deepEqual(states.at(-1), 'ended');
});

test('hangUp deletes the session, closes both connections and releases the microphone', async () => {
  const call = await connected();
  await call.hangUp();
  await call.hangUp();
  assert.deepEqual(
    FakePeer.made.map((peer) => peer.connectionState),
    ['closed', 'closed'],
  );
  assert.ok(microphone.tracks[0]?.stopped);
  assert.deepEqual(gateway.paths('DELETE'), [`/v1/sessions/${SESSION}`]);
  assert.equal(
    call.hangUpNow(() => assert.fail('no beacon after a hang-up')),
    false,
  );
});

test('a microphone stream of the page is sent but never stopped; mute disables its track', async () => {
  const call = await client().createSession({ avatar: 'ada' });
  await call.connect({ microphone: microphone as unknown as MediaStream });
  call.mute(true);
  assert.equal(microphone.tracks[0]?.enabled, false);
  call.mute(false);
  assert.equal(microphone.tracks[0]?.enabled, true);
  await call.hangUp();
  assert.equal(microphone.tracks[0]?.stopped, false);
});

test('a denied microphone is reported and the call continues without it', async () => {
  const denied = Object.assign(new Error('no'), { name: 'NotAllowedError' });
  const call = await client({
    mediaDevices: {
      getUserMedia: async () => {
        throw denied;
      },
    },
  }).createSession({ avatar: 'ada' });
  const errors: TalkMeshError[] = [];
  call.on('error', (error) => errors.push(error));
  await call.connect();
  assert.deepEqual(
    errors.map((error) => error.reason),
    ['MIC_DENIED'],
  );
  assert.equal(call.state, 'listening');
  assert.equal(call.hasMicrophone, false);
  assert.equal(FakePeer.made.length, 1);
  await call.hangUp();
});

test('say sets the state to thinking at once and restores it when the request fails', async () => {
  const call = await connected();
  const states: string[] = [];
  call.on('state', (state) => states.push(state));
  gateway.routes.set(`POST /v1/sessions/${SESSION}/say`, (seen) => {
    assert.deepEqual(JSON.parse(seen.body ?? ''), { text: 'hello' });
    return problem(424, 'TTS_UNAVAILABLE');
  });
  await assert.rejects(call.say('hello'), reasonIs('TTS_UNAVAILABLE'));
  assert.deepEqual(states, ['thinking', 'listening']);
  gateway.routes.set(`POST /v1/sessions/${SESSION}/say`, () => Response.json({ turn: 3, cancelled: false }));
  assert.deepEqual(await call.say('hello'), { turn: 3, cancelled: false });
  const verbs = ['interrupt', 'input/start', 'input/commit', 'input/cancel'];
  for (const verb of verbs) gateway.routes.set(`POST /v1/sessions/${SESSION}/${verb}`, () => Response.json(verb));
  const asked = [call.interrupt(), call.startInput(), call.commitInput(), call.cancelInput()];
  assert.deepEqual(await Promise.all<unknown>(asked), verbs);
  await call.hangUp();
});

test('the state stays paused while turns start and finish and while the video reconnects; only the end of the pause ends it', async () => {
  const call = await connected();
  const states: string[] = [];
  call.on('state', (state) => states.push(state));
  gateway.routes.set(`POST /v1/sessions/${SESSION}/pause`, () => Response.json({ paused: true }));
  gateway.routes.set(`POST /v1/sessions/${SESSION}/resume`, () => Response.json({ resumed: true }));
  gateway.event({ type: 'turn.started', source: 'text' });
  await until('the turn', () => call.state === 'speaking');
  assert.deepEqual(await call.pause(), { paused: true });
  gateway.event({ type: 'turn.paused', heardMs: 480, cause: 'command' });
  await until('the pause', () => call.state === 'paused');
  gateway.event({ type: 'speech.stopped', durationMs: 100 });
  gateway.event({ type: 'turn.queued', source: 'text', turn: 2 });
  gateway.event({ type: 'turn.cancelled', turn: 2 });
  FakePeer.made[0]?.become('failed');
  await until('a new video connection', () => FakePeer.made.length === 3 && call.state === 'paused');
  assert.deepEqual(await call.resume(), { resumed: true });
  gateway.event({ type: 'turn.resumed', heardMs: 480, cause: 'command' });
  await until('speech', () => call.state === 'speaking');
  gateway.event({ type: 'turn.paused', heardMs: 900, cause: 'command' });
  gateway.event({ type: 'turn.finished', interrupted: true, speechMs: 1000, heardMs: 900 });
  await until('the second pause', () => call.state === 'paused');
  gateway.event({ type: 'turn.resumed', heardMs: 900, cause: 'interrupt' });
  await until('silence', () => call.state === 'listening');
  assert.deepEqual(states, ['speaking', 'paused', 'reconnecting', 'paused', 'speaking', 'paused', 'listening']);
  await call.hangUp();
});

test('a second line that waits neither takes over the caption nor ends the state of the first', async () => {
  const call = await connected();
  const states: string[] = [];
  call.on('state', (state) => states.push(state));
  const send = (turn: number, type: string, more: object = {}): void => gateway.event({ type, turn, ...more });
  send(1, 'turn.queued', { source: 'text' });
  send(1, 'turn.started', { source: 'text' });
  send(1, 'caption', { text: 'one', fromMs: 0 });
  send(2, 'turn.queued', { source: 'text' });
  send(2, 'transcript', { role: 'avatar', text: 'two', final: true });
  await until('the second line', () => call.progress.turns.length === 2);
  assert.deepEqual([call.state, call.progress.caption], ['speaking', { turn: 1, text: 'one' }]);
  send(1, 'turn.finished', { interrupted: false, speechMs: 500, heardMs: 500 });
  await until('the end of the first', () => call.progress.turns.length === 1);
  assert.deepEqual([call.state, call.progress.caption], ['thinking', undefined]);
  send(2, 'turn.cancelled');
  await until('silence', () => call.state === 'listening');
  assert.deepEqual(states, ['thinking', 'speaking', 'thinking', 'listening']);
  await call.hangUp();
});

test('after a gap the event stream continues after the last event, and a snapshot sets the state', async () => {
  const call = await connected();
  gateway.event({ type: 'turn.queued', source: 'text' });
  await until('the turn', () => call.state === 'thinking');
  const asked = (): (string | undefined)[] =>
    gateway.seen.flatMap(({ path, lastEventId }) => (path.endsWith('/events') ? [lastEventId] : []));
  gateway.breakFeeds();
  await until('a new stream', () => asked().length === 2 && gateway.openFeeds === 1);
  assert.deepEqual(asked(), [undefined, 'fake.1']);
  const progress = { turns: [{ turn: 4, source: 'voice', audible: true }], paused: false, userSpeaking: false };
  gateway.event({ type: 'session.snapshot', progress: { ...progress, recovering: [] } });
  await until('the state of the snapshot', () => call.state === 'speaking');
  await call.hangUp();
});

test('a lost video connection is restored and the stream object stays the same', async () => {
  const call = await connected();
  const states: string[] = [];
  const { stream } = call;
  call.on('state', (state) => states.push(state));
  FakePeer.made[0]?.become('failed');
  await until('a new connection', () => FakePeer.made.length === 3 && call.state === 'listening');
  assert.deepEqual(states, ['reconnecting', 'listening']);
  assert.equal(call.stream, stream);
  assert.equal(stream.getTracks().length, 2);
  assert.ok(gateway.paths('DELETE').includes(`/v1/whep/${SESSION}/r1`));
  await call.hangUp();
});

test('when a stage has moved its connection is renewed at once: video for the egress, microphone for the ingest, none for the others', async () => {
  const call = await connected();
  assert.equal(FakePeer.made.length, 2);
  const states: string[] = [];
  call.on('state', (state) => states.push(state));
  gateway.event({ type: 'turn.started', source: 'text' });
  gateway.event({ type: 'stage.moved', service: 'score-model', cause: 'died', tookMs: 80 });
  await until('the turn', () => call.state === 'speaking');
  assert.equal(FakePeer.made.length, 2);
  let refusals = 2;
  const answer = gateway.routes.get(`POST /v1/whep/${SESSION}`);
  gateway.routes.set(`POST /v1/whep/${SESSION}`, (seen) => {
    refusals -= 1;
    return refusals >= 0 ? problem(503, 'PEER_LOST', { retryable: true }) : (answer?.(seen) as Response);
  });
  gateway.event({ type: 'stage.moved', service: 'webrtc-egress', cause: 'died', tookMs: 80 });
  await until('the video connection', () => call.state === 'speaking' && FakePeer.made.length === 5);
  assert.deepEqual(states, ['speaking', 'reconnecting', 'speaking']);
  gateway.event({ type: 'stage.moved', service: 'audio-ingest', cause: 'drained', tookMs: 80 });
  await until('the microphone connection', () => FakePeer.made.length === 6);
  assert.equal(FakePeer.made.at(-1)?.transceivers[0]?.direction, 'sendonly');
  assert.deepEqual(states, ['speaking', 'reconnecting', 'speaking'], 'the picture went on');
  await call.hangUp();
});

test('a video connection that cannot be restored ends the call with the reason', async () => {
  const call = await connected();
  const errors: TalkMeshError[] = [];
  call.on('error', (error) => errors.push(error));
  gateway.routes.set(`POST /v1/whep/${SESSION}`, () => problem(410, 'SESSION_ENDED'));
  FakePeer.made[0]?.become('failed');
  await until('the end', () => call.state === 'ended');
  assert.equal(errors.at(-1)?.reason, 'SESSION_ENDED');
});

test('media that never connects is an error, the resource is released and connect may be called again', async () => {
  FakePeer.connects = false;
  const call = await client({ connectMs: 20 }).createSession({ avatar: 'ada' });
  await assert.rejects(call.connect(), reasonIs('SDP_TIMEOUT'));
  assert.equal(call.state, 'new');
  assert.equal(FakePeer.made[0]?.connectionState, 'closed');
  assert.ok(gateway.paths('DELETE').includes(`/v1/whep/${SESSION}/r1`));
  FakePeer.connects = true;
  await call.connect({ microphone: false });
  assert.equal(call.state, 'listening');
  assert.equal(gateway.openFeeds, 1, 'one feed of events, not two');
  await call.hangUp();
});

test('the end of the session ends the call; a broken event feed is opened again', async () => {
  const call = await connected();
  const types: string[] = [];
  call.on('event', (event) => types.push(event.type));
  gateway.breakFeeds();
  await until('a new feed', () => gateway.openFeeds === 1);
  gateway.event({ type: 'session.ended', cause: 'drain' });
  await until('the end', () => call.state === 'ended');
  assert.deepEqual(types, ['session.ended']);
  assert.equal(gateway.paths('DELETE').includes(`/v1/sessions/${SESSION}`), false, 'nothing is left to delete');
});

test('an error event of a service is reported and does not end the call', async () => {
  const call = await connected();
  const errors: TalkMeshError[] = [];
  call.on('error', (error) => errors.push(error));
  gateway.event({ type: 'error', service: 'audio-llm-bridge', reason: 'PROVIDER_FAILED', message: 'no answer' });
  await until('the error', () => errors.length === 1);
  assert.equal(errors[0]?.reason, 'PROVIDER_FAILED');
  assert.equal(call.state, 'listening');
  await call.hangUp();
});

test('the token is renewed before it expires, and the new one is used', async () => {
  gateway.routes.set('POST /v1/sessions', () =>
    Response.json({ session: { id: SESSION }, token: fakeToken(0.1) }, { status: 201 }),
  );
  gateway.routes.set(`POST /v1/sessions/${SESSION}/token`, () =>
    Response.json({ token: fakeToken(600, SESSION, 'fresh') }),
  );
  gateway.routes.set(`POST /v1/sessions/${SESSION}/interrupt`, () => Response.json({ interrupted: false }));
  const call = await connected();
  await until('renewal', () => gateway.paths('POST').includes(`/v1/sessions/${SESSION}/token`));
  await new Promise((resolve) => setImmediate(resolve));
  await call.interrupt();
  assert.equal(gateway.seen.at(-1)?.bearer, fakeToken(600, SESSION, 'fresh'));
  await call.hangUp();
});

test('a token that expired while the computer slept is renewed with the API key; without a key the call ends', async () => {
  const bearers: (string | undefined)[] = [];
  const session = (): Response => Response.json({ session: { id: SESSION }, token: fakeToken(0.05) }, { status: 201 });
  gateway.routes.set('POST /v1/sessions', session);
  gateway.routes.set(`POST /v1/sessions/${SESSION}/token`, (seen) => {
    bearers.push(seen.bearer);
    return seen.bearer === 'key' ? Response.json({ token: fakeToken(600) }) : problem(401, 'TOKEN_EXPIRED');
  });
  const call = await connected();
  await until('renewal', () => bearers.length === 2);
  assert.deepEqual(bearers, [fakeToken(0.05), 'key']);
  await call.hangUp();

  const { apiKey: _, ...keyless } = { apiKey: '' };
  const joined = new TalkMeshClient({
    baseUrl: 'http://gateway.test',
    token: fakeToken(0.05),
    fetch: gateway.fetch,
    createPeer: (configuration) => new FakePeer(configuration) as unknown as RTCPeerConnection,
    createStream: () => new FakeStream() as unknown as MediaStream,
    ...keyless,
  }).join();
  const errors: TalkMeshError[] = [];
  joined.on('error', (error) => errors.push(error));
  await joined.connect({ microphone: false });
  await until('the end', () => joined.state === 'ended');
  assert.equal(errors.at(-1)?.reason, 'TOKEN_EXPIRED');
});

test('join reads the session id from the token and rejects text that is not a token', () => {
  assert.equal(client({ token: fakeToken(600) }).join().id, SESSION);
  assert.throws(() => client({ token: 'nonsense' }).join(), reasonIs('TOKEN_INVALID'));
});

test('hangUpNow sends a beacon with the token', async () => {
  const call = await connected();
  const sent: string[][] = [];
  assert.ok(
    call.hangUpNow((url, body) => {
      sent.push([url, body]);
      return true;
    }),
  );
  assert.deepEqual(sent, [
    [`http://gateway.test/v1/sessions/${SESSION}/beacon`, JSON.stringify({ token: fakeToken(600) })],
  ]);
  await call.hangUp();
});

test('stats returns the measurements of the video', async () => {
  const call = await connected();
  const stats = await call.stats();
  assert.equal(stats.framesDecoded, 7);
  assert.equal(stats.packetsLost, 2);
  assert.equal(stats.roundTripMs, undefined);
  await call.hangUp();
  await assert.rejects(call.stats(), reasonIs('NETWORK'));
});

test('a listener that throws does not stop the others', async () => {
  const call = await connected();
  const thrown: unknown[] = [];
  globalThis.reportError = (error) => void thrown.push(error);
  const seen: string[] = [];
  const off = call.on('event', () => {
    throw new Error('page error');
  });
  call.on('event', (event) => seen.push(event.type));
  gateway.event({ type: 'viewer.connected' });
  await until('both listeners', () => seen.length === 1 && thrown.length === 1);
  off();
  await call.hangUp();
});

test('createSession returns a Call', async () => {
  const call = await client().createSession({ avatar: 'ada', provider: 'parrot', seed: 3 });
  assert.ok(call instanceof Call);
  assert.deepEqual(JSON.parse(gateway.seen[0]?.body ?? ''), { avatar: 'ada', provider: 'parrot', seed: 3 });
});
