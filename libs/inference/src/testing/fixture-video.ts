/** A LiveTalk of small sizes and random weights, imported from files as a user does it. */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importCheckpoint } from '../checkpoint/import-checkpoint.js';
import { type LiveTalkManifestOptions, writeLiveTalkManifest } from '../checkpoint/livetalk-manifest.js';
import { LIVETALK_SIZES, type LiveTalkSizes, liveTalkNetworks } from '../checkpoint/livetalk-networks.js';
import { encodeSafetensors } from '../compile/index.js';
import { encodePng } from './png-writer.js';
import { seeded, seededWeights } from './seeded-weights.js';

export const FIXTURE_VIDEO_SIZES: LiveTalkSizes = {
  ...LIVETALK_SIZES,
  score: { dim: 64, mlp: 128, heads: 2, layers: 4, frequencies: 8, image: false },
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
  grid: { height: 4, width: 4 },
  prompt: { tokens: 7, dim: 20 },
  hearing: { ...LIVETALK_SIZES.hearing, frames: 24 },
};
export const FIXTURE_VIDEO_AVATARS = ['eva', 'tom'] as const;

export interface FixtureVideo extends AsyncDisposable {
  readonly folder: string;
}

/** The caller disposes of it. */
export async function createFixtureVideo(
  decoder: LiveTalkManifestOptions['decoder'],
  sizes: LiveTalkSizes = FIXTURE_VIDEO_SIZES,
): Promise<FixtureVideo> {
  const home = await mkdtemp(join(tmpdir(), 'talkmesh-fixture-video-'));
  const [from, folder] = [join(home, 'from'), join(home, 'model')];
  const networks = liveTalkNetworks(sizes);
  for (const [seed, { name, variants }] of networks.entries()) {
    const weights = await seededWeights(home, variants[0] as ReadonlyMap<string, readonly number[]>, 70 + seed);
    await mkdir(join(from, name), { recursive: true });
    await rename(join(weights.folder, 'seeded.safetensors'), join(from, name, 'model.safetensors'));
  }
  const lora = await writeAdapter(home, sizes);
  const made = await importCheckpoint({ model: 'livetalk', from, out: folder, networks, lora, onProgress: () => {} });
  const avatars = FIXTURE_VIDEO_AVATARS.map((id, i) => ({ id, name: id, png: picture(sizes, i) }));
  await writeLiveTalkManifest(folder, made, { decoder, avatars, sizes });
  return { folder, [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }) };
}

/** The merged weights are in another folder than the others, and the runtime loads both. */
async function writeAdapter(folder: string, { score }: LiveTalkSizes) {
  const parts = (['lora_A', 'lora_B'] as const).map((part, stream) => {
    const dims = part === 'lora_A' ? [4, score.dim] : [score.mlp, 4];
    const count = dims.reduce((product, dim) => product * dim, 1);
    return { name: `blocks.1.ffn.0.${part}.weight`, dims, values: seeded(83, stream, count) };
  });
  const path = join(folder, 'lora.safetensors');
  await writeFile(path, encodeSafetensors(parts));
  return { path, alpha: 1, network: 'score' };
}

/** Colours that differ by place and by avatar. */
function picture({ grid, scale }: LiveTalkSizes, index: number): Uint8Array {
  const [width, height] = [scale * grid.width, scale * grid.height];
  const rgb = Uint8Array.from({ length: width * height * 3 }, (_, at) => {
    const [x, y] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width)];
    return [(255 * x) / width, (255 * y) / height, 90 + 120 * index][at % 3] as number;
  });
  return encodePng(rgb, width, height, { filter: 4 });
}
