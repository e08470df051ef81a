import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeMesh } from '../testing/fake-mesh.js';
import { isProxyTrust, proxyTrust } from './proxy-trust.js';

test('the setting is a word, a number or networks', () => {
  for (const setting of ['false', 'true', '0', '2', '10', 'private', '10.0.0.0/8, 192.168.1.1'])
    assert.ok(isProxyTrust(setting), setting);
  for (const setting of ['', 'yes', '11', '-1', '10.0.0.0/99', 'proxy.internal'])
    assert.ok(!isProxyTrust(setting), setting);
  const hops = (setting: string) => [0, 1, 2].map((hop) => proxyTrust(setting)('198.51.100.1', hop));
  assert.deepEqual(hops('false'), [false, false, false]);
  assert.deepEqual(hops('true'), [true, false, false]);
  assert.deepEqual(hops('2'), [true, true, false]);
  assert.ok(proxyTrust('10.0.0.0/8')('10.9.9.9', 5));
  assert.ok(!proxyTrust('10.0.0.0/8')('11.0.0.1', 0));
});

test('behind a proxy the address that the proxy appended counts, not what the caller wrote', async () => {
  const limits = { TALKMESH_RATE_LIMIT_BURST: '3', TALKMESH_RATE_LIMIT_PER_SECOND: '0.1' };
  await using mesh = await FakeMesh.start({ ...limits, TALKMESH_TRUST_PROXY: 'true' });
  const without = await mesh.addGateway(limits);
  const inNetwork = await mesh.addGateway({ ...limits, TALKMESH_TRUST_PROXY: 'loopback, 203.0.113.7' });
  const statuses = async (gateway: typeof without, headers: (n: number) => string): Promise<number[]> => {
    const all: number[] = [];
    for (let n = 1; n <= 4; n++)
      all.push(
        (
          await mesh.call('GET', '/v1/sessions', {
            gateway,
            bearer: 'not-a-key-not-a-key',
            headers: { 'x-forwarded-for': headers(n) },
          })
        ).status,
      );
    return all;
  };
  const limited = [401, 401, 401, 429];
  assert.deepEqual(await statuses(mesh.gateway, (n) => `10.0.0.${n}, 203.0.113.7`), limited, 'written by one caller');
  assert.deepEqual(await statuses(mesh.gateway, (n) => `203.0.113.${n + 7}`), [401, 401, 401, 401], 'four callers');
  assert.deepEqual(await statuses(without, (n) => `203.0.113.${n}`), limited, 'without a proxy the header is ignored');
  assert.deepEqual(await statuses(inNetwork, (n) => `10.0.0.${n}, 198.51.100.1, 203.0.113.7`), limited);
});

test('behind a proxy that removes a prefix, Location has it and the page refers to its files by relative paths', async () => {
  await using mesh = await FakeMesh.start({ TALKMESH_TRUST_PROXY: '1' });
  const locationBehind = async (prefix: string, gateway = mesh.gateway): Promise<string> => {
    const { headers } = await mesh.call('POST', '/v1/sessions', {
      body: { avatar: 'ada' },
      headers: { 'x-forwarded-prefix': prefix },
      gateway,
    });
    return headers.get('location') ?? '';
  };
  assert.match(await locationBehind('/talk'), /^\/talk\/v1\/sessions\/[0-9a-z]{20}$/);
  for (const forged of ['//evil.test', 'https://evil.test', '/a b', '/..\\x'])
    assert.match(await locationBehind(forged), /^\/v1\/sessions\/|^$/, forged);
  const html = await mesh.call<string>('GET', '/', { bearer: undefined });
  const references = [...html.body.matchAll(/(?:src|href)="(?!data:|#)([^"]+)"/g)].map(([, path]) => path ?? '');
  assert.ok(references.length >= 2);
  for (const reference of references) assert.doesNotMatch(reference, /^\//, reference);
});
