import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  type AvatarManifest,
  type ChunkGeometry,
  chunkGeometry,
  isOwnAvatar,
  MeshError,
  type ModelManifest,
  modelManifest,
} from '@talkmesh/contracts';
import type { DitGeometry } from '../compile/index.js';
import { type AvatarSource, type FetchPicture, ownAvatars } from './avatar-source.js';
import { decodePng } from './png.js';

export type GraphName = 'audio' | 'reference' | 'decoder';

/** A model folder. Every file has been checked against the manifest. */
export interface Model {
  readonly manifest: ModelManifest;
  readonly geometry: ChunkGeometry;
  readonly folder: string;
  /** `name@version`, the name in metrics and messages. */
  readonly label: string;
  /** Absolute path of a graph. */
  path(graph: GraphName): string;
  /** The score network's sizes, for the graph compiler. */
  readonly ditGeometry: DitGeometry;
  /** Absolute path of the decoder with 8-bit convolutions; undefined for a model without one. */
  int8DecoderPath(): string | undefined;
  /** Absolute path of the landmark detector; undefined for a model without one. */
  portraitPath(): string | undefined;
  /** Absolute paths of the nets that find the faces of people; undefined for a model without them. */
  photographPaths(): { readonly detector: string; readonly mesh: string } | undefined;
  /** @throws MeshError AVATAR_NOT_FOUND */
  avatar(id: string): AvatarManifest;
  /**
   * The avatar's picture, [height, width, 3] RGB bytes of the manifest's size.
   * @throws MeshError AVATAR_NOT_FOUND, MODEL_INVALID
   */
  avatarImage(id: string): Uint8Array;
  /** The model's avatars, and users' own pictures if the process can fetch them. */
  readonly avatars: AvatarSource;
}

export interface LoadOptions {
  /** Fetches users' own pictures. Without it, reading one throws AVATAR_NOT_FOUND. */
  readonly ownPictures?: FetchPicture;
}

const REMEDY = 'restore the model folder from the release, or set TALKMESH_MODEL to a complete one';

/**
 * Reads and checks `model.json`, and checks presence, size and SHA-256 of every file that it lists.
 * @throws MeshError MODEL_INVALID with the file and the remedy
 */
export async function loadModel(folder: string, options: LoadOptions = {}): Promise<Model> {
  const root = resolve(folder);
  const manifest = await readManifest(join(root, 'model.json'));
  const listed = new Set(manifest.files.map((file) => file.path));
  const { portrait } = manifest;
  const detectors = portrait === undefined ? [] : [portrait.graph, ...Object.values(portrait.photographs ?? {})];
  const graphs = Object.values(manifest.graphs).filter((path) => path !== undefined);
  const pictures = manifest.avatars.flatMap(({ image, idle }) => (idle === undefined ? [image] : [image, idle]));
  const { mesh } = manifest.decoder;
  const constants = mesh === undefined ? [] : [mesh];
  for (const path of [...graphs, ...manifest.score.weights, ...constants, ...detectors, ...pictures])
    if (!listed.has(path))
      throw new MeshError(
        'MODEL_INVALID',
        `${join(root, 'model.json')} uses ${path} but does not list it under "files"; ${REMEDY}`,
      );
  const images = new Map<string, Uint8Array>();
  for (const file of manifest.files) {
    const bytes = await readChecked(root, file);
    if (manifest.avatars.some((avatar) => avatar.image === file.path)) images.set(file.path, bytes);
  }
  return new LoadedModel(root, manifest, images, options);
}

class LoadedModel implements Model {
  readonly manifest: ModelManifest;
  readonly geometry: ChunkGeometry;
  readonly folder: string;
  readonly label: string;
  readonly avatars: AvatarSource;
  readonly #images: ReadonlyMap<string, Uint8Array>;

  constructor(
    folder: string,
    manifest: ModelManifest,
    images: ReadonlyMap<string, Uint8Array>,
    { ownPictures }: LoadOptions,
  ) {
    this.folder = folder;
    this.manifest = manifest;
    this.geometry = chunkGeometry(manifest);
    this.label = `${manifest.name}@${manifest.version}`;
    this.#images = images;
    const own = ownPictures === undefined ? undefined : ownAvatars(manifest, ownPictures);
    this.avatars = {
      read: async (id) => {
        if (own !== undefined && isOwnAvatar(id)) return own.read(id);
        return { rgb: this.avatarImage(id), landmarks: this.avatar(id).landmarks };
      },
    };
  }

  get ditGeometry(): DitGeometry {
    const { chunk, latent, audio } = this.manifest;
    const condition = { tokens: audio.tokensPerFrame, dim: audio.tokenDim };
    return { latentFrames: chunk.latentFrames, ...latent, condition };
  }

  path(graph: GraphName): string {
    return join(this.folder, this.manifest.graphs[graph]);
  }

  int8DecoderPath(): string | undefined {
    const { decoderInt8 } = this.manifest.graphs;
    return decoderInt8 === undefined ? undefined : join(this.folder, decoderInt8);
  }

  portraitPath(): string | undefined {
    const { portrait } = this.manifest;
    return portrait === undefined ? undefined : join(this.folder, portrait.graph);
  }

  photographPaths(): { readonly detector: string; readonly mesh: string } | undefined {
    const photographs = this.manifest.portrait?.photographs;
    if (photographs === undefined) return undefined;
    return { detector: join(this.folder, photographs.detector), mesh: join(this.folder, photographs.mesh) };
  }

  avatar(id: string): AvatarManifest {
    const avatar = this.manifest.avatars.find((candidate) => candidate.id === id);
    if (avatar !== undefined) return avatar;
    const known = this.manifest.avatars.map((candidate) => candidate.id).join(', ');
    throw new MeshError('AVATAR_NOT_FOUND', `model ${this.label} has no avatar "${id.slice(0, 60)}"; it has ${known}`);
  }

  avatarImage(id: string): Uint8Array {
    const { image } = this.avatar(id);
    const { width, height, rgb } = decodePng(this.#images.get(image) as Uint8Array);
    if (width !== this.manifest.width || height !== this.manifest.height)
      throw new MeshError(
        'MODEL_INVALID',
        `${join(this.folder, image)} is ${width}x${height}, but the model needs ${this.manifest.width}x${this.manifest.height}; replace the picture and write the manifest again`,
      );
    return rgb;
  }
}

async function readManifest(path: string): Promise<ModelManifest> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new MeshError('MODEL_INVALID', `${path} cannot be read; ${REMEDY}`, { cause });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new MeshError('MODEL_INVALID', `${path} is not JSON; ${REMEDY}`, { cause });
  }
  const parsed = modelManifest.safeParse(json);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'manifest'}: ${issue.message}`);
  throw new MeshError('MODEL_INVALID', `${path} is not a valid manifest (${issues.join('; ')}); ${REMEDY}`);
}

async function readChecked(root: string, file: ModelManifest['files'][number]): Promise<Uint8Array> {
  const path = join(root, file.path);
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new MeshError('MODEL_INVALID', `${path} is missing or unreadable; ${REMEDY}`, { cause });
  }
  if (bytes.byteLength !== file.bytes)
    throw new MeshError(
      'MODEL_INVALID',
      `${path} has ${bytes.byteLength} bytes, not ${file.bytes}: it was altered or cut off; ${REMEDY}`,
    );
  if (createHash('sha256').update(bytes).digest('hex') !== file.sha256)
    throw new MeshError('MODEL_INVALID', `${path} was altered (its SHA-256 does not match model.json); ${REMEDY}`);
  return bytes;
}

/** [latentFrames, C, H, W]. */
export function latentDims(manifest: ModelManifest): readonly number[] {
  return [manifest.chunk.latentFrames, manifest.latent.channels, manifest.latent.height, manifest.latent.width];
}
