/** A mesh in use withstands malformed messages on NATS, malformed SDP, tokens of other sessions, and the loss of NATS. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { connect } from '@nats-io/transport-node';
import { newSessionId, PIPELINE, SERVICES, subjectOf } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { firstAvatar } from '../support/nano.js';
import { rest, startRecordCall } from '../support/record-call.js';
import { ROOMY } from '../support/roomy.js';
import { concatenate, speak } from '../support/speech.js';

interface Problem {
  readonly reason: string;
  readonly detail: string;
}
interface Created {
  readonly session: { readonly id: string };
  readonly token: string;
}

const sentence = speak('Nothing shall disturb this sentence, whatever else is sent.');
const speech = concatenate(...Array.from({ length: 8 }, () => sentence));

let mesh: Mesh;
before(async () => {
  mesh = await startMesh({ quiet: true, env: ROOMY });
});
after(async () => {
  await mesh?.stop();
});

const create = async (body: object): Promise<{ status: number; body: Created & Problem }> =>
  rest(mesh, 'POST', '/v1/sessions', body);

test('malformed messages and wrong versions on every subject of a session do not stop its call', {
  timeout: 90_000,
}, async () => {
  const call = await startRecordCall(mesh, firstAvatar.id, speech);
  await until('the first frames', () => call.frames() > 5, 20_000);
  const strangers = await Promise.all(
    SERVICES.map(async (service) => {
      const { TALKMESH_NATS_USER: user = '', TALKMESH_NATS_PASSWORD_FILE: file = '' } = mesh.natsEnvOf(service);
      const nc = await connect({ servers: mesh.natsUrl, user, pass: readFileSync(file, 'utf8').trim() });
      return { nc, streams: PIPELINE[service].publishes };
    }),
  );
  const wrongVersion = new Uint8Array(100);
  wrongVersion.set([0x54, 0x4d, 9, 1]);
  const rubbish = [
    new Uint8Array(0),
    new TextEncoder().encode('{"v":9}'),
    new Uint8Array(5000).fill(255),
    wrongVersion,
  ];
  for (const { nc, streams } of strangers) {
    for (const stream of streams) for (const payload of rubbish) nc.publish(subjectOf(call.sessionId, stream), payload);
    await nc.drain();
  }
  const before = call.frames();
  await until('more frames', () => call.frames() > before + 40, 20_000);
  await call.hangUp();
});

test('unknown avatars, providers and sessions are refused with a reason', async () => {
  const unknown = await create({ avatar: 'nemo' });
  assert.deepEqual([unknown.status, unknown.body.reason], [404, 'AVATAR_NOT_FOUND']);
  assert.match(unknown.body.detail, new RegExp(firstAvatar.id), 'names the available avatars');
  assert.equal((await create({ avatar: firstAvatar.id, provider: 'nemo' })).status, 400);
  assert.equal((await create({ avatar: 7 })).status, 400);
  assert.equal((await rest<Problem>(mesh, 'GET', `/v1/sessions/${newSessionId()}`)).body.reason, 'SESSION_NOT_FOUND');
});

test('malformed SDP is refused, and a token opens only its own session', { timeout: 60_000 }, async () => {
  const mine = await create({ avatar: firstAvatar.id });
  const other = await create({ avatar: firstAvatar.id });
  const offer = async (session: string, token: string, sdp: string): Promise<{ status: number; reason: string }> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/sdp' };
    const response = await fetch(`${mesh.httpUrl}/v1/whep/${session}`, { method: 'POST', headers, body: sdp });
    return { status: response.status, reason: ((await response.json()) as Problem).reason };
  };
  const { session, token } = mine.body;
  assert.deepEqual(await offer(session.id, token, 'hello'), { status: 400, reason: 'SDP_INVALID' });
  assert.deepEqual(await offer(session.id, token, `v=0\r\n${'a=x\r\n'.repeat(50)}`), {
    status: 400,
    reason: 'SDP_INVALID',
  });
  assert.deepEqual(await offer(session.id, token, 'v=0\r\n'.repeat(40_000)), { status: 413, reason: 'BODY_TOO_LARGE' });
  assert.deepEqual(await offer(session.id, other.body.token, 'v=0\r\n'), {
    status: 403,
    reason: 'TOKEN_WRONG_SESSION',
  });
  assert.deepEqual(await offer(session.id, `${token.slice(0, -4)}AAAA`, 'v=0\r\n'), {
    status: 401,
    reason: 'TOKEN_INVALID',
  });
  for (const created of [mine, other])
    assert.equal((await rest(mesh, 'DELETE', `/v1/sessions/${created.body.session.id}`)).status, 204);
});
