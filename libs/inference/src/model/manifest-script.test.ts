import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { GraphManifest } from '@talkmesh/contracts';
import { createFixtureModel, writeFixtureModel } from '../testing/index.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/write-manifest.ts', import.meta.url));

test('write-manifest reads the sizes from the graphs and the rest from the JSON files beside them', async () => {
  await using fixture = await createFixtureModel();
  const folder = join(fixture.folder, 'small-one');
  await writeFixtureModel(folder, fixture.sizes);
  const at = (name: string): string => join(folder, name);
  const expected = JSON.parse(await readFile(at('model.json'), 'utf8')) as GraphManifest;
  await rm(at('model.json'));
  const { fps, chunk, latent, score, avatars } = expected;
  await writeFile(at('avatars/avatars.json'), JSON.stringify(avatars));
  await writeFile(at('score.json'), JSON.stringify({ fps, chunk, latent, score }));
  const args = ['--import', 'tsx', '--conditions=source', SCRIPT, folder];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  assert.match(stdout, /6 files, .* 2 avatars/);
  const written = JSON.parse(await readFile(at('model.json'), 'utf8')) as GraphManifest;
  const fromScript = { name: 'small-one', latentKind: 'motion' };
  const { version, description } = written;
  assert.deepEqual(written, { ...expected, ...fromScript, version, description });
  assert.match(version, /^0\.1\.0\+[0-9a-f]{8}$/);
});
