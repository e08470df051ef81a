import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { type MeshError, newSessionId, type Reason } from '@talkmesh/contracts';
import { SignJWT } from 'jose';
import { parseApiKeys } from './api-keys.js';
import { Auth, requireKey, requireSession } from './auth.js';

const SECRET = 'x'.repeat(32);
const KEY = 'an-api-key-of-24-letters';
const { keys: apiKeys } = parseApiKeys(`another-key-of-the-list, shop:${KEY}`);
const auth = new Auth({ secrets: { apiKeys, tokenSecrets: [SECRET] }, tokenTtlMs: 600_000 });
const id = newSessionId();

const refused = (header: string | undefined, reason: Reason): Promise<void> =>
  assert.rejects(auth.identify(header), (error: MeshError) => {
    assert.equal(error.reason, reason, header);
    return true;
  });

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function forge(header: object, claims: object, secret = SECRET, hash = 'sha256'): string {
  const body = `${part(header)}.${part(claims)}`;
  return `Bearer ${body}.${createHmac(hash, secret).update(body).digest('base64url')}`;
}

const HS256 = { alg: 'HS256', typ: 'JWT' };
const nowS = (): number => Math.floor(Date.now() / 1000);
const claims = (extra: object = {}): object => ({
  sub: id,
  aud: 'talkmesh',
  iat: nowS(),
  exp: nowS() + 60,
  jti: 'j',
  ...extra,
});

test('an API key gives access to everything, an unknown key to nothing', async () => {
  const principal = await auth.identify(`Bearer ${KEY}`);
  assert.equal(principal.kind, 'key');
  requireKey(principal);
  requireSession(principal, id);
  await refused('Bearer an-api-key-of-24-lettersX', 'TOKEN_INVALID');
  await refused(`Bearer ${KEY.toUpperCase()}`, 'TOKEN_INVALID');
});

test('a header that is no bearer credential is TOKEN_MISSING', async () => {
  for (const header of [undefined, '', KEY, 'Bearer', 'Bearer ', `Basic ${KEY}`])
    await refused(header, 'TOKEN_MISSING');
});

test('a session token gives access to its session only', async () => {
  const { token, tokenExpiresAtMs } = await auth.issue(id);
  assert.ok(tokenExpiresAtMs - Date.now() <= 600_000 && tokenExpiresAtMs - Date.now() > 598_000);
  const principal = await auth.identify(`Bearer ${token}`);
  assert.deepEqual(principal, { kind: 'session', name: `session:${id}`, sessionId: id });
  requireSession(principal, id);
  assert.throws(
    () => requireSession(principal, newSessionId()),
    (e: MeshError) => e.reason === 'TOKEN_WRONG_SESSION',
  );
  assert.throws(
    () => requireKey(principal),
    (e: MeshError) => e.reason === 'PERMISSION_DENIED',
  );
  assert.notEqual((await auth.issue(id)).token, token, 'jti differs');
});

test('an expired token is TOKEN_EXPIRED, not TOKEN_INVALID', async () => {
  const { token } = await auth.issue(id, [], Date.now() - 601_000);
  await refused(`Bearer ${token}`, 'TOKEN_EXPIRED');
});

test('control: the forging helper can produce a valid token', async () => {
  assert.equal((await auth.identify(forge(HS256, claims()))).kind, 'session');
});

test('forged tokens are TOKEN_INVALID', async () => {
  const { token } = await auth.issue(id);
  const [header, , signature] = token.split('.');
  await refused(forge(HS256, claims(), 'y'.repeat(32)), 'TOKEN_INVALID');
  await refused(forge({ alg: 'HS512' }, claims(), SECRET, 'sha512'), 'TOKEN_INVALID');
  await refused(`Bearer ${part({ alg: 'none' })}.${part(claims())}.`, 'TOKEN_INVALID');
  await refused(`Bearer ${header}.${part(claims({ sub: newSessionId() }))}.${signature}`, 'TOKEN_INVALID');
  await refused(forge(HS256, claims({ aud: 'other' })), 'TOKEN_INVALID');
  for (const missing of ['sub', 'exp', 'iat', 'jti'])
    await refused(forge(HS256, claims({ [missing]: undefined })), 'TOKEN_INVALID');
  await refused('Bearer a.b.c', 'TOKEN_INVALID');
  await refused(`Bearer ${'a'.repeat(5000)}`, 'TOKEN_INVALID');
  const encrypted = new SignJWT({})
    .setProtectedHeader({ alg: 'HS256', crit: ['b64'], b64: true })
    .setSubject(id)
    .setAudience('talkmesh');
  await refused(
    `Bearer ${await encrypted.setIssuedAt().setJti('j').sign(new TextEncoder().encode(SECRET))}`,
    'TOKEN_INVALID',
  );
});

test('secrets can be replaced: a second secret is accepted, the first one signs; a removed key is unknown', async () => {
  const changing = new Auth({ secrets: { apiKeys, tokenSecrets: [SECRET] }, tokenTtlMs: 600_000 });
  const old = (await changing.issue(id)).token;
  const next = 'n'.repeat(32);
  changing.replaceSecrets({ apiKeys: [], tokenSecrets: [next, SECRET] });
  assert.equal((await changing.identify(`Bearer ${old}`)).kind, 'session');
  const signed = (await changing.issue(id)).token;
  await assert.rejects(changing.identify(`Bearer ${KEY}`), { reason: 'TOKEN_INVALID' });
  changing.replaceSecrets({ apiKeys, tokenSecrets: [next] });
  assert.equal((await changing.identify(`Bearer ${signed}`)).kind, 'session');
  await assert.rejects(changing.identify(`Bearer ${old}`), { reason: 'TOKEN_INVALID' });
  const expired = new Auth({ secrets: { apiKeys, tokenSecrets: [SECRET] }, tokenTtlMs: 600_000 });
  changing.replaceSecrets({ apiKeys, tokenSecrets: [next, SECRET] });
  const { token } = await expired.issue(id, [], Date.now() - 601_000);
  await assert.rejects(changing.identify(`Bearer ${token}`), { reason: 'TOKEN_EXPIRED' });
});
