import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { GraphManifest } from '@talkmesh/contracts';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { fastInt8 } from '../executor/processor.js';
import { type GraphModel, loadGraphModel } from '../model/model.js';
import { createFixtureModel, type FixtureModel } from '../testing/index.js';
import { chooseDecoder, type RequestedPrecision } from './decoder-precision.js';
import { PictureDecoderEngine } from './picture-decoder.js';

const VNNI = 'processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\nbugs\t\t: none\n';
const AVX2 = 'processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni_not\n';
const ARM = 'processor\t: 0\nFeatures\t: fp asimd asimdhp asimddp\n';

let plain: FixtureModel;
let both: FixtureModel;
let other: FixtureModel;
let executor: Executor;
before(async () => {
  [plain, both, other] = await Promise.all([
    createFixtureModel(),
    createFixtureModel(),
    createFixtureModel({ seed: 77 }),
  ]);
  executor = createOrtExecutor({ threads: 1 });
  // The second decoder has other weights, so that the frames show which one ran.
  await copyFile(join(other.folder, 'decoder.onnx'), join(both.folder, 'decoder-int8.onnx'));
  await listInt8(true);
});
after(async () => {
  for (const part of [executor, plain, both, other]) await part?.[Symbol.asyncDispose]();
});

async function listInt8(listed: boolean): Promise<void> {
  const path = join(both.folder, 'model.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as GraphManifest;
  const bytes = await readFile(join(both.folder, 'decoder-int8.onnx'));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const facts = { path: 'decoder-int8.onnx', bytes: bytes.length, sha256 };
  const graphs = { ...manifest.graphs, decoderInt8: facts.path };
  const files = [...manifest.files.filter((file) => file.path !== facts.path), ...(listed ? [facts] : [])];
  await writeFile(path, JSON.stringify({ ...manifest, graphs, files }));
}

async function firstFrame(model: GraphModel, requested: RequestedPrecision): Promise<string> {
  await using engine = await PictureDecoderEngine.load(model, executor, requested);
  const session = await engine.openSession({ avatar: 'ada', keepChunks: 1 });
  const decoded = await session.decode(0, new Float32Array(model.geometry.latentValues).fill(0.7));
  session.dispose();
  return Buffer.from(decoded?.frames[0] ?? []).toString('base64');
}

test('instructions are found in the CPU flags of both architectures, as whole words only', () => {
  assert.equal(fastInt8(VNNI), 'avx512_vnni');
  assert.equal(fastInt8(ARM), 'asimddp');
  assert.equal(fastInt8(AVX2), undefined);
  assert.equal(fastInt8(''), undefined, 'a system without /proc/cpuinfo');
});

test('auto chooses int8 if model and processor have it, and gives the reason', async () => {
  const [without, having] = [await loadGraphModel(plain.folder), await loadGraphModel(both.folder)];
  const facts = (model: GraphModel, requested: RequestedPrecision, cpu: string) => {
    const { precision, reason } = chooseDecoder(model, requested, cpu);
    return [precision, reason];
  };
  assert.deepEqual(facts(having, 'auto', VNNI), ['int8', 'the processor has avx512_vnni']);
  assert.deepEqual(facts(having, 'auto', AVX2), [
    'float32',
    'the processor has no known instruction for fast 8-bit products',
  ]);
  assert.deepEqual(facts(without, 'auto', VNNI), ['float32', 'the model has no 8-bit decoder']);
  assert.deepEqual(facts(having, 'int8', AVX2), ['int8', 'asked for']);
  assert.deepEqual(facts(having, 'float32', VNNI), ['float32', 'asked for']);
  assert.throws(() => chooseDecoder(without, 'int8', VNNI), {
    reason: 'MODEL_INVALID',
    message: /TALKMESH_DECODER_PRECISION/,
  });
});

test('the engine runs the chosen decoder', async () => {
  const model = await loadGraphModel(both.folder);
  const [float32, int8] = [await firstFrame(model, 'float32'), await firstFrame(model, 'int8')];
  assert.notEqual(int8, float32);
  assert.equal(float32, await firstFrame(await loadGraphModel(plain.folder), 'auto'));
  assert.equal(await firstFrame(model, 'auto'), chooseDecoder(model, 'auto').precision === 'int8' ? int8 : float32);
  await assert.rejects(PictureDecoderEngine.load(await loadGraphModel(plain.folder), executor, 'int8'), {
    reason: 'MODEL_INVALID',
  });
});

test('an 8-bit decoder that the manifest uses but does not list is an error', async () => {
  await listInt8(false);
  await assert.rejects(loadGraphModel(both.folder), /uses decoder-int8\.onnx but does not list it/);
});
