import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { encodeSafetensors, readWeight, type SafetensorsTensor } from '../compile/index.js';
import { relativeError, seeded } from '../testing/seeded-weights.js';
import { type ImportOptions, importCheckpoint, openCheckpoint, verifyCheckpoint } from './import-checkpoint.js';
import { liveTalkNetworks } from './livetalk-networks.js';

const folders: string[] = [];
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

const SHAPES = new Map([
  ['enter.weight', [6, 4]],
  ['blocks.0.q.weight', [6, 6]],
  ['blocks.0.q.bias', [6]],
]);
const NETWORKS = [
  { name: 'score', about: 'score.safetensors', anchor: 'enter.weight', variants: [SHAPES] },
  { name: 'codec', about: 'codec.safetensors', anchor: 'conv.weight', variants: [new Map([['conv.weight', [2, 3]]])] },
];

function tensor(name: string, dims: readonly number[], stream = 0): SafetensorsTensor {
  return {
    name,
    dims,
    values: seeded(
      7,
      stream,
      dims.reduce((product, dim) => product * dim, 1),
    ),
  };
}
const score = (prefix = ''): SafetensorsTensor[] =>
  [...SHAPES].map(([name, dims], stream) => tensor(`${prefix}${name}`, dims, stream));
const codec = [tensor('conv.weight', [2, 3])];

interface Place {
  readonly from: string;
  readonly out: string;
  put(path: string, tensors: readonly SafetensorsTensor[]): Promise<void>;
  run(options?: Partial<ImportOptions>): ReturnType<typeof importCheckpoint>;
}

async function place(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-import-'));
  folders.push(folder);
  const [from, out] = [join(folder, 'from'), join(folder, 'out')];
  await mkdir(join(from, 'a'), { recursive: true });
  return {
    from,
    out,
    put: (path, tensors) => writeFile(join(from, path), encodeSafetensors(tensors)),
    run: (options = {}) =>
      importCheckpoint({ model: 'small', from, out, networks: NETWORKS, onProgress: () => undefined, ...options }),
  };
}

async function complete(): Promise<Place> {
  const made = await place();
  await made.put('a/score.safetensors', [...score('model.'), tensor('unneeded', [1])]);
  await made.put('codec.safetensors', codec);
  return made;
}

test('an import points to the files, states their sha256, and gives the weights by their plain names', async () => {
  const { out, from, run } = await complete();
  const { networks } = await run();
  const content = await readFile(join(from, 'a/score.safetensors'));
  const sha256 = createHash('sha256').update(content).digest('hex');
  assert.deepEqual(networks['score']?.files, [{ path: '../from/a/score.safetensors', bytes: content.length, sha256 }]);
  const { score: opened } = await openCheckpoint(out);
  assert.ok(opened);
  assert.deepEqual(await readWeight(opened, 'blocks.0.q.weight'), score()[1]?.values);
  await verifyCheckpoint(out);
  content[content.length - 1] = (content[content.length - 1] as number) ^ 1;
  await writeFile(join(from, 'a/score.safetensors'), content);
  await assert.rejects(
    verifyCheckpoint(out),
    /score\.safetensors is not the file that was imported; import the model again/,
  );
  await truncate(join(from, 'codec.safetensors'), 20);
  await assert.rejects(openCheckpoint(out), /codec\.safetensors has 20 bytes instead of \d+; import the model again/);
});

test('a stopped import continues after the last file that it had checked', async () => {
  const { out, put, run } = await complete();
  const bad = new Float32Array(6).fill(Number.NaN);
  await put('codec.safetensors', [{ name: 'conv.weight', dims: [2, 3], values: bad }]);
  const read: string[] = [];
  const watched = {
    onProgress: (what: string, done: number, total: number) => void read.push(`${what} ${done / total}`),
  };
  await assert.rejects(
    run(watched),
    /codec\.safetensors tensor conv\.weight has a number that is not finite; fetch the file again/,
  );
  assert.ok(read.length > 1);
  await put('codec.safetensors', codec);
  read.length = 0;
  await run(watched);
  assert.equal(read.filter((line) => line.startsWith('a/score')).length, 1, 'the checked file is reported at once');
  assert.equal(read.at(-1), 'codec.safetensors 1');
  await openCheckpoint(out);
});

test('everything that is missing, double or of another shape is named with file, tensor and remedy', async () => {
  const { put, run, from } = await place();
  await assert.rejects(run(), /holds no \.safetensors or \.pth file; name the folder/);
  await put('a/score.safetensors', [...score().slice(0, 2), tensor('other.bias', [6])]);
  await assert.rejects(run(), (error: Error) => {
    assert.match(
      error.message,
      /score: a\/score\.safetensors lacks tensor blocks\.0\.q\.bias \[6\]; fetch score\.safetensors again/,
    );
    assert.match(error.message, /codec: no file has conv\.weight; add codec\.safetensors/);
    return true;
  });
  await put('codec.safetensors', codec);
  await put('a/score.safetensors', [...score().slice(0, 2), tensor('blocks.0.q.bias', [7])]);
  await assert.rejects(
    run(),
    /a\/score\.safetensors: tensor blocks\.0\.q\.bias is \[7\], not \[6\]; use score\.safetensors/,
  );
  await put('a/score.safetensors', score());
  await put('again.safetensors', codec.concat(score()));
  await assert.rejects(run(), /score is in a\/score\.safetensors and again\.safetensors; leave only one of them/);
  await truncate(join(from, 'again.safetensors'), 60);
  await assert.rejects(run(), /again\.safetensors .*fetch the file again/);
  await rm(join(from, 'again.safetensors'));
  await symlink('/etc/hostname', join(from, 'outside.pth'));
  await assert.rejects(run(), /outside\.pth is a link that leaves the folder; put the file itself there/);
});

test('a header of two gigabytes and a pickle that names a function are refused', async () => {
  const { from, run } = await complete();
  const length = Buffer.alloc(16);
  length.writeBigUInt64LE(2n ** 31n);
  await writeFile(join(from, 'large.safetensors'), length);
  await assert.rejects(run(), /large\.safetensors .*header/);
  await rm(join(from, 'large.safetensors'));
  await writeFile(join(from, 'code.pth'), 'cos\nsystem\n(S"true"\ntR.');
  await assert.rejects(run(), /code\.pth/);
});

test('an adapter is merged into a file of its own: weight + alpha / rank * B A', async () => {
  const { from, out, run } = await complete();
  const [a, b] = [tensor('', [2, 6], 3), tensor('', [6, 2], 4)];
  const name = 'base_model.model.blocks.0.q';
  const path = join(from, '..', 'lora.safetensors');
  const parts = [
    { ...a, name: `${name}.lora_A.default.weight` },
    { ...b, name: `${name}.lora_B.default.weight` },
    tensor('enter.weight', [6, 4], 5),
  ];
  await writeFile(path, encodeSafetensors(parts));
  const lora = { path, network: 'score' };
  await assert.rejects(
    run({ lora: { ...lora, alpha: undefined } }),
    /does not say its alpha; give it with --lora-alpha/,
  );
  await run({ lora: { ...lora, alpha: 1 } });
  const { score: opened } = await openCheckpoint(out);
  assert.ok(opened);
  const wanted = Float32Array.from(score()[1]?.values ?? [], (value, i) => {
    const [row, column] = [Math.floor(i / 6), i % 6];
    const [b0, b1] = [b.values[2 * row] as number, b.values[2 * row + 1] as number];
    return value + 0.5 * (b0 * (a.values[column] as number) + b1 * (a.values[6 + column] as number));
  });
  assert.ok(relativeError(await readWeight(opened, 'blocks.0.q.weight'), wanted) < 1e-6);
  assert.deepEqual(await readWeight(opened, 'enter.weight'), parts[2]?.values);
  assert.deepEqual(await readWeight(opened, 'blocks.0.q.bias'), score()[2]?.values);
  await verifyCheckpoint(out);
  await writeFile(path, encodeSafetensors([{ ...a, name: 'blocks.9.q.lora_A.weight' }]));
  await assert.rejects(
    run({ lora: { ...lora, alpha: 1 } }),
    /lora\.safetensors changes blocks\.9\.q\.weight, which the network does not have/,
  );
});

test('LiveTalk needs the tensors that the published networks have', () => {
  const counts = liveTalkNetworks().map(({ name, variants }) => {
    const sizes = [...(variants[0] ?? new Map<string, number[]>()).values()].map((dims) =>
      dims.reduce((product, dim) => product * dim, 1),
    );
    return [name, sizes.length, sizes.reduce((sum, size) => sum + size, 0)];
  });
  // Counted in the published code at full size, without what is not needed: the encoder's 4 tensors over time, and the mask of wav2vec 2.0's training.
  assert.deepEqual(counts.slice(1), [
    ['codec', 190, 126_338_995],
    ['audio', 210, 94_370_944],
    ['prompt', 1, 512 * 4096],
    ['small-decoder', 64, 9_844_611],
  ]);
  assert.deepEqual(counts[0]?.slice(0, 2), ['score', 857]);
});
