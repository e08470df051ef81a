/** A LiveTalk of random bfloat16 weights, imported from files as a user does it. */
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import {
  importCheckpoint,
  type LiveTalkSizes,
  liveTalkNetworks,
  loadModel,
  NoiseSource,
  type VideoModel,
  writeLiveTalkManifest,
} from '@talkmesh/inference';
import { encodePng } from '@talkmesh/inference/testing';

/** A prime, so that no two rows of a weight are the same. */
const NOISE_VALUES = 65_521;
const REPEATS = 8;
const NOISE = new NoiseSource(1).noise(0, 0, NOISE_VALUES);
const BYTES = 2;

export interface RandomCheckpoint {
  readonly model: VideoModel;
  readonly bytes: number;
  readonly writeMs: number;
  readonly importMs: number;
}

/** Writes the files, imports them and opens the model. @param folder is empty and of the caller */
export async function createRandomCheckpoint(folder: string, sizes: LiveTalkSizes): Promise<RandomCheckpoint> {
  const [from, out] = [join(folder, 'from'), join(folder, 'model')];
  const networks = liveTalkNetworks(sizes);
  const begin = performance.now();
  let bytes = 0;
  for (const { name, variants } of networks) {
    await mkdir(join(from, name), { recursive: true });
    bytes += await writeRandom(join(from, name, 'model.safetensors'), variants[0] as Shapes);
  }
  const written = performance.now();
  const made = await importCheckpoint({ model: 'livetalk', from, out, networks, onProgress: () => undefined });
  const imported = performance.now();
  const [width, height] = [sizes.scale * sizes.grid.width, sizes.scale * sizes.grid.height];
  const png = encodePng(new Uint8Array(3 * width * height).fill(128), width, height, { filter: 0 });
  await writeLiveTalkManifest(out, made, { decoder: 'codec', avatars: [{ id: 'grey', name: 'Grey', png }], sizes });
  const model = await loadModel(out);
  if (model.kind !== 'video') throw new Error('the import wrote another kind of model');
  return { model, bytes, writeMs: written - begin, importMs: imported - written };
}

type Shapes = ReadonlyMap<string, readonly number[]>;

/** @returns its bytes */
async function writeRandom(path: string, shapes: Shapes): Promise<number> {
  const patterns = new Map<string, Buffer>();
  let end = 0;
  const entries = [...shapes].map(([name, shape]) => {
    const begin = end;
    end += shape.reduce((product, dim) => product * dim, BYTES);
    return [name, { dtype: 'BF16', shape, data_offsets: [begin, end] }] as const;
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const file = await open(path, 'w');
  try {
    await file.write(Buffer.concat([length, header]));
    for (const [name, { shape, data_offsets: offsets }] of entries) {
      const pattern = patternOf(patterns, name, shape);
      const [first = 0, last = 0] = offsets;
      for (let left = last - first; left > 0; left -= pattern.length)
        await file.write(pattern.subarray(0, Math.min(left, pattern.length)));
    }
  } finally {
    await file.close();
  }
  return end;
}

/** Many repetitions of one noise in bfloat16, scaled so that signals keep their size from layer to layer. */
function patternOf(known: Map<string, Buffer>, name: string, shape: readonly number[]): Buffer {
  const norm = (name.includes('norm') && name.endsWith('weight')) || name.endsWith('gamma') || name.endsWith('_g');
  const inputs = shape.slice(1).reduce((product, dim) => product * dim, 1);
  const [middle, gain] = norm ? [1, 0.1] : [0, inputs > 1 ? inputs ** -0.5 : 0.1];
  const key = `${middle} ${gain}`;
  const made = known.get(key) ?? bfloat16(NOISE.map((value) => middle + gain * value));
  known.set(key, made);
  return made;
}

/** The upper half of each number of float32. */
function bfloat16(values: Float32Array): Buffer {
  const once = Buffer.from(Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16).buffer);
  return Buffer.concat(Array.from({ length: REPEATS }, () => once));
}
