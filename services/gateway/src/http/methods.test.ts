import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '@talkmesh/service-kit/testing';
import { FakeMesh, offer } from '../testing/fake-mesh.js';

let mesh: FakeMesh;
let whep: string;
let bearer: string;
before(async () => {
  mesh = await FakeMesh.start({ TALKMESH_CORS_ORIGINS: 'https://shop.test' });
  const { session, token } = await mesh.session();
  [whep, bearer] = [`/v1/whep/${session}`, token];
});
after(() => mesh[Symbol.asyncDispose]());

interface Problem {
  readonly detail: string;
  readonly reason: string;
}

test('a method that a path does not have is refused with Allow, whatever the content type', async () => {
  for (const [method, path, type] of [
    ['PUT', '/v1/sessions', 'application/xml'],
    ['PATCH', whep, 'application/trickle-ice-sdpfrag'],
    ['POST', `${whep}/r-1`, 'application/sdp'],
    ['DELETE', '/v1/sessions', 'image/png'],
    ['POST', '/openapi.json', 'text/html'],
  ] as const) {
    const refused = await mesh.call<Problem>(method, path, { bearer, type, body: '<a/>' });
    assert.equal(refused.status, 405, `${method} ${path}`);
    const allow = refused.headers.get('allow') ?? '';
    assert.ok(allow.includes('OPTIONS') && !allow.split(', ').includes(method), `${method} ${path}: ${allow}`);
    assert.equal(refused.body.reason, 'ARGUMENT_INVALID');
  }
  assert.equal((await mesh.call('HEAD', whep, { bearer })).status, 405);
  assert.equal(await statusOf('PROPFIND', '/v1/sessions'), 501);
});

test('OPTIONS of a path that exists says what it takes, without a credential and from any origin', async () => {
  const options = (path: string, headers: Record<string, string> = {}) =>
    mesh.call('OPTIONS', path, { bearer: undefined, headers });
  for (const [path, allow, accepts] of [
    [whep, 'POST, OPTIONS', 'application/sdp'],
    [whep.replace('whep', 'whip'), 'POST, OPTIONS', 'application/sdp'],
    ['/v1/sessions', 'POST, GET, HEAD, OPTIONS', 'application/json'],
    ['/openapi.json', 'GET, HEAD, OPTIONS', null],
    ['/', 'GET, HEAD, OPTIONS', null],
  ] as const) {
    const answer = await options(path);
    assert.deepEqual(
      [answer.status, answer.headers.get('allow'), answer.headers.get('accept-post')],
      [204, allow, accepts],
      path,
    );
  }
  const preflight = { 'access-control-request-method': 'POST' };
  const known = await options(whep, { ...preflight, origin: 'https://shop.test' });
  assert.deepEqual([known.status, known.headers.get('access-control-allow-origin')], [204, 'https://shop.test']);
  const unknown = await options(whep, { ...preflight, origin: 'https://elsewhere.example' });
  assert.deepEqual([unknown.status, unknown.headers.get('access-control-allow-origin')], [204, null]);
  assert.equal((await options('/nothing')).status, 404);
});

test('an idle connection is kept longer than load balancers keep theirs, or as long as is configured', async () => {
  const kept = async (url: string): Promise<number> => {
    const { headers } = await fetch(`${url}/openapi.json`);
    return Number(/timeout=(\d+)/.exec(headers.get('keep-alive') ?? '')?.[1]);
  };
  assert.ok((await kept(mesh.gateway.url)) > 60);
  assert.equal(await kept((await mesh.addGateway({ TALKMESH_KEEP_ALIVE_MS: '310000' })).url), 310);
});

test('Link headers name the ICE servers, with credentials for callers of the session only', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'talkmesh-link-'));
  writeFileSync(join(folder, 'secret'), randomBytes(16).toString('hex'), { mode: 0o600 });
  const gateway = await mesh.addGateway({
    TALKMESH_ICE_URLS: 'stun:stun.example.org,turn:turn.example.org',
    TALKMESH_ICE_SECRET_FILE: join(folder, 'secret'),
  });
  rmSync(folder, { recursive: true });
  const linkOf = async (method: string, token: string | undefined): Promise<[number, string | null]> => {
    const body = method === 'POST' ? { body: offer('video', 'audio'), type: 'application/sdp' } : {};
    const { status, headers } = await mesh.call(method, whep, { bearer: token, gateway, ...body });
    return [status, headers.get('link')];
  };
  const named = /^<stun:stun\.example\.org>; rel="ice-server", <turn:.*username="\d+:[0-9a-z]{20}"; credential="[^"]+"/;
  for (const [method, expected] of [
    ['OPTIONS', 204],
    ['POST', 201],
  ] as const) {
    const [status, link] = await linkOf(method, bearer);
    assert.equal(status, expected);
    assert.match(link ?? '', named, method);
  }
  assert.deepEqual(await linkOf('OPTIONS', undefined), [204, null]);
  assert.deepEqual(await linkOf('OPTIONS', 'no-key-of-this-gateway'), [401, null]);
  assert.deepEqual(await linkOf('OPTIONS', (await mesh.session()).token), [403, null]);
});

test('the text of an error is a sentence that begins with a capital and shows no code', async () => {
  for (const [method, path, body] of [
    ['GET', '/nothing', undefined],
    ['PUT', '/v1/sessions', undefined],
    ['POST', '/v1/sessions', { avatar: 7 }],
    ['POST', '/v1/sessions', { avatar: 'unknown' }],
    ['POST', whep, 'x'],
  ] as const) {
    const { body: problem } = await mesh.call<Problem>(method, path, { body });
    assert.match(problem.detail, /^[A-Z].*\.$/, `${method} ${path}`);
    assert.ok(!problem.detail.includes(problem.reason), problem.detail);
  }
});

/** fetch refuses methods that it does not know, so this one is sent by node:http. */
function statusOf(method: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(mesh.gateway.url);
    const request = httpRequest({ hostname, port, method, path }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on('error', reject);
    request.end();
  });
}

test('the check of a body that is refused for its content type ends with the answer', async (t) => {
  const started = t.mock.method(globalThis, 'setInterval');
  const stopped = t.mock.method(globalThis, 'clearInterval');
  assert.equal((await mesh.call('POST', whep, { bearer, type: 'text/html', body: 'x' })).status, 415);
  const checks = started.mock.calls
    .filter(({ stack }) => stack.stack?.includes('body-limits'))
    .map(({ result }) => result);
  assert.equal(checks.length, 1);
  await until('the end of the check', () => stopped.mock.calls.some(({ arguments: [timer] }) => timer === checks[0]));
});
