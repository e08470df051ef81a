/** The quality of a session: what the deployment and a grant allow reaches the score model, anything else is refused in words. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import type { GraphManifest } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { callUnary, connectClient } from '@talkmesh/service-kit';
import { SessionQualities } from './session-qualities.js';
import { API_KEY, FakeMesh } from './testing/fake-mesh.js';
import { manifest, writeModelFolder } from './testing/model-folder.js';

const tiered = (): GraphManifest => {
  const { score, ...rest } = manifest() as GraphManifest;
  return {
    ...rest,
    score: { ...score, schedule: [1, 0.6], tiers: { best: { schedule: [1, 0.8, 0.6, 0.3], cost: 1.5 } } },
  };
};

let folder: Awaited<ReturnType<typeof writeModelFolder>>;
let mesh: FakeMesh;
before(async () => {
  folder = await writeModelFolder();
  const path = join(folder.path, 'model.json');
  assert.ok((await readFile(path)).length > 0);
  await writeFile(path, JSON.stringify(tiered()));
  mesh = await FakeMesh.start({ TALKMESH_MODEL: folder.path });
});
after(async () => {
  for (const part of [mesh, folder]) await part?.[Symbol.asyncDispose]();
});

afterEach(async () => {
  const { body } = await mesh.call<{ sessions: { id: string }[] }>('GET', '/v1/sessions');
  for (const { id } of body.sessions) await mesh.call('DELETE', `/v1/sessions/${id}`);
});

const scoreOf = (session: string): string | undefined =>
  mesh.workers['score-model'].opened.get(session)?.score?.quality;
const refused = async (body: object, options: object = {}): Promise<[number, string]> => {
  const answer = await mesh.call('POST', '/v1/sessions', { body: { avatar: 'ada', ...body }, ...options });
  return [answer.status, String(answer.body['detail'])];
};

test('a quality reaches the score model by its name, over REST and gRPC alike, and is told to the caller', async () => {
  for (const [wanted, name] of [
    [{}, 'balanced'],
    [{ quality: 'best' }, 'best'],
    [{ quality: '3x4' }, 'best'],
  ] as const) {
    const { session } = await mesh.session(wanted);
    assert.equal(scoreOf(session), name);
    assert.equal((await mesh.call('GET', `/v1/sessions/${session}`)).body['quality'], name);
  }
  const client = connectClient(v1.SessionService, mesh.gateway.grpcAddress);
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${API_KEY}`);
  const request = { avatar: 'ada', quality: '3x4' };
  type Created = { session: { id: string; quality: string } };
  const options = { deadlineMs: 5000, metadata };
  const { session } = await callUnary<object, Created>(client, 'createSession', request, options);
  client.close();
  assert.deepEqual([session.quality, scoreOf(session.id)], ['best', 'best']);
});

test('what the model does not have, or what is no quality, is refused with what is possible', async () => {
  const [status, detail] = await refused({ quality: '7x2' });
  assert.equal(status, 400);
  assert.match(detail, /nano has no quality 7x2; possible: balanced \(3x2\), best \(3x4\)/i);
  assert.match((await refused({ quality: 'fast' }))[1], /possible: balanced/);
  assert.match((await refused({ quality: 'superb' }))[1], /quality: is fast, balanced, best, or a size such as 3x4/);
});

test('the qualities are listed with their cost, and a grant bounds them', async () => {
  const { body } = await mesh.call('GET', '/v1/providers');
  const choices = [
    { name: 'balanced', size: '3x2', cost: 1 },
    { name: 'best', size: '3x4', cost: 1.5 },
  ];
  assert.deepEqual(body['quality'], { default: 'balanced', choices });
  const { body: answer } = await mesh.call<{ grant: string }>('POST', '/v1/grants', {
    body: { qualities: ['best'], maxSessions: 2 },
  });
  const bearer = answer.grant;
  const granted = await mesh.call('GET', '/v1/providers', { bearer });
  assert.deepEqual(granted.body['quality'], { default: 'best', choices: choices.slice(1) });
  const [status, detail] = await refused({ quality: 'balanced' }, { bearer });
  assert.equal(status, 403);
  assert.match(detail, /the grant does not allow the quality balanced/i);
  const opened = await mesh.call<{ session: { id: string } }>('POST', '/v1/sessions', {
    ...{ bearer, body: { avatar: 'ada' } },
  });
  assert.equal(scoreOf(opened.body.session.id), 'best');
});

test('a deployment sets the default and what is allowed; what its model does not have stops it', () => {
  const of = (quality: string, ...qualities: string[]) => new SessionQualities(tiered(), { quality, qualities });
  assert.deepEqual([of('').default, of('3x4').default, of('', 'best').default], ['balanced', 'best', 'best']);
  assert.equal(of('', 'balanced').choose(undefined), 'balanced');
  assert.throws(() => of('', 'balanced').choose('3x4'), {
    reason: 'PERMISSION_DENIED',
    message: 'this deployment does not allow the quality best; choose balanced',
  });
  assert.throws(() => of('fast'), { reason: 'CONFIG_INVALID', message: /TALKMESH_QUALITY: nano has no quality fast/ });
  assert.throws(() => of('', '7x2'), { reason: 'CONFIG_INVALID', message: /TALKMESH_QUALITIES: .* possible/ });
  assert.throws(() => of('best', 'balanced'), { reason: 'CONFIG_INVALID', message: /not among TALKMESH_QUALITIES/ });
});
