/** audio-ingest in a room of a real livekit-server: who is heard, and how that survives what happens to tracks, people and servers. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TrackSource } from '@livekit/rtc-node';
import { MeshError, type MeshEvent } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { IngestBench, type Listener } from '../../services/audio-ingest/src/testing/bench.js';
import { LivekitServer } from '../support/livekit-server.js';
import { RoomSpeaker } from '../support/room-speaker.js';
import { endRoomLibrary } from '../support/room-viewer.js';

const PATIENCE_MS = 60_000;
/** Messages of 20 ms that must have one pitch. */
const STEADY = 10;
const TOLERANCE = 0.05;

let server: LivekitServer;
let bench: IngestBench;
let rooms = 0;
before(async () => {
  server = await LivekitServer.start();
  bench = await IngestBench.start({ TALKMESH_LIVEKIT_URLS: server.url, TALKMESH_LIVEKIT_REJOIN_MS: '40000' });
});
after(async () => {
  await bench?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await endRoomLibrary();
});

const nextRoom = (): string => `room-${++rooms}`;
const speaker = async (room: string, identity: string, kind?: string) =>
  RoomSpeaker.join(server.url, await server.token(identity, room, {}, kind));

/** A session that hears a room. */
async function hear(room: string, rule: object = {}): Promise<Listener> {
  const grants = { hidden: true, canPublish: false, canPublishData: false };
  const token = await server.token('listener', room, grants, 'agent');
  return bench.open(false, { url: server.url, token, avatar: 'avatar', ...rule });
}
const close = ({ sessionId }: Listener) => bench.call(bench.stage, 'Close', { sessionId, reason: 'ended' });

/** Pitch of the newest sound, by its rising edges; 0 for silence. */
function pitchOf(listener: Listener): number {
  const pcm = listener.mic.slice(-STEADY).flatMap((message) => [...message.pcm]);
  if (listener.mic.length < STEADY || Math.max(...pcm) < 1000) return 0;
  const edges = pcm.flatMap((sample, i) => (i > 0 && sample >= 0 && (pcm[i - 1] ?? 0) < 0 ? [i] : []));
  const [first = 0, last = 1] = [edges[0], edges.at(-1)];
  return ((edges.length - 1) * 24_000) / (last - first);
}
const hears = (listener: Listener, hz: number): Promise<void> =>
  until(`a tone of ${hz} Hz`, () => Math.abs(pitchOf(listener) / hz - 1) < TOLERANCE, PATIENCE_MS);

const sources = ({ events }: Listener): string[] =>
  events.flatMap((event: MeshEvent) => (event.type === 'input.source' ? [event.participant] : []));
/** No message comes any more: the microphone is paused, which is not the same as silence. */
async function isPaused(listener: Listener): Promise<void> {
  let before = -1;
  await until(
    'no more sound',
    async () => {
      const seen = before;
      before = listener.mic.length;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return seen === listener.mic.length;
    },
    PATIENCE_MS,
  );
}

test('the caller is heard at any rate, muted and unmuted, with another microphone and after a return; others see no listener', async () => {
  const room = nextRoom();
  await using caller = await speaker(room, 'caller');
  const listener = await hear(room, { identity: 'caller' });
  await caller.open(48_000);
  caller.tone(440);
  await hears(listener, 440);
  assert.equal(caller.room.remoteParticipants.size, 0);
  assert.deepEqual(sources(listener), ['', 'caller']);

  await server.rooms.mutePublishedTrack(room, 'caller', caller.trackSid, true);
  await isPaused(listener);
  await server.rooms.mutePublishedTrack(room, 'caller', caller.trackSid, false);
  await hears(listener, 440);

  await caller.closeMicrophone();
  await isPaused(listener);
  await caller.open(16_000);
  caller.tone(600);
  await hears(listener, 600);

  await caller[Symbol.asyncDispose]();
  await isPaused(listener);
  await using again = await speaker(room, 'caller');
  await again.open(24_000);
  again.tone(300);
  await hears(listener, 300);
  const numbers = listener.mic.map(({ sequence }) => sequence);
  assert.deepEqual(
    numbers,
    [...numbers].sort((a, b) => a - b),
  );
  assert.ok(listener.mic.every(({ pcm }) => pcm.length === 480));
  await close(listener);
});

test('of several the first with a microphone is heard, until it leaves; agents and sounds of a screen are not', async () => {
  const room = nextRoom();
  await using agent = await speaker(room, 'agent', 'agent');
  await agent.open(24_000);
  agent.tone(200);
  await using screen = await speaker(room, 'screen');
  await screen.open(24_000, TrackSource.SOURCE_SCREENSHARE_AUDIO);
  screen.tone(250);
  const listener = await hear(room);
  await using first = await speaker(room, 'first');
  await using second = await speaker(room, 'second');
  await first.open(24_000);
  first.tone(400);
  await hears(listener, 400);
  await second.open(24_000);
  second.tone(500);
  await first.closeMicrophone();
  await isPaused(listener);
  await first[Symbol.asyncDispose]();
  await hears(listener, 500);
  assert.deepEqual(sources(listener), ['', 'first', '', 'second']);
  await close(listener);
});

test('attributes that change during the call decide who is heard', async () => {
  const room = nextRoom();
  await using a = await speaker(room, 'a');
  await using b = await speaker(room, 'b');
  await a.open(24_000);
  a.tone(400);
  await b.open(24_000);
  b.tone(500);
  const listener = await hear(room, { attributes: { floor: 'yes' } });
  const floor = (identity: string, has: string) =>
    server.rooms.updateParticipant(room, identity, { attributes: { floor: has } });
  await floor('b', 'yes');
  await hears(listener, 500);
  await floor('b', '');
  await isPaused(listener);
  await floor('a', 'yes');
  await hears(listener, 400);
  await close(listener);
});

test('the caller is heard again after the server, and the process with the library, were killed', async () => {
  const room = nextRoom();
  await using caller = await speaker(room, 'caller');
  await caller.open(24_000);
  caller.tone(400);
  const listener = await hear(room);
  await hears(listener, 400);
  process.kill(await bench.childPid(1), 'SIGKILL');
  await isPaused(listener);
  await hears(listener, 400);
  // The caller's library joins again by itself, with the same microphone under another id.
  await server.kill();
  await isPaused(listener);
  await server.start();
  await hears(listener, 400);
  assert.deepEqual(listener.eventsOf('error'), []);
  await close(listener);
});

test('a session that hears a room takes no other microphone; a listener that is removed, or refused, is told', async () => {
  const room = nextRoom();
  const listener = await hear(room);
  const { sessionId } = listener;
  const refused = (reason: string) => (error: unknown) => error instanceof MeshError && error.reason === reason;
  await assert.rejects(bench.call(bench.signalling, 'Offer', { sessionId, sdp: 'v=0' }), refused('ARGUMENT_INVALID'));
  await server.rooms.removeParticipant(room, 'listener');
  await until('the error', () => listener.eventsOf('error').length === 1, PATIENCE_MS);
  assert.match(JSON.stringify(listener.eventsOf('error')), /ROOM_REFUSED.*The listener was removed/);
  await close(listener);
  const token = `${(await server.token('listener', room)).slice(0, -6)}AAAAAA`;
  await assert.rejects(bench.open(false, { url: server.url, token, avatar: 'avatar' }), refused('ROOM_REFUSED'));
  const other = { url: 'ws://127.0.0.1:1', token, avatar: 'avatar' };
  await assert.rejects(bench.open(false, other), refused('ARGUMENT_INVALID'));
});
