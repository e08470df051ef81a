/** The size of a session reaches the room: viewers get 512 x 512 where it was asked for, speaking, and the model's own size elsewhere. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '@talkmesh/service-kit/testing';
import { EVENTS_TOPIC } from '../../services/webrtc-egress/src/room-texts.js';
import { nano } from '../support/nano.js';
import { rest } from '../support/record-call.js';
import { RoomMesh } from '../support/room-mesh.js';
import { endRoomLibrary, RoomViewer } from '../support/room-viewer.js';

const PATIENCE_MS = 90_000;
const FRAMES = 50;

let room: RoomMesh;
before(async () => {
  room = await RoomMesh.start();
});
after(async () => {
  await room?.[Symbol.asyncDispose]();
  await endRoomLibrary();
});

for (const [size, avatar] of [
  [512, 'mia'],
  [512, 'amina'],
  [undefined, 'mia'],
] as const)
  test(`a room gets ${avatar} in ${size === undefined ? 'the size of the model' : `${size} x ${size}`}`, async () => {
    const { server, mesh } = room;
    const name = `${avatar}-${size}`;
    await using viewer = await RoomViewer.join(server.url, await server.token('viewer', name), [EVENTS_TOPIC]);
    const wanted = { avatar, provider: 'parrot', transport: { livekit: { room: name } } };
    const { status, body } = await rest<{ session: { id: string } }>(mesh, 'POST', '/v1/sessions', {
      ...{ ...wanted, ...(size !== undefined && { size }) },
    });
    assert.equal(status, 201, JSON.stringify(body));
    const session = `/v1/sessions/${body.session.id}`;
    const said = await rest(mesh, 'POST', `${session}/say`, {
      text: 'Every picture in this room is as large as you asked.',
    });
    assert.ok(said.status < 300, JSON.stringify(said.body));
    const isOver = (): boolean => viewer.texts.some(({ text }) => JSON.parse(text).type === 'turn.finished');
    await until('the end of the turn', isOver, PATIENCE_MS);
    await viewer.more(1);
    assert.ok(viewer.frames.length > FRAMES, `${viewer.frames.length} frames`);
    const side = size ?? nano.width;
    assert.deepEqual([...viewer.sizes], [`${side}x${side}`]);
    await rest(mesh, 'DELETE', session);
  });
