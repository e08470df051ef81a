import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { GraphManifest } from '@talkmesh/contracts';
import { createFixtureModel, FIXTURE_SIZES, writeFixtureModel } from '../testing/index.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/write-manifest.ts', import.meta.url));

/** Writes the manifest of a fixture again, from its files and the facts beside them. */
async function rewritten(folder: string, facts: object = {}): Promise<{ stdout: string; stderr: string }> {
  const at = (name: string): string => join(folder, name);
  const { fps, chunk, latent, score, avatars } = await manifestOf(folder);
  await writeFile(at('avatars/avatars.json'), JSON.stringify(avatars));
  await writeFile(at('score.json'), JSON.stringify({ fps, chunk, latent, score, ...facts }));
  const args = ['--import', 'tsx', '--conditions=source', SCRIPT, folder];
  return promisify(execFile)(process.execPath, args);
}

const manifestOf = async (folder: string): Promise<GraphManifest> =>
  JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')) as GraphManifest;

test('write-manifest reads the sizes from the graphs and the rest from the JSON files beside them', async () => {
  await using fixture = await createFixtureModel();
  const folder = join(fixture.folder, 'small-one');
  await writeFixtureModel(folder, fixture.sizes);
  const expected = await manifestOf(folder);
  const { stdout } = await rewritten(folder);
  assert.match(stdout, /6 files, .* 2 avatars/);
  const written = await manifestOf(folder);
  const fromScript = { name: 'small-one', latentKind: 'motion' };
  const { version, description } = written;
  assert.deepEqual(written, { ...expected, ...fromScript, version, description });
  assert.match(version, /^0\.1\.0\+[0-9a-f]{8}$/);
});

test('write-manifest lists the lengths of a chunk when the audio encoder takes sound of any length, and no graph that points into other weights', async () => {
  await using fixture = await createFixtureModel({ chunkLengths: [7] });
  const { sizes } = fixture;
  const folder = join(fixture.folder, 'both');
  await writeFixtureModel(folder, sizes);
  const { audio, chunkLengths } = await manifestOf(folder);
  await writeFile(join(folder, 'chunk-lengths.json'), JSON.stringify(chunkLengths));
  await assert.rejects(rewritten(folder), /score\.json needs audio\.historySamples/);
  const facts = { audio: { historySamples: sizes.historySamples } };
  assert.match((await rewritten(folder, facts)).stdout, /8 files/);
  const written = await manifestOf(folder);
  assert.deepEqual([written.audio, written.chunkLengths], [audio, chunkLengths]);

  const decoder = await readFile(join(folder, 'decoder-7.onnx'));
  await writeFile(join(folder, 'decoder-7.onnx'), Buffer.concat([decoder, Buffer.from('weights_sha256 0123')]));
  await assert.rejects(rewritten(folder, facts), /decoder-7\.onnx does not fit decoder\.onnx: .*chunk_length/);

  await writeFixtureModel(folder, { ...FIXTURE_SIZES });
  const { stderr } = await rewritten(folder);
  assert.match(stderr, /chunk-lengths\.json is left out: audio\.onnx takes sound of one length only/);
  assert.equal((await manifestOf(folder)).chunkLengths, undefined);
});
