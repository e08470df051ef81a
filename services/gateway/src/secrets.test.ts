import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLogger } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { findApiKey, parseApiKeys } from './api-keys.js';
import { type Secrets, watchSecrets } from './secrets.js';

const key = (letter: string): string => letter.repeat(20);

test('keys have a name, a scope, or neither; two keys may have one name', () => {
  const { keys, problems } = parseApiKeys(`${key('a')}, shop:${key('b')}\nshop:${key('c')} ops/admin:${key('d')}`);
  assert.deepEqual(problems, []);
  const found = (letter: string) => findApiKey(keys, key(letter));
  assert.match(found('a')?.owner ?? '', /^[0-9a-f]{16}$/);
  assert.deepEqual(
    ['b', 'c', 'd'].map((letter) => [found(letter)?.owner, found(letter)?.isAdmin]),
    [
      ['shop', false],
      ['shop', false],
      ['ops', true],
    ],
  );
  assert.equal(findApiKey(keys, `shop:${key('b')}`), undefined);
  assert.equal(found('e'), undefined);
});

test('wrong entries are named by their number, never by their text', () => {
  for (const [text, expected] of [
    ['', /no key/],
    [`${key('a')} short`, /key 2 has fewer than 16/],
    [`shop:short`, /key 1 has fewer/],
    [`Shop:${key('a')}`, /entry 1 has a name/],
    [`shop/root:${key('a')}`, /entry 1 has a name/],
  ] as const) {
    const { problems } = parseApiKeys(text);
    assert.match(problems.join('\n'), expected);
    assert.doesNotMatch(problems.join('\n'), /short|aaaa/);
  }
});

test('a changed file takes effect; a file that is not valid does not, and the log says why', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-secrets-'));
  const lines: string[] = [];
  const log = createLogger(
    { service: 'gateway', instanceId: 'g', level: 'info', pretty: false },
    { write: (line) => void lines.push(line) },
  );
  try {
    const [keysFile, secretFile] = [join(folder, 'keys'), join(folder, 'secret')];
    await writeFile(keysFile, `shop:${key('a')}\n`, { mode: 0o600 });
    await writeFile(secretFile, `${'s'.repeat(32)}\n`, { mode: 0o600 });
    const settings = { apiKeys: '', apiKeysFile: keysFile, tokenSecret: '', tokenSecretFile: secretFile };
    const seen: Secrets[] = [];
    const stop = watchSecrets(settings, (secrets) => void seen.push(secrets), log, 20);
    await writeFile(keysFile, `shop:${key('a')}\nshop:${key('b')}\n`);
    await until('both keys', () => seen.at(-1)?.apiKeys.length === 2);
    await writeFile(secretFile, `${'n'.repeat(32)}\n${'s'.repeat(32)}\n`);
    await until('both secrets', () => seen.at(-1)?.tokenSecrets.length === 2);
    assert.equal(seen.at(-1)?.tokenSecrets[0], 'n'.repeat(32));
    const count = seen.length;
    await writeFile(keysFile, 'short-key');
    await until('the refusal', () => lines.some((line) => line.includes('fewer than 16')));
    await chmod(secretFile, 0o644);
    await until('the refusal', () => lines.some((line) => line.includes('chmod')));
    stop();
    assert.equal(seen.length, count);
    assert.doesNotMatch(lines.join(), /aaaa|bbbb|nnnn|ssss|short-key/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('without files nothing is watched', () => {
  const settings = { apiKeys: key('a'), apiKeysFile: '', tokenSecret: 's'.repeat(32), tokenSecretFile: '' };
  watchSecrets(settings, () => assert.fail(), undefined as never, 1)();
});
