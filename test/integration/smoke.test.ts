/** `talkmesh smoke` against a running mesh, and its compiled form, which `helm test` runs. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { bundleSmoke } from '../../deploy/local/src/build.js';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { talkmesh } from '../support/cli.js';
import { nano } from '../support/nano.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const folder = temporaryFolder('smoke');
const mesh: Mesh = await startMesh({ quiet: true });
after(() => mesh.stop());
const address = ['--url', mesh.httpUrl, '--grpc', mesh.grpcAddress];

test('a good mesh gives a good call', { timeout: 120_000 }, async () => {
  const keys = join(folder, 'keys');
  writeFileSync(keys, `${mesh.apiKey}, another-key-of-the-same-file\n`);
  const result = await talkmesh(['smoke', ...address, '--key-file', keys, '--seconds', '2']);
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stdout, new RegExp(`The call is good: ${2 * nano.fps} frames, .* the sound is complete`));
});

test('the file that images hold makes the same call with compiled packages', { timeout: 120_000 }, async () => {
  const args = [await bundleSmoke(), ...address, '--key', mesh.apiKey, '--seconds', '1'];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  assert.match(stdout, new RegExp(`The call is good: ${nano.fps} frames`));
});

test('a call that cannot be made fails with the reason', { timeout: 120_000 }, async () => {
  const key = ['--key', mesh.apiKey];
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [[...address, '--key', 'not-a-key-of-this-mesh'], 1, /key/],
    [[...address, ...key, '--avatar', 'nemo'], 2, /no avatar "nemo"/],
    [['--url', mesh.httpUrl, '--grpc', '127.0.0.1:1', ...key], 1, /127\.0\.0\.1:1/],
    [[...address, '--key-file', join(folder, 'none')], 2, /cannot be read \(ENOENT\)/],
    [[...address, ...key, '--seconds', '0'], 2, /at least 1/],
    [key, 2, /--url is missing/],
  ];
  for (const [args, code, message] of cases) {
    const result = await talkmesh(['smoke', ...args]);
    assert.equal(result.code, code, `${args.join(' ')}: ${result.stderr}`);
    assert.match(result.stderr, message);
  }
});
