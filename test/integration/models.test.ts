/** `talkmesh models` on files of full shape. They are sparse: their headers are real, their values take no space. */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ModelManifest } from '@talkmesh/contracts';
import { type CheckpointName, checkpoint, liveTalkNetworks, loadModel } from '@talkmesh/inference';
import { createFixtureVideo } from '@talkmesh/inference/testing';
import { talkmesh } from '../support/cli.js';
import { nano } from '../support/nano.js';
import { temporaryFolder } from '../support/temporary-folder.js';

type Shapes = readonly (readonly [name: string, dims: readonly number[]])[];

/** A bfloat16 `.safetensors` file whose values are a hole in the file. */
async function writeSparse(path: string, shapes: Shapes): Promise<void> {
  let at = 0;
  const entries = shapes.map(([name, shape]) => {
    const from = at;
    at += shape.reduce((product, dim) => product * dim, 2);
    return [name, { dtype: 'BF16', shape, data_offsets: [from, at] }] as const;
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  await writeFile(path, Buffer.concat([length, header]));
  await truncate(path, 8 + header.length + at);
}

const shapesOf = (name: CheckpointName): Shapes =>
  [...checkpoint(name).tensors].map(([tensor, { dims }]) => [tensor, dims]);

test('the published shapes have the published numbers of tensors and parameters', () => {
  assert.equal(checkpoint('wan-t2v-1.3b').tensors.size, 825);
  assert.equal(checkpoint('wan-t2v-14b').tensors.size, 1095);
  assert.equal(checkpoint('wan-i2v-14b').tensors.size, 1303);
  assert.equal(checkpoint('livetalk').tensors.size, 825 + 32);
  // Without the text's four tensors, with ten of the sound's projection.
  assert.equal(checkpoint('flashhead').tensors.size, 825 - 4 + 10);
  // With the encoders of pose, sound and motion, a mask, and twelve layers that hear.
  assert.equal(checkpoint('s2v-14b').tensors.size, 1095 + 2 + 12 + 6 + 1 + 12 * 12);
});

/** Files of the networks that LiveTalk and FlashHead need besides the transformer, each in a folder of its own. */
async function writeOthers(folder: string, names: readonly string[]): Promise<void> {
  for (const { name, variants } of liveTalkNetworks().filter((network) => names.includes(network.name))) {
    await mkdir(join(folder, name), { recursive: true });
    await writeSparse(join(folder, name, 'model.safetensors'), [...(variants[0] ?? [])]);
  }
}

test('a complete checkpoint is found under a prefix, in several files, and what an import needs besides is named', async () => {
  const folder = temporaryFolder('models');
  const shapes = shapesOf('livetalk').map(([name, dims]) => [`model.${name}`, dims] as const);
  await mkdir(join(folder, 'live'));
  await writeSparse(join(folder, 'live', 'a.safetensors'), shapes.slice(0, 400));
  await writeSparse(join(folder, 'live', 'b.safetensors'), [...shapes.slice(400), ['extra.bias', [3]]]);
  await writeOthers(folder, ['codec', 'audio']);
  const check = () => talkmesh(['models', 'check', 'livetalk', '--from', folder]);
  const without = await check();
  assert.equal(without.code, 1);
  assert.match(
    without.stdout,
    /Complete: .*\nWhat else `models import` needs:\n {2}codec: in codec\/model\.safetensors\n/,
  );
  assert.match(
    without.stdout,
    /\n {2}prompt: no file has prompt_embeds; add a \.safetensors file with umT5-XXL's embedding/,
  );
  assert.match(
    without.stdout,
    /\n {2}small-decoder: not there, and optional: taew2_1\.safetensors of madebyollin\/taehv\n$/,
  );
  await writeOthers(folder, ['prompt', 'small-decoder']);
  const { code, stdout, stderr } = await check();
  assert.equal(code, 0, stderr);
  assert.match(stdout, /857 of 857 tensors in a\.safetensors, b\.safetensors, names begin with "model\."/);
  assert.match(stdout, /^1\.421 billion parameters, 2\.84 GB \(BF16 857\)$/m);
  assert.match(stdout, /1 not needed:\n {2}extra\.bias\nComplete/);
});

test('what is missing or of another shape is named with the file; other checkpoints and files are refused', async () => {
  const folder = temporaryFolder('models');
  const shapes = shapesOf('wan-t2v-1.3b').filter(([name]) => name !== 'blocks.7.ffn.2.bias');
  const turned = shapes.map(
    ([name, dims]) => [name, name === 'blocks.3.ffn.0.weight' ? dims.toReversed() : dims] as const,
  );
  await writeSparse(join(folder, 'wan.safetensors'), turned);
  const check = (name: string) => talkmesh(['models', 'check', name, '--from', folder]);
  const plain = await check('wan-t2v-1.3b');
  assert.equal(plain.code, 1);
  assert.match(plain.stdout, /2 wrong or missing:/);
  assert.match(plain.stdout, /blocks\.7\.ffn\.2\.bias is missing; its shape is \[1536\]/);
  assert.match(plain.stdout, /wan\.safetensors: blocks\.3\.ffn\.0\.weight is \[1536,8960\], not \[8960,1536\]/);
  assert.match((await check('livetalk')).stdout, /patch_embedding\.weight is \[1536,64\], not \[1536,132\]/);
  await truncate(join(folder, 'wan.safetensors'), 100_000);
  const damaged = await check('wan-t2v-1.3b');
  assert.equal(damaged.code, 1);
  assert.match(damaged.stderr, /wan\.safetensors .*it was cut off; fetch the file again/);
  const none = await talkmesh(['models', 'check', 'livetalk', '--from', join(folder, 'nothing')]);
  assert.match(none.stderr, /cannot be read; name the folder/);
  await mkdir(join(folder, 'empty'));
  const empty = await talkmesh(['models', 'check', 'livetalk', '--from', join(folder, 'empty')]);
  assert.match(
    empty.stderr,
    /holds no .* put there: model\.safetensors of GAIR\/LiveTalk-1\.3B-V0\.1; Wan2\.1_VAE\.pth of/,
  );
  await writeSparse(join(folder, 'empty', 'other.safetensors'), [['lm_head.weight', [3, 4]]]);
  const wrong = await talkmesh(['models', 'check', 'livetalk', '--from', join(folder, 'empty')]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stdout, /score: no file has patch_embedding\.weight; add model\.safetensors of GAIR/);
  const another = await talkmesh(['models', 'check', 'wan-t2v-14b', '--from', join(folder, 'empty')]);
  assert.match(another.stdout, /Not this checkpoint: no tensor of it is in other\.safetensors\. Name the folder/);
  assert.equal((await talkmesh(['models', 'check', 'other', '--from', '.'])).code, 2);
});

test('an import names every network that is missing, before it reads any numbers; other arguments are refused', async () => {
  const folder = temporaryFolder('models');
  await writeSparse(join(folder, 'model.safetensors'), shapesOf('livetalk'));
  const args = ['models', 'import', 'livetalk', '--from', folder, '--avatar', 'test/fixtures/grace-hopper.jpg'];
  const { code, stderr } = await talkmesh([...args, '--out', join(folder, 'out')]);
  assert.equal(code, 1);
  assert.match(stderr, /codec: no file has decoder\.conv1\.weight; add Wan2\.1_VAE\.pth/);
  assert.match(stderr, /audio: no file has .*; add the weights of facebook\/wav2vec2-base-960h/);
  assert.match(stderr, /prompt: no file has prompt_embeds; add a \.safetensors file/);
  assert.doesNotMatch(stderr, /score:|small-decoder/);
  assert.equal((await talkmesh(args)).code, 2);
  assert.equal((await talkmesh([...args.slice(0, 5), '--out', join(folder, 'out')])).code, 2, 'without an avatar');
  assert.equal((await talkmesh([...args, '--out', join(folder, 'out'), '--decoder', 'other'])).code, 2);
  await writeFile(join(folder, 'no.png'), 'text');
  const bad = await talkmesh([...args, '--avatar', join(folder, 'no.png'), '--out', join(folder, 'out')]);
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /no\.png cannot be read as a picture .*; use a PNG or JPEG file/);
  assert.equal((await talkmesh([...args, '--out', 'x', '--lora-alpha', '64'])).code, 2);
});

test('the arithmetic of floor is the one that docs/models.md shows, and needs no weights', async () => {
  const { code, stdout, stderr } = await talkmesh(['models', 'floor']);
  assert.equal(code, 0, stderr);
  const [, shown] = /```text\n(LiveTalk-1\.3B: .*?)```/s.exec(await readFile('docs/models.md', 'utf8')) ?? [];
  assert.equal(shown, stdout, 'copy what `npx talkmesh models floor` prints into docs/models.md');
  await using fixture = await createFixtureVideo('taehv');
  const own = await talkmesh(['models', 'floor', '--from', fixture.folder]);
  assert.match(own.stdout, /: 32 x 32 pixels, 16 frames a second/);
  assert.match(own.stdout, /^ +small decoder +1 /m);
  const other = await talkmesh(['models', 'floor', '--from', 'models/nano']);
  assert.equal(other.code, 1);
  assert.match(other.stderr, /models\/nano is not a video model; name the folder that `talkmesh models import` wrote/);
  assert.equal((await talkmesh(['models', 'floor', 'other'])).code, 2);
});

test('FlashHead is checked, and its import names the networks that are missing', async () => {
  const folder = temporaryFolder('models');
  const [from, out] = [join(folder, 'from'), join(folder, 'out')];
  const unused = [['text_embedding.0.weight', [1536, 4096]] as const];
  await mkdir(join(from, 'Model_Pro'), { recursive: true });
  await writeSparse(join(from, 'Model_Pro', 'model.safetensors'), [...shapesOf('flashhead'), ...unused]);
  const checked = await talkmesh(['models', 'check', 'flashhead', '--from', from]);
  assert.equal(checked.code, 1);
  assert.match(checked.stdout, /831 of 831 tensors .*\n1\.497 billion parameters/);
  assert.match(checked.stdout, /1 not needed:\n {2}text_embedding\.0\.weight/);
  assert.match(checked.stdout, /\n {2}audio: no file has .*; add the weights of facebook\/wav2vec2-base-960h/);
  const args = ['models', 'import', 'flashhead', '--from', from, '--out', out];
  const missing = await talkmesh(args);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /codec: no file has decoder\.conv1\.weight; .*audio: no file has/);
  assert.equal((await talkmesh([...args, '--avatar', 'test/fixtures/grace-hopper.jpg'])).code, 2);
});

test('S2V-14B is checked in several files, with the adapter of LiveAvatar', async () => {
  const folder = temporaryFolder('models');
  const shapes = shapesOf('s2v-14b');
  await mkdir(join(folder, 's2v'));
  for (const part of [0, 1])
    await writeSparse(
      join(folder, 's2v', `${part}.safetensors`),
      shapes.filter((_, i) => i % 2 === part),
    );
  const adapts = /(self_attn|cross_attn|injector\.\d+)\.[qkvo]\.weight$|ffn\.[02]\.weight$/;
  const layers = shapes.filter(([name]) => adapts.test(name));
  const lora = (rank: number): Shapes =>
    layers.flatMap(([name, [outputs = 0, inputs = 0]]) => {
      const target = `base_model.model.${name.slice(0, -'.weight'.length)}`;
      return [
        [`${target}.lora_A.default.weight`, [rank, inputs]],
        [`${target}.lora_B.default.weight`, [outputs, 128]],
      ] as const;
    });
  const check = async (rank: number) => {
    await writeSparse(join(folder, 'lora.safetensors'), lora(rank));
    return talkmesh([
      'models',
      'check',
      's2v-14b',
      '--from',
      join(folder, 's2v'),
      '--lora',
      join(folder, 'lora.safetensors'),
    ]);
  };
  const { code, stdout } = await check(128);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /1260 of 1260 tensors in 0\.safetensors, 1\.safetensors/);
  assert.match(stdout, /^16\.\d+ billion parameters/m);
  assert.match(stdout, /lora\.safetensors: changes 448 layers by rank 128, replaces 0 tensors\nIt fits\./);
  const other = await check(64);
  assert.equal(other.code, 1);
  assert.match(other.stdout, /448 wrong:\n.* do not fit .*weight \[5120,5120\]; use an adapter of this model/);
});

test('idle records an avatar by a mesh of its model, and the model lists the recording and stays the same version', {
  timeout: 180_000,
}, async () => {
  const folder = join(temporaryFolder('models'), 'nano');
  await cp('models/nano', folder, { recursive: true });
  const avatars = nano.avatars.filter(({ id }) => id === 'bolt').map(({ idle: _, ...avatar }) => avatar);
  const files = nano.files.filter(({ path }) => !path.endsWith('.avif'));
  await writeFile(join(folder, 'model.json'), JSON.stringify({ ...nano, files, avatars }));
  await writeFile(join(folder, 'avatars/avatars.json'), JSON.stringify(avatars));
  const { code, stderr } = await talkmesh(['models', 'idle', '--from', folder]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /avatars\/bolt\.idle\.avif: [5-8]\.\d s, \d+ KB, seam [0-2]\.\d of 255/);
  const model = await loadModel(folder);
  assert.equal(model.manifest.version, nano.version);
  assert.equal(model.manifest.avatars[0]?.idle, 'avatars/bolt.idle.avif');
  const listed = JSON.parse(await readFile(join(folder, 'avatars/avatars.json'), 'utf8')) as ModelManifest['avatars'];
  assert.deepEqual(
    listed.map(({ id, idle }) => [id, idle]),
    [['bolt', 'avatars/bolt.idle.avif']],
  );
  const avif = await readFile(join(folder, 'avatars/bolt.idle.avif'));
  assert.equal(avif.subarray(4, 12).toString(), 'ftypavis');
});
