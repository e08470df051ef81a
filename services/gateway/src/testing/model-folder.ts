import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelManifest } from '@talkmesh/contracts';

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
);

export const AVATARS = ['ada', 'bo'] as const;

export function manifest(): ModelManifest {
  return {
    schema: 'talkmesh.model/1',
    name: 'nano',
    version: '9',
    licence: 'Apache-2.0',
    description: 'manifest of a test',
    latentKind: 'grid',
    fps: 25,
    width: 64,
    height: 64,
    chunk: { latentFrames: 3, temporalCompression: 4 },
    latent: { channels: 4, height: 8, width: 8 },
    audio: { sampleRateHz: 24_000, historySamples: 0, tokensPerFrame: 1, tokenDim: 8 },
    score: { layers: 1, dim: 8, heads: 1, modulationSize: 8, schedule: [1], sampler: 'euler' },
    decoder: { stateShape: [1], referenceOutputs: { feature: [1] } },
    graphs: { audio: 'a.onnx', timestep: 't.onnx', score: 's.onnx', reference: 'r.onnx', decoder: 'd.onnx' },
    files: [{ path: 'a.onnx', bytes: 1, sha256: '0'.repeat(64) }],
    avatars: AVATARS.map((id) => ({
      id,
      name: id.toUpperCase(),
      style: 'test',
      image: `avatars/${id}.png`,
      landmarks: [
        [32, 40],
        [24, 28],
        [40, 28],
      ],
    })),
  };
}

/** A model folder with a manifest and pictures, without weights: what the edge reads. */
export async function writeModelFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'talkmesh-model-'));
  await mkdir(join(path, 'avatars'));
  await writeFile(join(path, 'model.json'), JSON.stringify(manifest()));
  for (const id of AVATARS) await writeFile(join(path, 'avatars', `${id}.png`), PNG);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
