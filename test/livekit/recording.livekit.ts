/** A conversation in a room of LiveKit's own server is recorded: the file that the owner downloads, and `talkmesh verify`. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MeshEvent } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { EVENTS_TOPIC } from '../../services/webrtc-egress/src/room-texts.js';
import { talkmesh } from '../support/cli.js';
import { firstAvatar, nano } from '../support/nano.js';
import { rest } from '../support/record-call.js';
import { RecordingStore } from '../support/recordings.js';
import { RoomMesh } from '../support/room-mesh.js';
import { RoomSpeaker } from '../support/room-speaker.js';
import { endRoomLibrary, RoomViewer } from '../support/room-viewer.js';
import { concatenate, silence, speak } from '../support/speech.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { requireTool } from '../support/tools.js';
import { loudness, readLuma, readSound } from '../support/video.js';

const PATIENCE_MS = 90_000;
const CALLER = 'caller';
const ROOM = 'recorded';
const LOUD = 0.005;

const store = new RecordingStore(temporaryFolder('room-recording'));
let room: RoomMesh;
before(async () => {
  requireTool('ffmpeg');
  room = await RoomMesh.start({ env: store.env });
});
after(async () => {
  await room?.[Symbol.asyncDispose]();
  await endRoomLibrary();
});

test('both sides of a conversation in a room are recorded, the room is told, and the manifest is verified', async () => {
  const { server, mesh } = room;
  await using viewer = await RoomViewer.join(server.url, await server.token('viewer', ROOM), [EVENTS_TOPIC]);
  await using caller = await RoomSpeaker.join(server.url, await server.token(CALLER, ROOM));
  await caller.open(24_000);
  const transport = { livekit: { room: ROOM, microphone: { identity: CALLER } } };
  const wanted = { avatar: firstAvatar.id, provider: 'parrot', transport, recording: { sides: 'both' } };
  const { status, body } = await rest<{ session: { id: string } }>(mesh, 'POST', '/v1/sessions', wanted);
  assert.equal(status, 201, JSON.stringify(body));
  const events = (): MeshEvent[] => viewer.texts.map(({ text }) => JSON.parse(text) as MeshEvent);
  const told = (type: MeshEvent['type']) => until(type, () => events().some((e) => e.type === type), PATIENCE_MS);
  await told('input.source');
  await told('recording.started');
  await caller.say(concatenate(silence(0.3), speak('What is the weather like today?'), silence(1.5)));
  await told('turn.finished');
  await sleep(1000);
  const { parts } = await store.finish(mesh, body.session.id);
  assert.equal(parts.length, 1);

  const { video } = await store.download(mesh, body.session.id);
  const frames = readLuma(video, nano.width, nano.height);
  const recordedMs = (frames.length * 1000) / nano.fps;
  assert.ok(Math.abs(recordedMs - (parts[0]?.durationMs ?? 0)) <= 100, `${recordedMs} ms, ${JSON.stringify(parts)}`);
  const label = (frames[0] as Uint8Array).subarray(0, 20 * nano.width);
  assert.ok(Math.max(...label) > 200, 'the label is in the picture');
  // The question and its repetition, with a pause between them.
  const loud = loudness(readSound(video), nano.fps, frames.length).map((level) => level > LOUD);
  const [first, last] = [loud.indexOf(true), loud.lastIndexOf(true)];
  const middle = loud.slice(first, last);
  assert.ok(middle.length > 3 * nano.fps, `${middle.length} frames from the first sound to the last`);
  const pause = middle.join('').match(/(false)+/g) ?? [];
  assert.ok(Math.max(...pause.map((text) => text.length / 5)) >= 5, 'a pause between question and answer');
  const verified = await talkmesh(['verify', video, '--key', store.keyFile]);
  assert.equal(verified.code, 0, verified.stderr);
  assert.match(verified.stdout, /compositeWithTrainedAlgorithmicMedia/);
});
