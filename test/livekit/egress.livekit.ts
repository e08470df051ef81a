/** webrtc-egress in a room of a real livekit-server: what viewers get, and how it survives what goes wrong. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { EgressBench, type TestProducer } from '../../services/webrtc-egress/src/testing/bench.js';
import { flashFrame } from '../../services/webrtc-egress/src/testing/frames.js';
import { LivekitServer } from '../support/livekit-server.js';
import { endRoomLibrary, RoomViewer } from '../support/room-viewer.js';

const SIDE = 128;
const PATIENCE_MS = 60_000;
const AVATAR = 'avatar';
const flashes = (sessionId: string, chunk: number, frame: number) => flashFrame(sessionId, chunk, frame, SIDE);

let server: LivekitServer;
let bench: EgressBench;
let rooms = 0;
before(async () => {
  server = await LivekitServer.start();
  bench = await EgressBench.start({
    TALKMESH_LIVEKIT_URLS: `${server.url}/`,
    TALKMESH_LIVEKIT_REJOIN_MS: '40000',
    TALKMESH_LIVEKIT_ALONE_MS: '4000',
  });
});
after(async () => {
  await bench?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await endRoomLibrary();
});

const nextRoom = (): string => `room-${++rooms}`;
const close = ({ sessionId }: TestProducer) => bench.call(bench.stage, 'Close', { sessionId, reason: 'ended' });
const refused = (reason: string) => (error: unknown) => error instanceof MeshError && error.reason === reason;
const join = async (room: string, identity = 'caller') =>
  RoomViewer.join(server.url, await server.token(identity, room));

async function openIn(room: string): Promise<TestProducer> {
  const token = await server.token(AVATAR, room, {}, 'agent');
  return bench.open('SINK_LIVEKIT', SIDE, flashes, { livekit: { url: server.url, token } });
}

const goneCauses = ({ events }: TestProducer): string[] =>
  events.flatMap((event) => (event.type === 'viewer.gone' ? [event.cause] : []));

test('a viewer of the room receives 25 frames a second with their sound, and the playhead reports them', async () => {
  const room = nextRoom();
  await using viewer = await join(room);
  const producer = await openIn(room);
  await viewer.more(150);
  const fps = viewer.fps(100);
  assert.ok(fps >= 20 && fps <= 30, `${fps} fps`);
  assert.deepEqual([...viewer.sizes], [`${SIDE}x${SIDE}`]);
  assert.deepEqual(viewer.happened.filter((line) => line.startsWith('subscribed')).sort(), [
    `subscribed avatar_audio of ${AVATAR}`,
    `subscribed avatar_video of ${AVATAR}`,
  ]);
  const loud = viewer.blocks.filter((block) => block.loud).length;
  assert.ok(loud > 20 && loud < viewer.blocks.length / 2, `${loud} of ${viewer.blocks.length} blocks are loud`);
  assert.ok(viewer.frames.some(({ bright }) => bright) && viewer.frames.some(({ bright }) => !bright));
  assert.equal(producer.eventsOf('viewer.connected').length, 1);
  const last = producer.playhead;
  assert.ok(last !== undefined && last.chunk >= 10);
  await close(producer);
  await until('the avatar to leave', () => viewer.happened.includes(`left ${AVATAR}`), PATIENCE_MS);
});

test('a token that the server does not accept, a server that is not allowed, and one that is not there are told apart', async () => {
  const token = await server.token(AVATAR, nextRoom());
  const open = (url: string, jwt: string) =>
    bench.open('SINK_LIVEKIT', SIDE, flashes, { livekit: { url, token: jwt } });
  await assert.rejects(open(server.url, `${token.slice(0, -6)}AAAAAA`), refused('ROOM_REFUSED'));
  await assert.rejects(open('ws://127.0.0.1:1', token), refused('ARGUMENT_INVALID'));
  const again = await openIn(nextRoom());
  await close(again);
});

test('a server that is killed and comes back after a second has the avatar again, and the session continues', async () => {
  const room = nextRoom();
  await using viewer = await join(room);
  const producer = await openIn(room);
  await viewer.more(30);
  await server.kill();
  await server.start();
  const backAtMs = performance.now();
  const before = viewer.frames.length;
  await until('frames after the restart', () => viewer.frames.length > before + 5, PATIENCE_MS);
  const first = viewer.frames[before + 1]?.atMs ?? 0;
  console.log(`avatar back ${Math.round(first - backAtMs)} ms after the server answers again`);
  assert.deepEqual(goneCauses(producer), []);
  const chunk = producer.playhead?.chunk ?? 0;
  await until('play', () => (producer.playhead?.chunk ?? 0) > chunk, PATIENCE_MS);
  await close(producer);
});

test('an outage longer than the patience of the library is survived, because the avatar joins anew', async () => {
  const room = nextRoom();
  const producer = await openIn(room);
  await until('play', () => (producer.playhead?.chunk ?? 0) > 1, PATIENCE_MS);
  await server.kill();
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  await server.start();
  const backAtMs = performance.now();
  await using viewer = await join(room);
  await viewer.more(10);
  console.log(`first frames ${Math.round((viewer.frames[0]?.atMs ?? 0) - backAtMs)} ms after the server answers again`);
  assert.deepEqual(goneCauses(producer), []);
  await close(producer);
});

test('an avatar that is removed from its room says so and ends', async () => {
  const room = nextRoom();
  await using _viewer = await join(room);
  const producer = await openIn(room);
  await until('play', () => (producer.playhead?.chunk ?? 0) > 0, PATIENCE_MS);
  await server.rooms.removeParticipant(room, AVATAR);
  await until('viewer.gone', () => goneCauses(producer).length === 1, PATIENCE_MS);
  assert.deepEqual(goneCauses(producer), ['removed']);
  assert.match(JSON.stringify(producer.eventsOf('error')), /removed from its LiveKit room/);
  await close(producer);
});

test('an avatar leaves a room in which no other participant is left', async () => {
  const room = nextRoom();
  const viewer = await join(room);
  const producer = await openIn(room);
  await viewer.more(10);
  await viewer[Symbol.asyncDispose]();
  await until('viewer.gone', () => goneCauses(producer).length === 1, PATIENCE_MS);
  assert.match(goneCauses(producer)[0] ?? '', /^(room-empty|room-closed)$/);
  await close(producer);
});

test('when the process with the library is killed, the avatar is back in the room as the same participant', async () => {
  const room = nextRoom();
  await using viewer = await join(room);
  const producer = await openIn(room);
  await viewer.more(20);
  process.kill(await bench.childPid(1), 'SIGKILL');
  const killedAtMs = performance.now();
  const seen = viewer.frames.length;
  await until('frames of the new process', () => viewer.frames.length > seen + 10, PATIENCE_MS);
  const resumed = viewer.frames.find(({ atMs }, i) => i > 0 && atMs - (viewer.frames[i - 1]?.atMs ?? 0) > 300);
  console.log(`frames again ${Math.round((resumed?.atMs ?? 0) - killedAtMs)} ms after the kill`);
  assert.deepEqual(goneCauses(producer), []);
  await close(producer);
});
