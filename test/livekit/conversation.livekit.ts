/** A caller talks to the avatar of a whole mesh in a room of LiveKit's own server, without an agent: microphone, voice, picture, captions, and lost workers. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type MeshEvent, OPEN_ORDER } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { CascadeTestServer } from '../../services/audio-llm-bridge/src/testing/cascade-server.js';
import { EVENTS_TOPIC, TRANSCRIPTION, TRANSCRIPTION_TOPIC } from '../../services/webrtc-egress/src/room-texts.js';
import { rest } from '../support/record-call.js';
import { RoomMesh } from '../support/room-mesh.js';
import { RoomSpeaker } from '../support/room-speaker.js';
import { endRoomLibrary, RoomViewer } from '../support/room-viewer.js';
import { concatenate, silence, speak } from '../support/speech.js';

const PATIENCE_MS = 90_000;
const CALLER = 'caller';
const QUESTION = 'What is the weather like today?';
const ANSWER = 'It is sunny and warm. You will not need a coat. The evening is cool.';
const BLOCK_MS = 10;

let room: RoomMesh;
let cascade: CascadeTestServer;
let rooms = 0;
before(async () => {
  cascade = await CascadeTestServer.start({ transcripts: [QUESTION], chat: () => ({ text: ANSWER }) });
  const bridge = {
    TALKMESH_PROVIDERS: 'parrot,cascade',
    ...{
      TALKMESH_CASCADE_URL: cascade.url,
      TALKMESH_CASCADE_CHAT_MODEL: 'test',
      TALKMESH_CASCADE_SPEECH_MODEL: 'test',
    },
  };
  room = await RoomMesh.start({
    replicas: { ...Object.fromEntries(OPEN_ORDER.map((name) => [name, 1])), 'webrtc-egress': 2, 'audio-ingest': 2 },
    env: { 'audio-llm-bridge': bridge },
  });
});
after(async () => {
  await room?.[Symbol.asyncDispose]();
  await cascade?.[Symbol.asyncDispose]();
  await endRoomLibrary();
});

interface Session {
  readonly id: string;
  readonly transport: { readonly livekit: { readonly identity: string } };
  readonly placement: Readonly<Record<string, string>>;
}

/** A caller with a microphone and a viewer in a room of their own, and an avatar that hears the caller. */
class Talk implements AsyncDisposable {
  readonly caller: RoomSpeaker;
  readonly viewer: RoomViewer;
  readonly session: Session;

  static async open(provider: string): Promise<Talk> {
    const { server, mesh } = room;
    const name = `talk-${++rooms}`;
    const viewer = await RoomViewer.join(server.url, await server.token('viewer', name), [
      TRANSCRIPTION_TOPIC,
      EVENTS_TOPIC,
    ]);
    const caller = await RoomSpeaker.join(server.url, await server.token(CALLER, name));
    await caller.open(24_000);
    const livekit = { room: name, microphone: { identity: CALLER } };
    const { status, body } = await rest<{ session: Session }>(mesh, 'POST', '/v1/sessions', {
      ...{ avatar: 'mia', provider, transport: { livekit } },
    });
    assert.equal(status, 201, JSON.stringify(body));
    const talk = new Talk(caller, viewer, body.session);
    await viewer.more(10);
    await until(
      'the caller is heard',
      () => talk.events.some((e) => e.type === 'input.source' && e.participant === CALLER),
      PATIENCE_MS,
    );
    return talk;
  }

  private constructor(caller: RoomSpeaker, viewer: RoomViewer, session: Session) {
    this.caller = caller;
    this.viewer = viewer;
    this.session = session;
  }

  /** Those that the room was told. */
  get events(): MeshEvent[] {
    return this.viewer.texts.flatMap(({ topic, text }) =>
      topic === EVENTS_TOPIC ? [JSON.parse(text) as MeshEvent] : [],
    );
  }

  /** Duration of sound of the avatar that the viewer heard, milliseconds. */
  get heardMs(): number {
    return this.viewer.blocks.filter(({ loud }) => loud).length * BLOCK_MS;
  }

  /** The words of one speaker as a client shows them: of each segment the newest text. */
  wordsOf(identity: string) {
    return this.viewer.texts.filter(({ topic, from }) => topic === TRANSCRIPTION_TOPIC && from === identity);
  }

  async turns(count: number): Promise<void> {
    const ended = () => this.events.filter(({ type }) => type === 'turn.finished').length;
    await until(`${count} turns`, () => ended() >= count, PATIENCE_MS);
  }

  /** Ends the worker that holds a stage of the session: SIGKILL as a crash does, SIGTERM as an update does. */
  async endWorker(service: string, signal: NodeJS.Signals): Promise<void> {
    const { body } = await rest<Session>(room.mesh, 'GET', `/v1/sessions/${this.session.id}`);
    const worker = room.mesh.services.find(({ instanceId }) => instanceId === body.placement[service]);
    assert.ok(worker !== undefined);
    process.kill(worker.pid, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rest(room.mesh, 'DELETE', `/v1/sessions/${this.session.id}`);
    await this.caller[Symbol.asyncDispose]();
    await this.viewer[Symbol.asyncDispose]();
  }
}

const question = () => concatenate(silence(0.3), speak(QUESTION), silence(1.5));

test('the avatar repeats what the caller says in the room', async () => {
  await using talk = await Talk.open('parrot');
  const said = question();
  await talk.caller.say(said);
  await talk.turns(1);

  assert.ok(talk.heardMs > 500, `${talk.heardMs} ms of the avatar were heard`);
  const types = talk.events.map(({ type }) => type);
  for (const type of ['speech.started', 'speech.stopped', 'turn.queued', 'turn.started', 'disclosure'] as const)
    assert.ok(types.includes(type), `${type} in ${types.join(' ')}`);
  assert.ok(!types.includes('flush') && !types.includes('transcript'));
});

test("captions of both sides reach the room in LiveKit's own topic, the avatar's as they are heard", async () => {
  await using talk = await Talk.open('cascade');
  await talk.caller.say(question());
  await talk.turns(1);
  const { identity } = talk.session.transport.livekit;
  const theirs = talk.wordsOf(CALLER);
  assert.deepEqual([theirs.at(-1)?.text, theirs.at(-1)?.attributes[TRANSCRIPTION.final]], [QUESTION, 'true']);
  assert.ok(theirs.every(({ attributes }) => attributes[TRANSCRIPTION.track] === talk.caller.trackSid));

  const ours = talk.wordsOf(identity);
  assert.deepEqual([ours.at(-1)?.text, ours.at(-1)?.attributes[TRANSCRIPTION.final]], [ANSWER, 'true']);
  assert.equal(new Set(ours.map(({ attributes }) => attributes[TRANSCRIPTION.segment])).size, 1);
  assert.ok(ours.length >= 4, `${ours.length} texts of three sentences and an end`);
  assert.ok(ours.every(({ text }, i) => i === 0 || text.startsWith(ours[i - 1]?.text ?? '')));
  const avatar = talk.viewer.room.remoteParticipants.get(identity);
  const tracks = [...(avatar?.trackPublications.values() ?? [])].map(({ sid }) => sid);
  assert.ok(ours.every(({ attributes }) => tracks.includes(attributes[TRANSCRIPTION.track])));
  // Each phrase comes with its sound: the last one begins long after the first, and not before most of the turn was heard.
  const loud = talk.viewer.blocks.filter((block) => block.loud).map(({ atMs }) => atMs);
  const [first = 0, last = 0] = [loud[0], loud.at(-1)];
  const shares = ours.slice(0, -1).map(({ atMs }) => (atMs - first) / (last - first));
  console.log(`captions at ${shares.map((share) => share.toFixed(2)).join(', ')} of the turn's sound`);
  assert.ok((shares.at(-1) ?? 0) > 0.4 && (shares[0] ?? 1) < 0.4, shares.join(' '));
});

for (const [signal, how] of [
  ['SIGKILL', 'lost'],
  ['SIGTERM', 'drained'],
] as const) {
  test(`a ${how} audio-ingest is replaced: the caller is heard again by the next one`, async () => {
    await using talk = await Talk.open('parrot');
    const heardAgain = () =>
      talk.events.filter((event) => event.type === 'input.source' && event.participant === CALLER).length >= 2;
    await talk.endWorker('audio-ingest', signal);
    const endedAtMs = performance.now();
    await until('the caller is heard by the next worker', heardAgain, PATIENCE_MS);
    console.log(`${how}: another worker hears the caller after ${Math.round(performance.now() - endedAtMs)} ms`);
    await talk.caller.say(question());
    await talk.turns(1);
    assert.ok(talk.heardMs > 500, `${talk.heardMs} ms`);
  });

  test(`a ${how} webrtc-egress is replaced: the avatar is back as the same participant, and goes on`, async () => {
    await using talk = await Talk.open('cascade');
    await talk.caller.say(question());
    await until('the answer', () => talk.heardMs > 500, PATIENCE_MS);
    await talk.endWorker('webrtc-egress', signal);
    const endedAtMs = performance.now();
    const framesOf = (track: number) => talk.viewer.frames.filter((frame) => frame.track === track);
    await until('frames of the next worker', () => framesOf(2).length > 10, PATIENCE_MS);
    await talk.turns(1);
    const [last, first] = [framesOf(1).at(-1)?.atMs ?? 0, framesOf(2)[0]?.atMs ?? 0];
    console.log(
      `${how}: the picture stood for ${Math.round(first - last)} ms, and was back ${Math.round(first - endedAtMs)} ms after the signal`,
    );
    const ours = talk.wordsOf(talk.session.transport.livekit.identity);
    assert.equal(ours.at(-1)?.attributes[TRANSCRIPTION.final], 'true');
    assert.equal(new Set(ours.map(({ attributes }) => attributes[TRANSCRIPTION.segment])).size, 1);
    assert.equal(ours.at(-1)?.text, ANSWER);
  });
}
