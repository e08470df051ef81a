/** Public checkpoints of Wan's shape, and whether a folder holds one. Only headers are read. */
import { readdir } from 'node:fs/promises';
import { MeshError } from '@talkmesh/contracts';
import { compileFlashHeadSound, FLASH_HEAD_CHUNK, FLASH_HEAD_SOUND, flashHeadDescription } from './flash-head.js';
import { neededTensors } from './needed-weights.js';
import { S2V_SIZES, s2vTensors } from './s2v.js';
import { openWeights, type WeightEntry, type Weights } from './safetensors.js';
import { type ExpectedTensor, expectedTensors, sameShape } from './tensors.js';
import type { DitGeometry } from './types.js';
import { LIVETALK_SOUND, liveTalkDescription, WAN_SIZES, wanDescription } from './wan.js';

export interface Checkpoint {
  /** What it is, and where its publisher describes it. */
  readonly about: string;
  readonly tensors: Shapes;
}

type Shapes = ReadonlyMap<string, Pick<ExpectedTensor, 'dims'>>;

export interface CheckpointReport {
  readonly files: readonly string[];
  /** Prefix that the files put before the names, such as `generator.`. */
  readonly prefix: string;
  readonly found: number;
  readonly parameters: number;
  readonly bytes: number;
  /** Element types, with the number of tensors of each. */
  readonly types: Readonly<Record<string, number>>;
  /** Missing tensors and those of another shape. Empty: the checkpoint is complete. */
  readonly problems: readonly string[];
  /** Tensors that the network does not need. */
  readonly unknown: readonly string[];
}

/** Tokens and width of umT5-XXL's text, and of CLIP's picture. */
const [TEXT, IMAGE] = [
  { tokens: 512, dim: 4096 },
  { tokens: 257, dim: 1280 },
];
const LATENTS = { latentFrames: 3, channels: 16, height: 64, width: 64 } as const;

/** @param given channels that enter beside the latents */
function wan(size: keyof typeof WAN_SIZES, given = 0): Shapes {
  const sizes = WAN_SIZES[size];
  const geometry: DitGeometry = { ...LATENTS, given, condition: TEXT, ...(sizes.image ? { image: IMAGE } : {}) };
  return expectedTensors(wanDescription(sizes), geometry, LATENTS.channels);
}

/** Noise, reference latent and mask enter together; the audio is a vector that is added before 14 layers. */
function liveTalk(): Shapes {
  const geometry = { ...LATENTS, given: LATENTS.channels + 1, condition: TEXT, sound: LIVETALK_SOUND.values };
  return expectedTensors(liveTalkDescription(WAN_SIZES['t2v-1.3b']), geometry, LATENTS.channels);
}

/** The transformer of Model_Pro: noise and reference latents enter together, and the sound takes the place of the text. */
export function flashHeadTensors(): Shapes {
  const size = WAN_SIZES['t2v-1.3b'];
  const { latentFrames } = FLASH_HEAD_CHUNK;
  const geometry: DitGeometry = {
    ...LATENTS,
    ...{ latentFrames, given: LATENTS.channels },
    condition: { tokens: FLASH_HEAD_SOUND.tokens, dim: size.dim },
  };
  const sound = neededTensors((weights) => compileFlashHeadSound(FLASH_HEAD_SOUND, size.dim, weights, latentFrames));
  const network = expectedTensors(flashHeadDescription(size), geometry, LATENTS.channels);
  return new Map([...network, ...[...sound].map(([name, dims]) => [name, { dims }] as const)]);
}

function s2v(): Shapes {
  return s2vTensors(S2V_SIZES, { ...LATENTS, condition: TEXT });
}

const KNOWN = {
  flashhead: { about: 'FlashHead-1.3B, Model_Pro (Soul-AILab/SoulX-FlashHead)', tensors: flashHeadTensors },
  livetalk: { about: 'LiveTalk-1.3B (GAIR-NLP/LiveTalk)', tensors: liveTalk },
  's2v-14b': { about: 'Wan2.2-S2V-14B, which LiveAvatar adapts', tensors: s2v },
  'wan-t2v-1.3b': { about: 'Wan 2.1 T2V-1.3B, and Self-Forcing', tensors: () => wan('t2v-1.3b') },
  'wan-t2v-14b': { about: 'Wan 2.1 T2V-14B', tensors: () => wan('t2v-14b') },
  'wan-i2v-14b': { about: 'Wan 2.1 I2V-14B', tensors: () => wan('i2v-14b', LATENTS.channels + 4) },
} as const;
export type CheckpointName = keyof typeof KNOWN;
export const CHECKPOINTS = Object.keys(KNOWN) as readonly CheckpointName[];

export function checkpoint(name: CheckpointName): Checkpoint {
  const { about, tensors } = KNOWN[name];
  return { about, tensors: tensors() };
}

/**
 * Compares the `.safetensors` and `.pth` files of a folder with a checkpoint, by their headers.
 * @throws MeshError MODEL_INVALID for a folder without such files, and for damaged or hostile ones
 */
export async function checkCheckpoint(name: CheckpointName, folder: string): Promise<CheckpointReport> {
  const files = await weightFiles(folder, KNOWN[name].about);
  const weights = await openWeights(folder, files);
  const { tensors } = checkpoint(name);
  const prefix = prefixOf(weights, tensors);
  const problems: string[] = [];
  const used: WeightEntry[] = [];
  for (const [tensor, { dims }] of tensors) {
    const entry = weights.entries.get(`${prefix}${tensor}`);
    if (entry === undefined) problems.push(`${prefix}${tensor} is missing; its shape is [${dims}]`);
    else if (!sameShape(entry.dims, dims))
      problems.push(`${entry.file}: ${entry.name} is [${entry.dims}], not [${dims}]`);
    else used.push(entry);
  }
  const types: Record<string, number> = {};
  for (const { type } of used) types[type] = (types[type] ?? 0) + 1;
  return {
    files,
    prefix,
    found: used.length,
    parameters: used.reduce((sum, { dims }) => sum + countOf(dims), 0),
    bytes: used.reduce((sum, { bytes }) => sum + bytes, 0),
    types,
    problems,
    unknown: [...weights.entries.keys()].filter(
      (key) => !key.startsWith(prefix) || !tensors.has(key.slice(prefix.length)),
    ),
  };
}

async function weightFiles(folder: string, about: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (cause) {
    throw new MeshError('MODEL_INVALID', `${folder} cannot be read; name the folder that holds the files`, { cause });
  }
  const files = names.filter((name) => /\.(safetensors|pth|pt)$/.test(name)).sort();
  if (files.length === 0)
    throw new MeshError(
      'MODEL_INVALID',
      `${folder} holds no .safetensors or .pth file; name the folder that holds those of ${about}`,
    );
  return files;
}

/** The prefix under which most of the tensors are found. Training runs put their networks under a name. */
function prefixOf(weights: Weights, tensors: Shapes): string {
  const ending = 'patch_embedding.weight';
  const prefixes = [...weights.entries.keys()].flatMap((key) =>
    key.endsWith(ending) ? [key.slice(0, -ending.length)] : [],
  );
  const hits = (prefix: string): number =>
    [...tensors.keys()].filter((name) => weights.entries.has(`${prefix}${name}`)).length;
  return prefixes.sort((a, b) => hits(b) - hits(a) || a.length - b.length)[0] ?? '';
}

const countOf = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);
