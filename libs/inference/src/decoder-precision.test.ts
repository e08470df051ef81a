import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ModelManifest } from '@talkmesh/contracts';
import { DecoderEngine } from './decoder-engine.js';
import { chooseDecoder, type PrecisionWish } from './decoder-precision.js';
import type { Executor } from './executor.js';
import { loadModel, type Model } from './model.js';
import { createOrtExecutor } from './ort-executor.js';
import { fastInt8 } from './processor.js';
import { createFixtureModel, type FixtureModel } from './testing/index.js';

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
  // other weights stand for the other decoder, so that the pictures tell which one ran
  await copyFile(join(other.folder, 'decoder.onnx'), join(both.folder, 'decoder-int8.onnx'));
  await listInt8(true);
});
after(async () => {
  for (const part of [executor, plain, both, other]) await part?.[Symbol.asyncDispose]();
});

async function listInt8(listed: boolean): Promise<void> {
  const path = join(both.folder, 'model.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as ModelManifest;
  const bytes = await readFile(join(both.folder, 'decoder-int8.onnx'));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const facts = { path: 'decoder-int8.onnx', bytes: bytes.length, sha256 };
  const graphs = { ...manifest.graphs, decoderInt8: facts.path };
  const files = [...manifest.files.filter((file) => file.path !== facts.path), ...(listed ? [facts] : [])];
  await writeFile(path, JSON.stringify({ ...manifest, graphs, files }));
}

async function firstPicture(model: Model, wish: PrecisionWish): Promise<string> {
  await using engine = await DecoderEngine.load(model, executor, wish);
  const session = await engine.openSession({ avatar: 'ada', keepChunks: 1 });
  const decoded = await session.decode(0, new Float32Array(model.geometry.latentValues).fill(0.7));
  session.dispose();
  return Buffer.from(decoded?.frames[0] ?? []).toString('base64');
}

test('instructions are read from the flags of both architectures, whole words only', () => {
  assert.equal(fastInt8(VNNI), 'avx512_vnni');
  assert.equal(fastInt8(ARM), 'asimddp');
  assert.equal(fastInt8(AVX2), undefined);
  assert.equal(fastInt8(''), undefined, 'a system that does not tell');
});

test('auto takes int8 where model and processor have it, and says why', async () => {
  const [without, having] = [await loadModel(plain.folder), await loadModel(both.folder)];
  const facts = (model: Model, wish: PrecisionWish, cpu: string) => {
    const { precision, reason } = chooseDecoder(model, wish, cpu);
    return [precision, reason];
  };
  assert.deepEqual(facts(having, 'auto', VNNI), ['int8', 'the processor has avx512_vnni']);
  assert.deepEqual(facts(having, 'auto', AVX2), ['float32', 'the processor is not known to be fast at 8-bit numbers']);
  assert.deepEqual(facts(without, 'auto', VNNI), ['float32', 'the model has no 8-bit decoder']);
  assert.deepEqual(facts(having, 'int8', AVX2), ['int8', 'asked for']);
  assert.deepEqual(facts(having, 'float32', VNNI), ['float32', 'asked for']);
  assert.throws(() => chooseDecoder(without, 'int8', VNNI), {
    reason: 'MODEL_INVALID',
    message: /TALKMESH_DECODER_PRECISION/,
  });
});

test('the engine runs the decoder that was chosen', async () => {
  const model = await loadModel(both.folder);
  const [float32, int8] = [await firstPicture(model, 'float32'), await firstPicture(model, 'int8')];
  assert.notEqual(int8, float32);
  assert.equal(float32, await firstPicture(await loadModel(plain.folder), 'auto'));
  assert.equal(await firstPicture(model, 'auto'), chooseDecoder(model, 'auto').precision === 'int8' ? int8 : float32);
  await assert.rejects(DecoderEngine.load(await loadModel(plain.folder), executor, 'int8'), {
    reason: 'MODEL_INVALID',
  });
});

test('an 8-bit decoder that is used but not listed is refused', async () => {
  await listInt8(false);
  await assert.rejects(loadModel(both.folder), /uses decoder-int8\.onnx but does not list it/);
});
