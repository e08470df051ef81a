import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import type { GraphManifest, MeshError } from '@talkmesh/contracts';
import { createFixtureModel, encodePng, type FixtureModel, writeFixtureModel } from '../testing/index.js';
import { loadGraphModel, loadModel } from './model.js';

let fixture: FixtureModel;
before(async () => {
  fixture = await createFixtureModel();
});
beforeEach(() => writeFixtureModel(fixture.folder, fixture.sizes));
after(() => fixture[Symbol.asyncDispose]());

const at = (name: string): string => join(fixture.folder, name);
const change = async (edit: (manifest: GraphManifest) => unknown): Promise<void> => {
  const manifest = JSON.parse(await readFile(at('model.json'), 'utf8')) as GraphManifest;
  await writeFile(at('model.json'), JSON.stringify(edit(manifest)));
};
const refused = (pattern: RegExp): Promise<void> =>
  assert.rejects(loadModel(fixture.folder), (error: MeshError) => {
    assert.equal(error.reason, 'MODEL_INVALID');
    assert.match(error.message, pattern);
    assert.match(error.message, /TALKMESH_MODEL/, 'the message states the remedy');
    return true;
  });

test('a complete folder loads: manifest, geometry, paths, avatars and their pictures', async () => {
  const model = await loadGraphModel(fixture.folder);
  assert.equal(model.label, 'fixture@1.0.0');
  assert.equal(model.geometry.samplesPerChunk, 11_520);
  assert.equal(model.path('decoder'), at('decoder.onnx'));
  assert.equal(model.avatar('bo').name, 'bo');
  const image = model.avatarImage('ada');
  assert.equal(image.length, 64 * 64 * 3);
  assert.deepEqual([...image.subarray(0, 3)], [40, 70, 110]);
  assert.throws(() => model.avatar('__proto__'), { reason: 'AVATAR_NOT_FOUND', message: /it has ada, bo/ });
});

test('the fixture model is deterministic: the same sizes give the same folder', async () => {
  await using other = await createFixtureModel();
  assert.equal(await readFile(join(other.folder, 'model.json'), 'utf8'), await readFile(at('model.json'), 'utf8'));
});

test('a missing, truncated or altered file is an error that names the file', async () => {
  await rm(at('decoder.onnx'));
  await refused(/decoder\.onnx is missing/);
  await writeFixtureModel(fixture.folder, fixture.sizes);
  const bytes = await readFile(at('audio.onnx'));
  await writeFile(at('audio.onnx'), bytes.subarray(1));
  await refused(/audio\.onnx has \d+ bytes, not \d+/);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  await writeFile(at('audio.onnx'), bytes);
  await refused(/audio\.onnx was altered/);
});

test('a manifest that is missing, not JSON, incomplete or refers outside its folder is an error', async () => {
  await change((manifest) => ({ ...manifest, fps: 0, score: { ...manifest.score, schedule: [] } }));
  await refused(/fps: .*; score\.schedule: /);
  await writeFixtureModel(fixture.folder, fixture.sizes);
  await change((manifest) => ({ ...manifest, graphs: { ...manifest.graphs, audio: '../audio.onnx' } }));
  await refused(/graphs\.audio: a path inside the model folder/);
  await writeFixtureModel(fixture.folder, fixture.sizes);
  await change((manifest) => ({
    ...manifest,
    files: manifest.files.filter((file) => file.path !== 'score.safetensors'),
  }));
  await refused(/uses score\.safetensors but does not list it/);
  await writeFile(at('model.json'), '{');
  await refused(/model\.json is not JSON/);
  await rm(at('model.json'));
  await refused(/model\.json cannot be read/);
});

test('an avatar picture of the wrong size is an error when it is used', async () => {
  const picture = encodePng(new Uint8Array(8 * 8 * 3), 8, 8);
  await writeFile(at('avatars/bo.png'), picture);
  const sha256 = createHash('sha256').update(picture).digest('hex');
  await change((manifest) => ({
    ...manifest,
    files: manifest.files.map((file) =>
      file.path === 'avatars/bo.png' ? { ...file, bytes: picture.byteLength, sha256 } : file,
    ),
  }));
  const model = await loadModel(fixture.folder);
  assert.equal(model.avatarImage('ada').length, 64 * 64 * 3);
  assert.throws(() => model.avatarImage('bo'), { reason: 'MODEL_INVALID', message: /bo\.png is 8x8/ });
});
