/** The size of a session's video: what the deployment and a grant allow reaches decoder and egress, anything else is refused in words. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import type { GraphManifest } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { callUnary, connectClient } from '@talkmesh/service-kit';
import { SessionSizes } from './session-sizes.js';
import { API_KEY, FakeMesh } from './testing/fake-mesh.js';
import { findFace } from './testing/fake-worker.js';
import { manifest, writeModelFolder } from './testing/model-folder.js';
import { plainPng } from './testing/pictures.js';

const sized = { ...(manifest() as GraphManifest), sizes: [{ scale: 2 as const, cost: 2.2 }] };
const [OWN, LARGE] = [sized.width, 2 * sized.width];

let folder: Awaited<ReturnType<typeof writeModelFolder>>;
let mesh: FakeMesh;
before(async () => {
  folder = await writeModelFolder();
  await writeFile(join(folder.path, 'model.json'), JSON.stringify(sized));
  mesh = await FakeMesh.start({ TALKMESH_MODEL: folder.path });
});
after(async () => {
  for (const part of [mesh, folder]) await part?.[Symbol.asyncDispose]();
});

afterEach(async () => {
  const { body } = await mesh.call<{ sessions: { id: string }[] }>('GET', '/v1/sessions');
  for (const { id } of body.sessions) await mesh.call('DELETE', `/v1/sessions/${id}`);
});

/** What the decoder makes, and width and height that the egress expects. */
function opened(session: string): (number | undefined)[] {
  const decode = mesh.workers['vae-decode'].opened.get(session)?.decode;
  const egress = mesh.workers['webrtc-egress'].opened.get(session)?.egress;
  return [decode?.size, egress?.width, egress?.height];
}
const refused = async (body: object, options: object = {}): Promise<[number, string]> => {
  const answer = await mesh.call('POST', '/v1/sessions', { body: { avatar: 'ada', ...body }, ...options });
  return [answer.status, String(answer.body['detail'])];
};

test('a size reaches decoder and egress, over REST and gRPC alike, and is told to the caller', async () => {
  for (const [wanted, size] of [
    [{}, OWN],
    [{ size: OWN }, OWN],
    [{ size: LARGE }, LARGE],
  ] as const) {
    const { session } = await mesh.session(wanted);
    assert.deepEqual(opened(session), [size, size, size]);
    assert.equal((await mesh.call('GET', `/v1/sessions/${session}`)).body['size'], size);
  }
  const client = connectClient(v1.SessionService, mesh.gateway.grpcAddress);
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${API_KEY}`);
  type Created = { session: { id: string; size: number } };
  const request = { avatar: 'ada', size: LARGE };
  const { session } = await callUnary<object, Created>(client, 'createSession', request, {
    deadlineMs: 5000,
    metadata,
  });
  client.close();
  assert.equal(session.size, LARGE);
  assert.deepEqual(opened(session.id), [LARGE, LARGE, LARGE]);
});

test('a size that the model does not make, or that is none, is refused with what is possible', async () => {
  const [status, detail] = await refused({ size: 300 });
  assert.equal(status, 400);
  assert.match(detail, new RegExp(`nano makes no video of size 300; possible: ${OWN}, ${LARGE}`, 'i'));
  for (const size of ['512', 0, -512, 511.5]) {
    const [wrong, why] = await refused({ size });
    assert.equal(wrong, 400);
    assert.match(why, /the request is not valid: size: /i);
  }
});

test('the sizes are listed with their cost, and a grant bounds them', async () => {
  const { body } = await mesh.call('GET', '/v1/providers');
  const choices = [
    { size: OWN, width: OWN, height: OWN, cost: 1 },
    { size: LARGE, width: LARGE, height: LARGE, cost: 2.2 },
  ];
  assert.deepEqual(body['size'], { default: OWN, choices });
  const { body: answer } = await mesh.call<{ grant: string }>('POST', '/v1/grants', {
    body: { sizes: [LARGE], maxSessions: 2 },
  });
  const bearer = answer.grant;
  const granted = await mesh.call('GET', '/v1/providers', { bearer });
  assert.deepEqual(granted.body['size'], { default: LARGE, choices: choices.slice(1) });
  const [status, detail] = await refused({ size: OWN }, { bearer });
  assert.equal(status, 403);
  assert.match(detail, new RegExp(`the grant does not allow the size ${OWN}`, 'i'));
  const created = await mesh.call<{ session: { id: string } }>('POST', '/v1/sessions', {
    ...{ bearer, body: { avatar: 'ada' } },
  });
  assert.equal(opened(created.body.session.id)[0], LARGE);
});

test('a deployment sets the default and what is allowed; what its model does not make stops it', () => {
  const of = (size: number, ...sizes: number[]) => new SessionSizes(sized, { size, sizes });
  assert.deepEqual([of(0).default, of(LARGE).default, of(0, LARGE).default], [OWN, LARGE, LARGE]);
  assert.equal(of(0, OWN).choose(undefined), OWN);
  assert.throws(() => of(0, OWN).choose(LARGE), {
    reason: 'PERMISSION_DENIED',
    message: `this deployment does not allow the size ${LARGE}; choose ${OWN}`,
  });
  assert.throws(() => of(300), { reason: 'CONFIG_INVALID', message: /TALKMESH_SIZE: nano makes no video of size 300/ });
  assert.throws(() => of(0, 300), { reason: 'CONFIG_INVALID', message: /TALKMESH_SIZES: .* possible/ });
  assert.throws(() => of(LARGE, OWN), { reason: 'CONFIG_INVALID', message: /not among TALKMESH_SIZES/ });
});

interface OwnAvatar {
  readonly id: string;
  readonly image: string;
  readonly landmarks: { readonly mouth: readonly [number, number] };
  readonly source: Pick<OwnAvatar, 'landmarks'>;
}

test('an own picture is kept at the size that loses nothing of it, at most the largest; its landmarks are pixels of it', async () => {
  mesh.workers['vae-decode'].onInspect = findFace;
  const made: Record<string, number> = {};
  for (const [name, side] of [
    ['small', OWN - 4],
    ['medium', OWN + 20],
    ['large', 5 * OWN],
  ] as const) {
    const image = plainPng(side, side).toString('base64');
    const crop = { left: 0, top: 0, side };
    const { status, body } = await mesh.call<OwnAvatar>('POST', '/v1/avatars', { body: { image, crop } });
    assert.equal(status, 201);
    const picture = await fetch(`${mesh.gateway.url}${body.image}`);
    const width = Buffer.from(await picture.arrayBuffer()).readUInt32BE(16);
    made[name] = width;
    const [[x], [inSource]] = [body.landmarks.mouth, body.source.landmarks.mouth];
    assert.ok(Math.abs(x / width - inSource / side) < 0.01, `${name}: mouth at ${x} of ${width}`);
    await mesh.call('DELETE', `/v1/avatars/${body.id}`);
  }
  assert.deepEqual(made, { small: OWN, medium: LARGE, large: LARGE });
});
