import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { Call } from './call.js';
import { TalkMeshClient } from './client.js';
import type { TalkMeshError } from './http.js';
import {
  FakeDevices,
  FakeGateway,
  FakePeer,
  FakeStream,
  type FakeTrack,
  problem,
  SESSION,
  until,
} from './testing/fakes.js';

let gateway: FakeGateway;
let devices: FakeDevices;

beforeEach(() => {
  gateway = new FakeGateway();
  devices = new FakeDevices('built-in', 'headset');
  FakePeer.made = [];
  FakePeer.connects = true;
});

async function connected(microphone: string | boolean): Promise<{ call: Call; problems: (string | undefined)[] }> {
  const client = new TalkMeshClient({
    baseUrl: 'http://gateway.test/',
    apiKey: 'key',
    fetch: gateway.fetch,
    createPeer: (configuration) => new FakePeer(configuration) as unknown as RTCPeerConnection,
    createStream: () => new FakeStream() as unknown as MediaStream,
    mediaDevices: devices as unknown as MediaDevices,
    gatherMs: 200,
    connectMs: 200,
  });
  const call = await client.createSession({ avatar: 'ada' });
  const problems: (string | undefined)[] = [];
  call.on('input', (trouble) => problems.push(trouble?.code));
  await call.connect({ microphone });
  await until('events', () => gateway.openFeeds > 0);
  return { call, problems };
}

const last = (): FakeTrack => devices.opened.at(-1) as FakeTrack;
const sent = (): unknown => FakePeer.made.at(-1)?.transceivers[0]?.what;
const posts = (): string[] => gateway.paths('POST').filter((path) => path.startsWith('/v1/whip'));

test('another microphone is sent over the connection that exists, muted as the one before, which is closed', async () => {
  const { call } = await connected('built-in');
  const [before] = devices.opened;
  call.mute(true);
  await call.useMicrophone('headset');
  assert.equal(posts().length, 1, 'the connection stays');
  assert.equal(sent(), last());
  assert.notEqual(last(), before);
  assert.deepEqual([before?.stopped, last().stopped, last().enabled], [true, false, false]);
  assert.equal(call.microphone?.getAudioTracks()[0], last() as unknown);
  await call.hangUp();
  assert.ok(last().stopped);
  assert.equal(call.microphone, undefined);
});

test('a microphone that is not there is refused in words, and the one before is kept', async () => {
  const { call } = await connected('built-in');
  const [before] = devices.opened;
  await assert.rejects(call.useMicrophone('gone'), (error: TalkMeshError) => {
    assert.equal(error.reason, 'MIC_MISSING');
    assert.match(error.message, /The chosen microphone is not connected\. Connect it, or choose another one\./);
    return true;
  });
  assert.deepEqual([sent(), before?.stopped], [before, false]);
  await call.hangUp();
});

test('a call that began without a microphone gets one; when its connection fails, it can be tried again', async () => {
  const { call } = await connected(false);
  assert.equal(call.hasMicrophone, false);
  const works = gateway.routes.get(`POST /v1/whip/${SESSION}`);
  gateway.routes.set(`POST /v1/whip/${SESSION}`, () => problem(503, 'NO_WORKER'));
  await assert.rejects(call.useMicrophone(), (error: TalkMeshError) => error.reason === 'NO_WORKER');
  assert.ok(works);
  gateway.routes.set(`POST /v1/whip/${SESSION}`, works);
  await call.useMicrophone();
  assert.ok(call.hasMicrophone);
  assert.equal(sent(), last());
  await call.hangUp();
});

test('a new connection after a move sends the microphone that was chosen last', async () => {
  const { call } = await connected('built-in');
  await call.useMicrophone('headset');
  gateway.event({ type: 'stage.moved', service: 'audio-ingest', cause: 'died', tookMs: 5 });
  await until('the new connection', () => posts().length === 2 && call.hasMicrophone);
  assert.equal(sent(), last());
  await call.hangUp();
});

/** Openings wait until the returned functions are called, in the order of the openings. */
function holdOpenings(): (() => void)[] {
  const usual = devices.getUserMedia.bind(devices);
  const releases: (() => void)[] = [];
  devices.getUserMedia = async (wanted) => {
    await new Promise<void>((resolve) => void releases.push(resolve));
    return usual(wanted);
  };
  return releases;
}

test('of two microphones that are chosen while they open, the last choice is used and the other one is closed', async () => {
  const { call } = await connected('built-in');
  const [before] = devices.opened;
  const releases = holdOpenings();
  const first = call.useMicrophone('headset');
  const second = call.useMicrophone('built-in');
  releases[1]?.();
  await second;
  const [, chosen] = devices.opened;
  releases[0]?.();
  await assert.rejects(first, (error: TalkMeshError) => error.reason === 'CANCELLED');
  assert.equal(sent(), chosen);
  assert.deepEqual(
    devices.opened.map(({ stopped }) => stopped),
    [true, false, true],
  );
  assert.notEqual(chosen, before);
  await call.hangUp();
});

test('the choice of the user holds when the unplugged microphone comes back while the chosen one opens', async () => {
  const { call } = await connected('headset');
  last().tell('ended');
  const releases = holdOpenings();
  const choice = call.useMicrophone('built-in');
  devices.become('built-in', 'headset');
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(releases.length, 1, 'nothing else is opened');
  releases[0]?.();
  await choice;
  assert.equal(sent(), last());
  await call.hangUp();
});

test('after its connection was given up, the microphone can be used again', async () => {
  const { call } = await connected('built-in');
  const errors: string[] = [];
  call.on('error', ({ reason }) => errors.push(reason));
  const path = `POST /v1/whip/${SESSION}`;
  const works = gateway.routes.get(path);
  assert.ok(works);
  gateway.routes.set(path, () => problem(403, 'FORBIDDEN'));
  FakePeer.made.at(-1)?.become('failed');
  await until('the error', () => errors.length === 1);
  assert.deepEqual([errors, call.hasMicrophone], [['FORBIDDEN'], false]);
  gateway.routes.set(path, works);
  await call.useMicrophone('headset');
  assert.ok(call.hasMicrophone);
  assert.equal(sent(), last());
  await call.hangUp();
});

test('an unplugged microphone and one that the system mutes are told, before what the mesh hears', async () => {
  const { call, problems } = await connected('headset');
  gateway.event({ type: 'input.problem', code: 'silent', text: 'Nothing is heard.' });
  await until('the problem', () => problems.length === 1);
  last().tell('mute');
  last().tell('unmute');
  last().tell('ended');
  assert.deepEqual(problems, ['silent', 'system-muted', 'silent', 'unplugged']);
  assert.match(call.inputProblem?.text ?? '', /unplugged\. Connect it again, or choose another one/);
  const [first] = devices.opened;
  devices.become('built-in');
  devices.become('built-in', 'headset');
  await until('the headset to be used again', () => last() !== first && sent() === last());
  assert.deepEqual(problems, ['silent', 'system-muted', 'silent', 'unplugged', 'silent']);
  gateway.event({ type: 'input.recovered', code: 'silent' });
  await until('no problem', () => call.inputProblem === undefined);
  await call.hangUp();
});

test('the silence of a microphone that the user muted is no problem', async () => {
  const { call, problems } = await connected(true);
  call.mute(true);
  gateway.event({ type: 'input.problem', code: 'silent', text: 'Nothing is heard.' });
  await until('the event', () => call.progress.inputProblem !== undefined);
  assert.deepEqual(problems, []);
  call.mute(false);
  call.mute(true);
  assert.deepEqual(problems, ['silent', undefined]);
  await call.hangUp();
});
