import { setTimeout as sleep } from 'node:timers/promises';
import { firstAvatar } from '../support/nano.js';
import { rest } from '../support/record-call.js';
import { RoomMesh } from '../support/room-mesh.js';
import { RoomSpeaker } from '../support/room-speaker.js';
import { endRoomLibrary, RoomViewer } from '../support/room-viewer.js';
import type { SoakStage } from './soak.js';

const CALLER = 'caller';
const SAMPLES_PER_MS = 24;

/** A conversation in a room of a real livekit-server: a caller whom the avatar hears and answers, and a viewer. */
export async function roomStage(): Promise<SoakStage> {
  const room = await RoomMesh.start();
  const { server, mesh } = room;
  const name = 'soak';
  const viewer = await RoomViewer.join(server.url, await server.token('viewer', name));
  const caller = await RoomSpeaker.join(server.url, await server.token(CALLER, name));
  await caller.open(48_000);
  const wanted = { avatar: firstAvatar.id, provider: 'parrot', seed: 1 };
  const transport = { livekit: { room: name, microphone: { identity: CALLER } } };
  const { status, body } = await rest<{ session: { id: string } }>(mesh, 'POST', '/v1/sessions', {
    ...{ ...wanted, transport },
  });
  if (status !== 201) throw new Error(`session refused: ${JSON.stringify({ status, body })}`);
  return {
    ...{ mesh, sessionId: body.session.id, soundBlocks: async () => viewer.blocks.length },
    async say(pcm) {
      // The microphone has twice the rate of the speech.
      await caller.say(Int16Array.from({ length: 2 * pcm.length }, (_, i) => pcm[i >> 1] ?? 0));
      // The avatar repeats it.
      await sleep(pcm.length / SAMPLES_PER_MS);
    },
    async [Symbol.asyncDispose]() {
      await caller[Symbol.asyncDispose]();
      await viewer[Symbol.asyncDispose]();
      await endRoomLibrary();
      await room[Symbol.asyncDispose]();
    },
  };
}
