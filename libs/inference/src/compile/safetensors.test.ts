import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ditDescription, type MeshError } from '@talkmesh/contracts';
import {
  checkWeights,
  compileWhole,
  encodeSafetensors,
  expectedTensors,
  openWeights,
  readWeight,
  WAN_SIZES,
  wanDescription,
  wanPairs,
} from './index.js';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-weights-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const FILE = 'w.safetensors';
const write = (bytes: Uint8Array, file = FILE): Promise<void> => writeFile(join(folder, file), bytes);

/** A file with any header, and `data` bytes after it. */
function raw(header: unknown, data: number): Uint8Array {
  const text = typeof header === 'string' ? header : JSON.stringify(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
  return Buffer.concat([length, Buffer.from(text), Buffer.alloc(data)]);
}

async function refused(bytes: Uint8Array, message: RegExp): Promise<void> {
  await write(bytes);
  await assert.rejects(openWeights(folder, [FILE]), (error: MeshError) => {
    assert.equal(error.reason, 'MODEL_INVALID');
    assert.match(error.message, message);
    assert.ok(error.message.startsWith(join(folder, FILE)), 'the message names the file');
    assert.match(error.message, /fetch the file again|convert it/, 'the message states the remedy');
    return true;
  });
}

const tensor = (dtype: string, shape: readonly number[], from: number, to: number): unknown => ({
  dtype,
  shape,
  data_offsets: [from, to],
});

test('written tensors are read back, from several files, at the offsets in their headers', async () => {
  await write(
    encodeSafetensors([
      { name: 'a.weight', dims: [2, 3], values: Float32Array.of(1, 2, 3, 4, 5, 6) },
      { name: 'b', dims: [], values: Float32Array.of(-0.5) },
    ]),
  );
  await write(encodeSafetensors([{ name: 'ä', dims: [0], values: new Float32Array(0) }]), 'more.safetensors');
  const weights = await openWeights(folder, [FILE, 'more.safetensors']);
  assert.deepEqual([...weights.entries.keys()], ['a.weight', 'b', 'ä']);
  const { type, dims, bytes, offset } = weights.get('a.weight');
  assert.deepEqual([type, dims, bytes, offset % 8], ['F32', [2, 3], 24, 0]);
  assert.deepEqual([...(await readWeight(weights, 'a.weight'))], [1, 2, 3, 4, 5, 6]);
  assert.deepEqual([...(await readWeight(weights, 'b'))], [-0.5]);
  assert.throws(() => weights.get('c'), { reason: 'MODEL_INVALID', message: /has no tensor c/ });
  await write(encodeSafetensors([{ name: 'b', dims: [1], values: Float32Array.of(1) }]), 'more.safetensors');
  await assert.rejects(openWeights(folder, [FILE, 'more.safetensors']), /repeats tensor b/);
});

test('half, bfloat and integer numbers become float32', async () => {
  const header = {
    half: tensor('F16', [5], 0, 10),
    brain: tensor('BF16', [3], 10, 16),
    whole: tensor('I64', [2], 16, 32),
    eight: tensor('F8_E4M3', [1], 32, 33),
    __metadata__: { format: 'pt' },
  };
  const bytes = Buffer.from(raw(header, 33));
  const data = bytes.length - 33;
  // 1.5, -2, the smallest subnormal number, infinity, 65504.
  for (const [i, bits] of [0x3e00, 0xc000, 0x0001, 0x7c00, 0x7bff].entries()) bytes.writeUInt16LE(bits, data + 2 * i);
  for (const [i, bits] of [0x3fc0, 0xc000, 0x4248].entries()) bytes.writeUInt16LE(bits, data + 10 + 2 * i);
  bytes.writeBigInt64LE(-7n, data + 16);
  bytes.writeBigInt64LE(1n << 40n, data + 24);
  await write(bytes);
  const weights = await openWeights(folder, [FILE]);
  assert.deepEqual([...(await readWeight(weights, 'half'))], [1.5, -2, 2 ** -24, Number.POSITIVE_INFINITY, 65_504]);
  assert.deepEqual([...(await readWeight(weights, 'brain'))], [1.5, -2, 50]);
  assert.deepEqual([...(await readWeight(weights, 'whole'))], [-7, 2 ** 40]);
  await assert.rejects(readWeight(weights, 'eight'), /eight is F8_E4M3; convert it/);
});

test('a damaged file is an error that names the damage', async () => {
  await refused(Buffer.alloc(9), /has 9 bytes, too few/);
  await refused(
    Buffer.concat([Buffer.from([255, 255, 0, 0, 0, 0, 0, 0]), Buffer.alloc(40)]),
    /header has 65535 bytes, the file has 48/,
  );
  await refused(raw('{"a":', 0), /header that is not JSON/);
  await refused(raw([1], 0), /header that is not an object/);
  await refused(
    raw({ a: { dtype: 'F32', shape: [-1] } }, 0),
    /describes tensor a wrongly \(shape\.0: .*; data_offsets: /,
  );
  await refused(raw({ a: tensor('F3', [1], 0, 4) }, 4), /unknown type F3/);
  await refused(raw({ a: tensor('F32', [2], 0, 4) }, 4), /gives tensor a 4 bytes; F32 \[2\] needs 8/);
  await refused(raw({ a: tensor('F32', [2], 0, 8) }, 4), /tensors reach \d+: it was cut off/);
  await refused(raw({ a: tensor('F32', [1], 0, 4), b: tensor('F32', [1], 2, 6) }, 6), /tensor b over the previous one/);
  await refused(raw({ a: tensor('F32', [1], 0, 4), b: tensor('F32', [1], 8, 12) }, 12), /4 unused bytes before b/);
  await refused(raw({ a: tensor('F32', [1], 0, 4) }, 5), /1 bytes after its last tensor/);
  await refused(raw({ a: tensor('F32', [1], 0, 4), __metadata__: { n: 1 } }, 4), /metadata that is not text/);
  await assert.rejects(openWeights(folder, ['none.safetensors']), /none\.safetensors cannot be read/);
});

/** The header of a real checkpoint, without data. */
async function headerOnly(
  sizes: Parameters<typeof wanDescription>[0],
  change = (_: Map<string, readonly number[]>) => {},
) {
  const geometry = { latentFrames: 3, channels: sizes.image ? 36 : 16, height: 64, width: 64, ...CONDITIONS };
  const shapes = new Map<string, readonly number[]>();
  for (const [name, { dims }] of expectedTensors(wanDescription(sizes), geometry, 16)) shapes.set(name, dims);
  shapes.set('patch_embedding.weight', [sizes.dim, geometry.channels, 1, 2, 2]);
  change(shapes);
  const header: Record<string, unknown> = {};
  let at = 0;
  for (const [name, dims] of shapes) {
    const bytes = dims.reduce((product, dim) => product * dim, 2);
    header[name] = tensor('BF16', dims, at, at + bytes);
    at += bytes;
  }
  return { header, bytes: at, geometry };
}
const CONDITIONS = { condition: { tokens: 512, dim: 4096 }, image: { tokens: 257, dim: 1280 } };

test('Wan checkpoints have as many tensors and parameters as published', async () => {
  const counts = { 't2v-1.3b': 825, 't2v-14b': 1095, 'i2v-14b': 1303 };
  const billions = { 't2v-1.3b': 1.419, 't2v-14b': 14.29, 'i2v-14b': 16.39 };
  for (const [name, sizes] of Object.entries(WAN_SIZES)) {
    const { header, bytes } = await headerOnly(sizes);
    assert.equal(Object.keys(header).length, counts[name as keyof typeof counts], name);
    assert.equal((bytes / 2e9).toPrecision(4), billions[name as keyof typeof billions].toPrecision(4), name);
  }
  assert.deepEqual(wanPairs(128), [22, 21, 21]);
});

test('the header alone shows that a checkpoint is not the described one', async () => {
  const small = { dim: 48, mlp: 80, heads: 6, layers: 2, frequencies: 8, image: true };
  const open = async (change?: (shapes: Map<string, readonly number[]>) => void) => {
    const { header, bytes, geometry } = await headerOnly(small, change);
    await write(raw(header, bytes));
    return checkWeights(wanDescription(small), await openWeights(folder, [FILE]), geometry, 16);
  };
  assert.deepEqual(await open(), []);
  assert.deepEqual(await open((shapes) => shapes.set('audio_proj.weight', [1])), ['audio_proj.weight']);
  const invalid = (message: RegExp) => ({ reason: 'MODEL_INVALID' as const, message });
  await assert.rejects(
    open((shapes) => {
      shapes.delete('blocks.1.norm3.weight');
      shapes.set('blocks.0.ffn.0.weight', [48, 80]);
    }),
    invalid(
      /blocks\.0\.ffn\.0\.weight is \[48,80\], not \[80,48\]; blocks\.1\.norm3\.weight is missing; use the description/,
    ),
  );
});

test('a description that contradicts itself, its sizes or its weights is an error', async () => {
  const dit = wanDescription({ dim: 48, mlp: 80, heads: 6, layers: 2, frequencies: 8, image: false });
  const issues = (change: object): string =>
    ditDescription
      .safeParse({ ...dit, ...change })
      .error?.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
      .join('; ') ?? '';
  assert.equal(issues({}), '');
  assert.match(issues({ heads: 5 }), /heads: dim 48 does not divide into 5 heads of even width/);
  assert.match(
    issues({ rope: { ...dit.rope, axes: dit.rope.axes.slice(1) } }),
    /2 pairs do not fill half of a head of width 8/,
  );
  assert.match(
    issues({ modulation: { ...dit.modulation, size: 300 } }),
    /modulation\.size: the vectors end at 336, beyond the size 300/,
  );
  assert.match(
    issues({ head: { ...dit.head, predicts: { kind: 'x0', limit: 1, minT: 0.1 } } }),
    /modulation\.t: .* offset of t/,
  );
  assert.match(issues({ entry: 'x' }), /cross\.tokens: must be of kind "frame"/);
  const geometry = { latentFrames: 1, channels: 4, height: 4, width: 4, condition: { tokens: 7, dim: 20 } };
  const tensors = [...expectedTensors(dit, geometry)].map(([name, { dims }]) => ({
    name,
    dims,
    values: new Float32Array(dims.reduce((product, dim) => product * dim, 1)),
  }));
  await write(encodeSafetensors(tensors));
  const weights = await openWeights(folder, [FILE]);
  const compile = (sizes: object) => () =>
    compileWhole(dit, weights, { ...geometry, ...sizes }, { condition: 'inside' });
  assert.ok(compile({})().onnx.length > 1000);
  assert.throws(compile({ width: 5 }), { reason: 'MODEL_INVALID', message: /patches of 2x2 do not tile 4x5/ });
  assert.throws(compile({ condition: undefined }), { reason: 'MODEL_INVALID', message: /size is not given/ });
  assert.throws(compile({ channels: 5 }), { reason: 'MODEL_INVALID', message: /patch_embedding\.weight is \[48,16\]/ });
});
