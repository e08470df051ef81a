import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelManifest } from '@talkmesh/contracts';

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
);

/** Two frames of one colour, 16x16. */
const AVIF = Buffer.from(
  [
    'AAAALGZ0eXBhdmlzAAAAAGF2aXNhdmlmbXNmMWlzbzhtaWYxbWlhZk1BMUIAAAD5bWV0YQAAAAAAAAAvaGRscgAAAAAAAAAAcGljdAAAAAAAAAAA',
    'AAAAAFBpY3R1cmVIYW5kbGVyAAAAAA5waXRtAAAAAAABAAAAHmlsb2MAAAAARAAAAQABAAAAAQAAA7gAAAAfAAAAKGlpbmYAAAAAAAEAAAAaaW5m',
    'ZQIAAAAAAQAAYXYwMUNvbG9yAAAAAGppcHJwAAAAS2lwY28AAAAUaXNwZQAAAAAAAAAQAAAAEAAAABBwaXhpAAAAAAMICAgAAAAMYXYxQ4EADAAA',
    'AAATY29scm5jbHgAAgACAAIAAAAAF2lwbWEAAAAAAAAAAQABBAECgwQAAAKLbW9vdgAAAGxtdmhkAAAAAAAAAAAAAAAAAAAyAAAAAAAAAQAAAQAA',
    'AAAAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAgAAAhd0cmFrAAAA',
    'XHRraGQAAAADAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAAABAAAAAABAA',
    'AAAQAAAAAAGzbWRpYQAAACBtZGhkAAAAAAAAAAAAAAAAAAAyAAAABABVxAAAAAAAL2hkbHIAAAAAAAAAAHBpY3QAAAAAAAAAAAAAAABQaWN0dXJl',
    'SGFuZGxlcgAAAAFcbWluZgAAABR2bWhkAAAAAQAAAAAAAAAAAAAAJGRpbmYAAAAcZHJlZgAAAAAAAAABAAAADHVybCAAAAABAAABHHN0YmwAAACc',
    'c3RzZAAAAAAAAAABAAAAjGF2MDEAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAEAAQAEgAAABIAAAAAAAAAAEYTGF2YzU5LjM3LjEwMCBsaWJhb20t',
    'YXYxAAAAAAAAAAAY//8AAAAMYXYxQ4EADAAAAAAKZmllbAEAAAAAEHBhc3AAAAABAAAAAQAAABBjY3N0AAAAAHwAAAAAAAAYc3R0cwAAAAAAAAAB',
    'AAAAAgAAAgAAAAAUc3RzcwAAAAAAAAABAAAAAQAAABxzdHNjAAAAAAAAAAEAAAABAAAAAgAAAAEAAAAcc3RzegAAAAAAAAAAAAAAAgAAAB8AAAAT',
    'AAAAFHN0Y28AAAAAAAAAAQAAA7gAAAA6bWRhdAoKAAAAAZ/5tfIAgDIREAC5gAACQAAAAHiXL5X1D1wyETADwIAAAAbkAAACwAAgAHaQ',
  ].join(''),
  'base64',
);

export const AVATARS = ['ada', 'bo'] as const;

const norm = { kind: 'layer', eps: 1e-5 } as const;
const DIT: ModelManifest['score']['dit'] = {
  schema: 'talkmesh.dit/1',
  dim: 8,
  heads: 1,
  layers: 1,
  mlp: 8,
  patch: { size: [1, 1], enter: 'enter' },
  rope: { pairs: 'half', axes: [{ axis: 'frame', pairs: 4, theta: 30 }], contextChunks: 2 },
  time: {
    scale: 1,
    frequencies: { count: 4, theta: 100 },
    inner: 'inner',
    hidden: 8,
    outer: 'outer',
    output: ['outer'],
  },
  modulation: { size: 64, layer: { offset: 0, stride: 48, table: 'table' }, head: { offset: 48, stride: 8 } },
  attention: { norm, qkv: { kind: 'fused', all: 'qkv' }, out: 'out' },
  feedForward: { norm, up: 'up', activation: 'silu', down: 'down' },
  head: { norm, leave: 'leave', order: 'channel-first', predicts: { kind: 'velocity' } },
};

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
    score: { dit: DIT, weights: ['s.safetensors'], schedule: [1], sampler: 'euler' },
    decoder: { stateShape: [1], referenceOutputs: { feature: [1] } },
    graphs: { audio: 'a.onnx', reference: 'r.onnx', decoder: 'd.onnx' },
    files: [{ path: 'a.onnx', bytes: 1, sha256: '0'.repeat(64) }],
    avatars: AVATARS.map((id) => ({
      id,
      name: id.toUpperCase(),
      style: 'test',
      image: `avatars/${id}.png`,
      ...(id === 'ada' && { idle: 'avatars/ada.idle.avif' }),
      landmarks: [
        [32, 40],
        [24, 28],
        [40, 28],
      ],
    })),
  };
}

/** Writes a model folder with manifest and pictures but no weights, as far as the gateway reads it. */
export async function writeModelFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'talkmesh-model-'));
  await mkdir(join(path, 'avatars'));
  await writeFile(join(path, 'model.json'), JSON.stringify(manifest()));
  for (const id of AVATARS) await writeFile(join(path, 'avatars', `${id}.png`), PNG);
  await writeFile(join(path, 'avatars/ada.idle.avif'), AVIF);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
