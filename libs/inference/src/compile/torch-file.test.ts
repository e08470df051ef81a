/** Reads files that PyTorch wrote, sound and hostile ones. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { fixtureCases, runOnce } from '../testing/compile-cases.js';
import { compileWhole, openWeights, readWeight } from './index.js';
import { readPickle } from './torch-pickle.js';

const WRITE = `
import collections, json, os, struct, sys, torch
fixture = sys.argv[1]
x = torch.arange(12, dtype=torch.float32).reshape(3, 4) / 4
torch.save({'plain': x, 'half': x.half(), 'brain': x.bfloat16(), 'whole': torch.tensor([5, -3]), 'scalar': torch.tensor(2.5),
            'part': x[1:], 'none': torch.zeros(0, 4), 'lr': 0.1, 'steps': 70000, 'names': ['a', 'b'], 'on': True}, 'plain.pth')
torch.manual_seed(1)
layer = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
torch.save({'generator': layer.state_dict(), 'epoch': 3}, 'nested.pth')
torch.save({'weight': torch.nn.Parameter(x)}, 'parameter.pth')
torch.save({'turned': x.t()}, 'turned.pth')
torch.save(x, 'bare.pth')
torch.save({'x': x}, 'old.pth', _use_new_zipfile_serialization=False)
class Command:
    def __reduce__(self):
        return (os.system, ('touch executed',))
class Import:
    def __reduce__(self):
        return (eval, ("open('executed', 'w')",))
torch.save({'x': x, 'y': Command()}, 'command.pth')
torch.save({'x': x, 'y': Import()}, 'import.pth')
with open(fixture, 'rb') as file:
    header = json.loads(file.read(struct.unpack('<Q', file.read(8))[0]))
    data = file.read()
kinds = {'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16}
tensors = {name: torch.frombuffer(bytearray(data[slice(*entry['data_offsets'])]), dtype=kinds[entry['dtype']]).reshape(entry['shape'])
           for name, entry in header.items() if name != '__metadata__' and not name.startswith('io.')}
torch.save(collections.OrderedDict(tensors), 'network.pth')
`;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-torch-'));
  const [, wan] = await fixtureCases();
  const fixture = join(wan?.weights.folder ?? '', 'wan-t2v.safetensors');
  execFileSync('/usr/bin/python3', ['-c', WRITE, fixture], { cwd: folder });
});
after(() => rm(folder, { recursive: true, force: true }));

const refused = (file: string, why: RegExp): Promise<void> =>
  assert.rejects(openWeights(folder, [file]), { reason: 'MODEL_INVALID', message: why });

test('tensors of all types are found with their shapes and values, also parts of others; the rest is left out', async () => {
  const weights = await openWeights(folder, ['plain.pth']);
  const facts = [...weights.entries.values()].map(({ name, type, dims }) => `${name} ${type} [${dims}]`);
  assert.deepEqual(facts, [
    'plain F32 [3,4]',
    'half F16 [3,4]',
    'brain BF16 [3,4]',
    'whole I64 [2]',
    'scalar F32 []',
    'part F32 [2,4]',
    'none F32 [0,4]',
  ]);
  const quarters = Float32Array.from({ length: 12 }, (_, i) => i / 4);
  for (const name of ['plain', 'half', 'brain']) assert.deepEqual(await readWeight(weights, name), quarters, name);
  assert.deepEqual(await readWeight(weights, 'part'), quarters.subarray(4));
  assert.deepEqual(await readWeight(weights, 'whole'), Float32Array.of(5, -3));
  assert.deepEqual(await readWeight(weights, 'scalar'), Float32Array.of(2.5));
});

test('names of nested dictionaries are joined by dots; parameters are tensors', async () => {
  const { entries } = await openWeights(folder, ['nested.pth', 'parameter.pth']);
  const names = ['0.weight', '0.bias', '1.weight', '1.bias'].map((name) => `generator.${name}`);
  assert.deepEqual([...entries.keys()], [...names, 'weight']);
});

test('a network runs with its weights in the file, without a copy, as from safetensors', async () => {
  const [, wan] = await fixtureCases();
  assert.ok(wan);
  await using executor = createOrtExecutor({ threads: 1 });
  const run = async (weights: typeof wan.weights) =>
    runOnce(executor, compileWhole(wan.dit, weights, wan.geometry, { condition: 'inside' }), wan.cases.later);
  const [expected, made] = [await run(wan.weights), await run(await openWeights(folder, ['network.pth']))];
  assert.deepEqual(made, expected);
});

test('a file that would execute something is refused with the name, and nothing is executed', async () => {
  await refused('command.pth', /command\.pth is refused: it names posix\.system.*may be hostile.*publisher/);
  await refused('import.pth', /it names \S+\.eval/);
  assert.equal(existsSync(join(folder, 'executed')), false);
});

test('files in other forms are refused with what to do', async () => {
  await refused('turned.pth', /turned with strides \[1,4\] for \[4,3\]; save it again with \.contiguous/);
  await refused('bare.pth', /holds no dictionary of tensors/);
  await refused('old.pth', /no ZIP archive.*save it again with torch\.save/);
  await refused('missing.pth', /cannot be read/);
});

test('a damaged file never gives tensors of a wrong size', async () => {
  const whole = await readFile(join(folder, 'plain.pth'));
  let refusals = 0;
  for (let cut = 0; cut < whole.length; cut += 97) {
    await writeFile(join(folder, 'cut.pth'), whole.subarray(0, cut));
    await refused('cut.pth', /./);
  }
  for (let at = 0; at < whole.length; at += 3) {
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] as number) ^ 0x5a;
    await writeFile(join(folder, 'changed.pth'), changed);
    try {
      const { entries } = await openWeights(folder, ['changed.pth']);
      for (const { offset, bytes } of entries.values()) assert.ok(offset >= 0 && offset + bytes <= whole.length);
    } catch (thrown) {
      assert.equal((thrown as { reason?: string }).reason, 'MODEL_INVALID', String(thrown));
      refusals += 1;
    }
  }
  assert.ok(refusals > 50, `${refusals} of the changed files were refused`);
});

test('pickles with unknown operations, other protocols, loops or huge numbers are refused', () => {
  const read = (...bytes: readonly (number | string)[]) =>
    readPickle(Buffer.concat(bytes.map((part) => Buffer.from(typeof part === 'string' ? part : [part]))));
  assert.throws(() => read(0x80, 2, 'cposix\nsystem\n'), /posix\.system/);
  assert.throws(() => read(0x80, 4, 'X', 2, 0, 0, 0, 'os', 'X', 6, 0, 0, 0, 'system', 0x93), /os\.system/);
  assert.throws(() => read(0x80, 2, 'iposix\nsystem\n'), /operation "i"/);
  assert.throws(() => read(0x80, 0, '.'), /protocol 0/);
  assert.throws(() => read(0x80, 2, 0x8a, 200), /200 bytes/);
  assert.throws(() => read(0x80, 2, 'X', 255, 255, 255, 127), /cut off/);
  assert.throws(() => read(0x80, 2, 'h', 9), /reads value 9/);
  assert.throws(() => read(0x80, 2, 'ccollections\nOrderedDict\n', 'K', 1, 0x85, 'R'), /calls something other/);
  assert.throws(() => read(0x80, 2, '}', 'N', 'b'), /attributes/);
  assert.throws(() => read(0x80, 2, '.'), /not there/);
});
