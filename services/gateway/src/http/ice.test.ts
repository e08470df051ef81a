/** Trickle ICE and ICE restart over WHIP and WHEP (RFC 9725, 4.3), with workers whose answers the test decides. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { FakeMesh, offer } from '../testing/fake-mesh.js';

const TYPE = 'application/trickle-ice-sdpfrag';
const CANDIDATE = 'a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n';
const RESTART = `a=ice-ufrag:new1\r\na=ice-pwd:${'p'.repeat(24)}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n${CANDIDATE}`;
const KINDS = [
  ['whip', 'audio-ingest', ['audio']],
  ['whep', 'webrtc-egress', ['video', 'audio']],
] as const;

let mesh: FakeMesh;
let session: string;
let bearer: string;
before(async () => {
  mesh = await FakeMesh.start();
  ({ session, token: bearer } = await mesh.session());
});
after(() => mesh[Symbol.asyncDispose]());

const patch = (name: string, body: string, headers: Record<string, string> = {}, type = TYPE) =>
  mesh.call<string & { reason: string }>('PATCH', `/v1/${name}/${session}/r-1`, { body, type, bearer, headers });

test('the answer to an offer has the entity tag of its ICE session', async () => {
  for (const [name, service, kinds] of KINDS) {
    const worker = mesh.workers[service];
    const usual = worker.onOffer;
    worker.onOffer = async () => ({
      sdp: `v=0\r\na=ice-ufrag:ab+/\r\na=ice-pwd:${'p'.repeat(24)}\r\n`,
      resourceId: 'r-1',
    });
    const body = offer(...kinds);
    const { headers } = await mesh.call('POST', `/v1/${name}/${session}`, { body, type: 'application/sdp', bearer });
    assert.equal(headers.get('etag'), '"ab+/"');
    worker.onOffer = usual;
  }
});

test('candidates reach the worker of the session unchanged, and the answer is 204', async () => {
  for (const [name, service] of KINDS) {
    const { status, body } = await patch(name, CANDIDATE, { 'if-match': '"ab+/"' });
    assert.deepEqual([status, body], [204, '']);
    const sent = { sessionId: session, resourceId: 'r-1', ifMatch: '"ab+/"', fragment: CANDIDATE };
    assert.deepEqual(mesh.workers[service].iceChanges.at(-1), sent);
  }
});

test("a restart answers 200 with the server's new credentials and a new entity tag", async () => {
  for (const [name, service] of KINDS) {
    const answered = RESTART.replace('new1', 'our2');
    mesh.workers[service].onIce = async () => ({ fragment: answered });
    const { status, headers, body } = await patch(name, RESTART, { 'if-match': '*' });
    assert.deepEqual([status, body, headers.get('etag')], [200, answered, '"our2"']);
    assert.ok(headers.get('content-type')?.startsWith(TYPE));
    mesh.workers[service].onIce = async () => ({ fragment: '' });
  }
});

test('without If-Match, with another content type or a bad fragment nothing reaches a worker', async () => {
  const egress = mesh.workers['webrtc-egress'];
  const known = egress.iceChanges.length;
  assert.equal((await patch('whep', CANDIDATE)).status, 428);
  for (const type of ['application/sdp', 'text/plain', 'application/json']) {
    const { status, headers } = await patch('whep', CANDIDATE, { 'if-match': '*' }, type);
    assert.equal(status, type === 'application/json' ? 400 : 415, type);
    if (status === 415) assert.equal(headers.get('accept-patch'), TYPE);
  }
  const tagged = { 'if-match': '"ab+/"' };
  assert.equal((await patch('whep', 'a=candidate:1', tagged)).body.reason, 'SDP_INVALID');
  assert.equal((await patch('whep', CANDIDATE.repeat(400), tagged)).status, 413);
  assert.equal((await patch('whep', CANDIDATE, { 'if-match': 'x'.repeat(2000) })).status, 400);
  assert.equal(egress.iceChanges.length, known);
});

test("the worker's refusals are 412 for an old ICE session and 404 for a closed connection", async () => {
  const worker = mesh.workers['webrtc-egress'];
  for (const [reason, expected] of [
    ['ICE_SESSION_CHANGED', 412],
    ['NOT_FOUND', 404],
  ] as const) {
    worker.onIce = async () => {
      throw new MeshError(reason, 'the worker refuses');
    };
    const { status, body } = await patch('whep', CANDIDATE, { 'if-match': '"old"' });
    assert.deepEqual([status, body.reason], [expected, reason]);
  }
});

test('OPTIONS of a connection says what PATCH takes', async () => {
  const { status, headers } = await mesh.call('OPTIONS', `/v1/whep/${session}/r-1`, { bearer: undefined });
  assert.deepEqual([status, headers.get('allow'), headers.get('accept-patch')], [204, 'PATCH, DELETE, OPTIONS', TYPE]);
});
