import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TalkMeshClient } from './client.js';
import { FakeGateway, fakeToken, problem } from './testing/fakes.js';

const client = (gateway: FakeGateway): TalkMeshClient =>
  new TalkMeshClient({ baseUrl: 'http://gateway.test', apiKey: 'the-key', fetch: gateway.fetch });

test('a picture is sent unchanged with its options, and the image URL of the answer is absolute', async () => {
  const gateway = new FakeGateway();
  gateway.routes.set('POST /v1/avatars', () =>
    Response.json(
      { id: 'own-1', image: '/v1/avatars/own-1/image', verdict: { fits: true, reasons: [] } },
      { status: 201 },
    ),
  );
  // Longer than one part of the base64 conversion.
  const bytes = Uint8Array.from({ length: 100_001 }, (_, i) => (i * 7) % 256);
  const landmarks = { mouth: [1, 2], leftEye: [3, 4], rightEye: [5, 6] } as const;
  const avatar = await client(gateway).createAvatar(new Blob([bytes]), { name: 'Me', landmarks });
  assert.equal(avatar.image, 'http://gateway.test/v1/avatars/own-1/image');
  const [seen] = gateway.seen;
  assert.equal(seen?.bearer, 'the-key');
  const { image, ...rest } = JSON.parse(seen?.body ?? '') as { image: string };
  assert.deepEqual(Uint8Array.from(Buffer.from(image, 'base64')), bytes);
  assert.deepEqual(rest, { name: 'Me', landmarks: { mouth: [1, 2], leftEye: [3, 4], rightEye: [5, 6] } });
});

test('the reason of a refused picture is kept; deleteAvatar sends DELETE', async () => {
  const gateway = new FakeGateway();
  gateway.routes.set('POST /v1/avatars', () => problem(422, 'FACE_NOT_FOUND'));
  gateway.routes.set('DELETE /v1/avatars/own-1', () => new Response(null, { status: 204 }));
  await assert.rejects(client(gateway).createAvatar(new Blob([Uint8Array.of(1)])), {
    name: 'TalkMeshError',
    reason: 'FACE_NOT_FOUND',
    status: 422,
  });
  await client(gateway).deleteAvatar('own-1');
  assert.equal(gateway.seen.at(-1)?.method, 'DELETE');
});

test('a browser without WebRTC is told so when the call connects', async () => {
  const gateway = new FakeGateway();
  const call = new TalkMeshClient({
    ...{ baseUrl: 'http://gateway.test', token: fakeToken(600), fetch: gateway.fetch },
    createStream: () => ({ addTrack: () => undefined }) as unknown as MediaStream,
  }).join();
  await assert.rejects(call.connect({ microphone: false }), { reason: 'NO_WEBRTC', message: /Use a current Chrome/ });
  await call.hangUp();
});
