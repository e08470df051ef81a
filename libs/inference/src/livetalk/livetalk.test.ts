/** From imported files to frames, at small sizes. The parts are compared with the published code in their own tests. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { WantedNetwork } from '../checkpoint/find-networks.js';
import { importCheckpoint } from '../checkpoint/import-checkpoint.js';
import {
  compileTaehvDecoder,
  compileVaeDecoder,
  compileVaeEncoder,
  compileWav2Vec2,
  encodeSafetensors,
  expectedTensors,
  liveTalkDescription,
  neededTensors,
  soundValues,
} from '../compile/index.js';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { relativeError, seeded, seededWeights } from '../testing/seeded-weights.js';
import { LIVETALK_SIZES, LiveTalkModel, type LiveTalkSizes } from './livetalk-model.js';
import type { LiveTalkChunk, LiveTalkSession } from './livetalk-session.js';
import { chunkSound, encoderWindow, framesOf, nextWindow } from './sound-window.js';

const SIZES: LiveTalkSizes = {
  ...LIVETALK_SIZES,
  score: { dim: 64, mlp: 128, heads: 2, layers: 6, frequencies: 8, image: false },
  codec: { ...LIVETALK_SIZES.codec, dim: 8 },
  smallDecoder: { ...LIVETALK_SIZES.smallDecoder, widths: [24, 16, 8, 8] },
  audio: {
    ...LIVETALK_SIZES.audio,
    channels: 16,
    dim: 32,
    mlp: 64,
    heads: 2,
    layers: 3,
    positions: { kernel: 16, groups: 4 },
  },
  grid: { height: 2, width: 4 },
  prompt: { tokens: 7, dim: 20 },
  sound: { ...LIVETALK_SIZES.sound, windowFrames: 24 },
};
const FRAME_BYTES = (16 * 32 * 3) / 2;

let executor: Executor;
let folder: string;
before(async () => {
  executor = createOrtExecutor({ threads: 1 });
  folder = await mkdtemp(join(tmpdir(), 'talkmesh-livetalk-'));
  const [from, out] = [join(folder, 'from'), join(folder, 'model')];
  const networks: WantedNetwork[] = [];
  for (const [seed, [name, { anchor, shapes }]] of Object.entries(tensors()).entries()) {
    const weights = await seededWeights(folder, shapes, 70 + seed);
    await mkdir(join(from, name), { recursive: true });
    await rename(join(weights.folder, 'seeded.safetensors'), join(from, name, 'model.safetensors'));
    networks.push({ name, about: name, anchor, variants: [shapes] });
  }
  // The merged weights are in another folder than the others, and the runtime loads both.
  const parts = (['lora_A', 'lora_B'] as const).map((part, stream) => {
    const dims = part === 'lora_A' ? [4, 64] : [128, 4];
    return {
      name: `blocks.1.ffn.0.${part}.weight`,
      dims,
      values: seeded(83, stream, 512).slice(0, (dims[0] as number) * (dims[1] as number)),
    };
  });
  const path = join(folder, 'lora.safetensors');
  await writeFile(path, encodeSafetensors(parts));
  const lora = { path, alpha: 1, network: 'score' };
  await importCheckpoint({ model: 'livetalk', from, out, networks, lora, onProgress: () => undefined });
});
after(async () => {
  await executor[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function tensors(): Record<string, { anchor: string; shapes: ReadonlyMap<string, readonly number[]> }> {
  const { grid, codec, audio, prompt, smallDecoder, sound } = SIZES;
  const geometry = {
    ...grid,
    latentFrames: 3,
    channels: 16,
    given: 17,
    condition: prompt,
    sound: 4 * soundValues(audio),
  };
  const described = expectedTensors(liveTalkDescription(SIZES.score), geometry, 16);
  return {
    score: {
      anchor: 'patch_embedding.weight',
      shapes: new Map([...described].map(([name, { dims }]) => [name, dims])),
    },
    codec: {
      anchor: 'decoder.conv1.weight',
      shapes: neededTensors((weights) => {
        compileVaeEncoder(codec, weights, grid);
        compileVaeDecoder(codec, weights, grid, 'steady');
      }),
    },
    audio: {
      anchor: 'feature_projection.projection.weight',
      shapes: neededTensors((weights) => compileWav2Vec2(audio, weights, encoderWindow(sound))),
    },
    prompt: { anchor: 'prompt_embeds', shapes: new Map([['prompt_embeds', [prompt.tokens, prompt.dim]]]) },
    'small-decoder': {
      anchor: 'decoder.22.weight',
      shapes: neededTensors((weights) => compileTaehvDecoder(smallDecoder, weights, grid)),
    },
  };
}

const pcm = (chunk: number, seed = 80): Float32Array =>
  seeded(seed, chunk, framesOf(SIZES.sound, chunk) * 1000).map((value) => 0.1 * value);

async function open(model: LiveTalkModel): Promise<LiveTalkSession> {
  const picture = seeded(81, 0, 3 * 16 * 32).map((value) => Math.min(1, Math.abs(value) / 3));
  return model.openSession({ seed: 82, keepChunks: 3, picture });
}

async function generate(session: LiveTalkSession, chunk: number, sound = pcm(chunk)): Promise<LiveTalkChunk> {
  const made = await session.generate(chunk, sound);
  assert.ok(made, `chunk ${chunk} was not rolled back`);
  return made;
}

for (const decoder of ['wan', 'small'] as const)
  test(`a picture and sound become frames (${decoder}), and a rollback gives the same again`, async () => {
    await using model = await LiveTalkModel.load(executor, join(folder, 'model'), { decoder, sizes: SIZES });
    const session = await open(model);
    const made: LiveTalkChunk[] = [];
    for (const chunk of [0, 1, 2, 3, 4, 5]) made.push(await generate(session, chunk));
    assert.deepEqual(
      made.map(({ frames }) => frames.length),
      [9, 12, 12, 12, 12, 12],
    );
    assert.ok(made.every(({ frames }) => frames.every((frame) => frame.length === FRAME_BYTES)));
    const running = session.generate(6, pcm(6));
    session.rollback(4);
    assert.equal(await running, undefined);
    const other = await generate(session, 4, pcm(4, 90));
    assert.ok(relativeError(other.latents, made[4]?.latents ?? []) > 1e-3, 'the sound changes the picture');
    session.rollback(4);
    assert.deepEqual([await generate(session, 4), await generate(session, 5)], made.slice(4));
    await assert.rejects(session.generate(9, pcm(9)), /sound before it is not kept/);
    await assert.rejects(session.generate(6, new Float32Array(3)), /chunk 6 has 3 samples, not 12000/);
    session.dispose();
    assert.equal(session.stateBytes, 0);
  });

test('the latents of the first frame are those of the picture', async () => {
  await using model = await LiveTalkModel.load(executor, join(folder, 'model'), { decoder: 'wan', sizes: SIZES });
  const [one, other] = [await open(model), await open(model)];
  const each = 16 * 2 * 4;
  const latents = [await generate(one, 0), await generate(other, 0, pcm(0, 90))].map((made) => made.latents);
  assert.deepEqual(latents[0]?.slice(0, each), latents[1]?.slice(0, each));
  assert.notDeepEqual(latents[0]?.slice(each), latents[1]?.slice(each));
  one.dispose();
  other.dispose();
});

test('a window is the last sound of the session, after silence; the first frame of a session fills its missing places', () => {
  const rule = SIZES.sound;
  const first = nextWindow(rule, 0, undefined, pcm(0));
  assert.ok(first.subarray(0, 15_000).every((value) => value === 0));
  const second = nextWindow(rule, 1, first, pcm(1));
  assert.deepEqual(second, Float32Array.from([...new Float32Array(3000), ...pcm(0), ...pcm(1)]));
  const third = nextWindow(rule, 2, second, pcm(2));
  assert.deepEqual(third, Float32Array.from([...pcm(1), ...pcm(2)]));
  const values = soundValues(SIZES.audio);
  const hidden = Float32Array.from({ length: 12 * values }, (_, i) => Math.floor(i / values));
  const frames = [...chunkSound(rule, SIZES.audio, 0, hidden)].filter((_, i) => i % values === 0);
  assert.deepEqual(frames, [3, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.deepEqual(chunkSound(rule, SIZES.audio, 1, hidden), hidden);
});
