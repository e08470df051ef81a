import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MeshError } from '@talkmesh/contracts';
import { parseOffer } from '@talkmesh/webrtc';
import { AvatarCatalogue } from './avatar-catalogue.js';
import { parseConfig } from './config.js';
import { RateLimit } from './rate-limit.js';
import { offer } from './testing/fake-mesh.js';
import { manifest, writeModelFolder } from './testing/model-folder.js';
import { WorkerSnapshot } from './worker-directory.js';

const GOOD = { TALKMESH_MODEL: 'm', TALKMESH_API_KEYS: 'a'.repeat(16), TALKMESH_TOKEN_SECRET: 's'.repeat(32) };

function problemsOf(env: Record<string, string>): string {
  try {
    parseConfig(env);
  } catch (error) {
    assert.equal((error as MeshError).reason, 'CONFIG_INVALID');
    return (error as MeshError).message;
  }
  return assert.fail('should have been refused');
}

test('config: the defaults are safe', () => {
  const config = parseConfig(GOOD);
  assert.equal(config.httpHost, '127.0.0.1');
  assert.deepEqual(config.corsOrigins, []);
  assert.equal(config.trustProxy, 'false');
  assert.equal(config.tokenTtlMs, 600_000);
});

test('config: missing or short keys and secrets are all reported at once, and never shown', () => {
  assert.match(problemsOf({ ...GOOD, TALKMESH_API_KEYS: '' }), /TALKMESH_API_KEYS/);
  const both = problemsOf({ ...GOOD, TALKMESH_API_KEYS: 'short-key', TALKMESH_TOKEN_SECRET: 'short-secret' });
  assert.match(both, /TALKMESH_API_KEYS.*16/);
  assert.match(both, /TALKMESH_TOKEN_SECRET.*32/);
  assert.doesNotMatch(both, /short-/);
  assert.match(problemsOf({ ...GOOD, TALKMESH_TOKEN_TTL_MS: '600001' }), /TALKMESH_TOKEN_TTL_MS/);
  assert.match(problemsOf({ ...GOOD, TALKMESH_CORS_ORIGINS: 'https://a.test/path' }), /TALKMESH_CORS_ORIGINS/);
});

test('config: secrets can be read from files, which must not be readable by other users', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-config-'));
  try {
    const [keys, secret] = [join(folder, 'keys'), join(folder, 'secret')];
    await writeFile(keys, `${'k'.repeat(20)}\n${'l'.repeat(20)}\n`, { mode: 0o600 });
    await writeFile(secret, `${'t'.repeat(40)}\n`, { mode: 0o600 });
    const env = { TALKMESH_MODEL: 'm', TALKMESH_API_KEYS_FILE: keys, TALKMESH_TOKEN_SECRET_FILE: secret };
    const config = parseConfig(env);
    assert.equal(config.secrets.apiKeys.length, 2);
    assert.deepEqual(config.secrets.tokenSecrets, ['t'.repeat(40)]);
    assert.match(problemsOf({ ...env, TALKMESH_API_KEYS: 'k'.repeat(20) }), /both set/);
    await chmod(secret, 0o644);
    assert.match(problemsOf(env), /TALKMESH_TOKEN_SECRET_FILE.*chmod/);
    assert.match(problemsOf({ ...env, TALKMESH_TOKEN_SECRET_FILE: join(folder, 'none') }), /ENOENT/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('rate limit: allows a burst, then the average rate; callers are independent; memory is bounded', () => {
  let nowMs = 0;
  const limit = new RateLimit({ perSecond: 2, burst: 3, maxCallers: 2, now: () => nowMs });
  const isRefused = (caller: string): number | undefined => {
    try {
      limit.take(caller);
      return undefined;
    } catch (error) {
      assert.equal((error as MeshError).reason, 'RATE_LIMITED');
      return (error as MeshError).retryAfterMs;
    }
  };
  for (let i = 0; i < 3; i += 1) assert.equal(isRefused('a'), undefined);
  assert.equal(isRefused('a'), 500);
  assert.equal(isRefused('b'), undefined);
  nowMs = 499;
  assert.ok((isRefused('a') ?? 99) <= 2);
  nowMs = 501;
  assert.equal(isRefused('a'), undefined, 'refusals cost nothing');
  assert.ok(isRefused('a'));
  nowMs = 100_000;
  for (let i = 0; i < 3; i += 1) assert.equal(isRefused('a'), undefined);
  assert.ok(isRefused('a'), 'the burst is the most there is');
  isRefused('c');
  isRefused('d');
  assert.equal(isRefused('a'), undefined, 'a caller whose bucket was dropped starts with a full one');
});

test('sdp: offers of browsers pass with either line ending', () => {
  parseOffer(offer('audio'), ['audio']);
  parseOffer(offer('video', 'audio'), ['video', 'audio']);
  parseOffer(offer('audio').replaceAll('\r\n', '\n'), ['audio']);
});

test('sdp: invalid offers are refused with the reason', () => {
  const good = offer('audio');
  const bad: [string, RegExp][] = [
    ['', /line 1|v=0/],
    ['hello', /line 1/],
    ['{"sdp":"v=0"}', /line 1/],
    [good.replace('v=0', 'v=1'), /v=0/],
    [good.replace(/a=ice-ufrag.*\r\n/, ''), /a=ice-ufrag/],
    [good.replace(/a=fingerprint.*\r\n/, ''), /a=fingerprint/],
    [good.replace(/m=audio.*\r\n/, ''), /m=/],
    [good.replace('s=-', 's=\u0000'), /line 3/],
    [`${good}a=${'x'.repeat(5000)}\r\n`, /too long/],
    [good + 'a=x\r\n'.repeat(2001), /2000 lines/],
    [good + 'a=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n'.repeat(1900), /65536/],
  ];
  for (const [sdp, expected] of bad)
    assert.throws(
      () => parseOffer(sdp, ['audio']),
      (error: MeshError) => {
        assert.equal(error.reason, 'SDP_INVALID');
        assert.match(error.message, expected);
        return true;
      },
    );
  assert.throws(() => parseOffer(offer('video'), ['audio']), /no audio/);
});

test('avatars: manifest and pictures are read; the error names a missing file', async () => {
  await using folder = await writeModelFolder();
  const avatars = await AvatarCatalogue.load(folder.path, 0);
  assert.equal(avatars.model, 'nano@9');
  assert.equal(avatars.picture('ada').bytes.subarray(1, 4).toString(), 'PNG');
  assert.throws(
    () => avatars.picture('unknown'),
    (error: MeshError) => error.reason === 'AVATAR_NOT_FOUND',
  );
  const invalid = async (expected: RegExp): Promise<void> =>
    assert.rejects(AvatarCatalogue.load(folder.path, 0), (error: MeshError) => {
      assert.equal(error.reason, 'MODEL_INVALID');
      assert.match(error.message, expected);
      return true;
    });
  await writeFile(join(folder.path, 'avatars', 'bo.png'), 'GIF89a');
  await invalid(/bo\.png is not a PNG/);
  await rm(join(folder.path, 'avatars', 'bo.png'));
  await invalid(/bo\.png.*ENOENT/);
  await writeFile(join(folder.path, 'model.json'), JSON.stringify({ ...manifest(), fps: 0 }));
  await invalid(/model\.json: fps/);
  await writeFile(join(folder.path, 'model.json'), '{');
  await invalid(/not JSON/);
  await rm(join(folder.path, 'model.json'));
  await invalid(/TALKMESH_MODEL/);
});

test('candidates: ready workers of the model, least loaded first', () => {
  const worker = (instanceId: string, change: object = {}) => ({
    service: 'score-model' as const,
    grpcAddress: `${instanceId}:1`,
    version: '1',
    state: 'ready' as const,
    sessions: 0,
    capacity: 4,
    model: 'nano@9',
    instanceId,
    ...change,
  });
  const workers = new WorkerSnapshot([
    worker('busy', { sessions: 3 }),
    worker('half', { sessions: 4, capacity: 8 }),
    worker('free'),
    worker('warming', { state: 'warming' }),
    worker('draining', { state: 'draining' }),
    worker('other', { model: 'nano@8' }),
    worker('decoder', { service: 'vae-decode' }),
    worker('any', { model: '', sessions: 1 }),
  ]);
  const order = workers.candidates('score-model', 'nano@9').map((candidate) => candidate.instanceId);
  assert.deepEqual(order, ['free', 'any', 'half', 'busy']);
  assert.ok(workers.has('vae-decode', 'decoder'));
  assert.ok(!workers.has('score-model', 'decoder'));
});
