import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { GraphManifest } from '@talkmesh/contracts';
import { encodeSafetensors } from '../compile/index.js';
import { fixtureDit, fixtureGeometry } from './fixture-dit.js';
import { audioGraph, decoderGraph, referenceGraph } from './fixture-graphs.js';
import { FIXTURE_SIZES, type FixtureSizes, fixtureWeights } from './fixture-weights.js';
import { encodePng } from './png-writer.js';
import { randomTensors } from './random-tensors.js';

/** A model folder in a temporary folder; disposing removes it. */
export interface FixtureModel extends AsyncDisposable {
  readonly folder: string;
  readonly sizes: FixtureSizes;
}

const GRAPHS = {
  audio: 'audio.onnx',
  reference: 'reference.onnx',
  decoder: 'decoder.onnx',
} as const;

const SCORE_WEIGHTS = 'score.safetensors';

/** Avatars of every fixture model. */
export const FIXTURE_AVATARS = ['ada', 'bo'] as const;

/** Writes a complete model folder with random weights, which depend only on the sizes. */
export async function createFixtureModel(changes: Partial<FixtureSizes> = {}): Promise<FixtureModel> {
  const sizes = { ...FIXTURE_SIZES, ...changes };
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-model-'));
  await writeFixtureModel(folder, sizes);
  return { folder, sizes, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

export async function writeFixtureModel(folder: string, sizes: FixtureSizes): Promise<void> {
  const weights = fixtureWeights(sizes);
  const files: Record<string, Uint8Array> = {
    [GRAPHS.audio]: audioGraph(sizes, weights),
    [GRAPHS.reference]: referenceGraph(sizes, weights),
    [GRAPHS.decoder]: decoderGraph(sizes, weights),
    [SCORE_WEIGHTS]: encodeSafetensors(randomTensors(fixtureDit(sizes), fixtureGeometry(sizes), sizes.seed)),
  };
  for (const { latentFrames, graphs } of lengthsOf(sizes)) {
    const longer = { ...sizes, latentFrames };
    files[graphs.reference] = referenceGraph(longer, fixtureWeights(longer));
    files[graphs.decoder] = decoderGraph(longer, fixtureWeights(longer));
  }
  for (const [i, id] of FIXTURE_AVATARS.entries()) files[`avatars/${id}.png`] = avatarPicture(sizes, i);
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  await writeFile(join(folder, 'model.json'), JSON.stringify(manifestOf(sizes, files), undefined, 2));
}

const lengthsOf = ({ chunkLengths = [] }: FixtureSizes) =>
  chunkLengths.map((latentFrames) => ({
    latentFrames,
    graphs: { reference: `reference-${latentFrames}.onnx`, decoder: `decoder-${latentFrames}.onnx` },
  }));

/** Draws a disc on a uniform background in colours that differ by avatar. */
function avatarPicture(sizes: FixtureSizes, index: number): Uint8Array {
  const { width, height } = sizes;
  const rgb = new Uint8Array(width * height * 3);
  const [ground, face] =
    index === 0
      ? [
          [40, 70, 110],
          [220, 170, 140],
        ]
      : [
          [120, 60, 60],
          [90, 200, 160],
        ];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const inside = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (width / 3) ** 2;
      rgb.set((inside ? face : ground) as number[], 3 * (y * width + x));
    }
  return encodePng(rgb, width, height, { filter: 4 });
}

function manifestOf(sizes: FixtureSizes, files: Readonly<Record<string, Uint8Array>>): GraphManifest {
  const { width, height, fps, channels, latentHeight, latentWidth } = sizes;
  const at = (x: number, y: number): [number, number] => [Math.round(width * x), Math.round(height * y)];
  return {
    schema: 'talkmesh.model/1',
    name: 'fixture',
    version: '1.0.0',
    licence: 'Apache-2.0',
    description: 'Random weights with the interface of a real model, for tests.',
    latentKind: 'random',
    fps,
    width,
    height,
    chunk: { latentFrames: sizes.latentFrames, temporalCompression: sizes.temporalCompression },
    latent: { channels, height: latentHeight, width: latentWidth },
    audio: {
      sampleRateHz: 24_000,
      historySamples: sizes.historySamples,
      tokensPerFrame: sizes.tokensPerFrame,
      tokenDim: sizes.tokenDim,
    },
    score: {
      dit: fixtureDit(sizes),
      weights: [SCORE_WEIGHTS],
      schedule: [...sizes.schedule],
      ...(sizes.best !== undefined && { tiers: { best: { schedule: [...sizes.best] } } }),
      sampler: 'euler',
    },
    decoder: {
      stateShape: [channels, latentHeight, latentWidth],
      referenceOutputs: { reference_base: [(width * height * 3) / 2] },
    },
    graphs: GRAPHS,
    ...(sizes.chunkLengths !== undefined && { chunkLengths: lengthsOf(sizes) }),
    files: Object.entries(files).map(([path, bytes]) => ({
      path,
      bytes: bytes.byteLength,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    })),
    avatars: FIXTURE_AVATARS.map((id) => ({
      id,
      name: id,
      style: 'disc',
      image: `avatars/${id}.png`,
      landmarks: [at(0.5, 0.62), at(0.4, 0.42), at(0.6, 0.42)],
    })),
  };
}
