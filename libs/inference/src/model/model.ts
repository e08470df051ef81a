import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  type AvatarManifest,
  type ChunkGeometry,
  chunkGeometry,
  type GraphManifest,
  isOwnAvatar,
  MeshError,
  type ModelManifest,
  modelManifest,
  pictureSizes,
  type VideoManifest,
  withChunkLength,
} from '@talkmesh/contracts';
import type { DitGeometry } from '../compile/index.js';
import { videoDitGeometry } from '../video/video-graphs.js';
import { type AvatarSource, type FetchPicture, ownAvatars } from './avatar-source.js';
import { decodePng, type RgbImage } from './png.js';

export type GraphName = 'audio' | 'reference' | 'decoder';

/** A model folder. Every file that its manifest lists has been checked against it. */
interface ModelFolder {
  readonly geometry: ChunkGeometry;
  readonly folder: string;
  /** `name@version`, the name in metrics and messages. */
  readonly label: string;
  /** The score network's sizes, for the graph compiler. */
  readonly ditGeometry: DitGeometry;
  /** @throws MeshError AVATAR_NOT_FOUND */
  avatar(id: string): AvatarManifest;
  /**
   * The avatar's picture, [height, width, 3] RGB bytes of the manifest's size.
   * @throws MeshError AVATAR_NOT_FOUND, MODEL_INVALID
   */
  avatarImage(id: string): Uint8Array;
  /** The same picture at one of the model's larger sizes; undefined when the model has none. @throws MeshError AVATAR_NOT_FOUND, MODEL_INVALID */
  largeImage(id: string): RgbImage | undefined;
  /** The model's avatars, and users' own pictures if the process can fetch them. */
  readonly avatars: AvatarSource;
}

/** A model that moves a picture; its encoders and its decoder are ONNX files. */
export interface GraphModel extends ModelFolder {
  readonly kind: 'graph';
  readonly manifest: GraphManifest;
  /** Absolute path of a graph. */
  path(graph: GraphName): string;
  /** Absolute path of the decoder with 8-bit convolutions; undefined for a model without one. */
  int8DecoderPath(): string | undefined;
  /** Absolute path of the landmark detector; undefined for a model without one. */
  portraitPath(): string | undefined;
  /** Absolute paths of the nets that find the faces of people; undefined for a model without them. */
  photographPaths(): { readonly detector: string; readonly mesh: string } | undefined;
}

/** A model that makes every pixel, of the checkpoint whose `checkpoint.json` is in its folder. */
export interface VideoModel extends ModelFolder {
  readonly kind: 'video';
  readonly manifest: VideoManifest;
}

export type Model = GraphModel | VideoModel;

export interface LoadOptions {
  /** Fetches users' own pictures. Without it, reading one throws AVATAR_NOT_FOUND. */
  readonly ownPictures?: FetchPicture;
  /** Length of a chunk, latent frames; 0, the default: the model's own. */
  readonly chunkLatentFrames?: number;
}

const REMEDY = 'restore the model folder from the release, or set TALKMESH_MODEL to a complete one';

/**
 * Reads and checks `model.json`, and checks presence, size and SHA-256 of every file that it lists.
 * @throws MeshError MODEL_INVALID with the file and the remedy; CONFIG_INVALID for a length of a chunk that the model does not do
 */
export async function loadModel(folder: string, options: LoadOptions = {}): Promise<Model> {
  const root = resolve(folder);
  const manifest = await readManifest(join(root, 'model.json'));
  const listed = new Set(manifest.files.map((file) => file.path));
  for (const path of usedFiles(manifest))
    if (!listed.has(path))
      throw new MeshError(
        'MODEL_INVALID',
        `${join(root, 'model.json')} uses ${path} but does not list it under "files"; ${REMEDY}`,
      );
  const images = new Map<string, Uint8Array>();
  const pictures = new Set(manifest.avatars.flatMap(picturesOf));
  for (const file of manifest.files) {
    const bytes = await readChecked(root, file);
    if (pictures.has(file.path)) images.set(file.path, bytes);
  }
  const chosen = withChunkLength(manifest, options.chunkLatentFrames ?? 0);
  return chosen.schema === 'talkmesh.model/1'
    ? new LoadedGraphModel(root, chosen, images, options)
    : new LoadedVideoModel(root, chosen, images, options);
}

/** As `loadModel`. @throws MeshError MODEL_INVALID also for a model of another kind */
export async function loadGraphModel(folder: string, options: LoadOptions = {}): Promise<GraphModel> {
  const model = await loadModel(folder, options);
  if (model.kind === 'graph') return model;
  throw new MeshError('MODEL_INVALID', `${folder} is a video model, without graphs of its own; name another folder`);
}

/** The picture files of an avatar. */
function picturesOf(avatar: AvatarManifest): string[] {
  const { image } = avatar;
  return 'large' in avatar && avatar.large !== undefined ? [image, avatar.large] : [image];
}

function usedFiles(manifest: ModelManifest): string[] {
  const avatars: readonly AvatarManifest[] = manifest.avatars;
  const pictures = avatars.flatMap((avatar) => [
    ...picturesOf(avatar),
    ...(avatar.idle === undefined ? [] : [avatar.idle]),
  ]);
  if (manifest.schema !== 'talkmesh.model/1') return pictures;
  const { portrait, decoder, score, chunkLengths = [] } = manifest;
  const detectors = portrait === undefined ? [] : [portrait.graph, ...Object.values(portrait.photographs ?? {})];
  const graphs = [manifest.graphs, ...chunkLengths.map((length) => length.graphs)]
    .flatMap((paths) => Object.values(paths))
    .filter((path) => path !== undefined);
  const constants = decoder.mesh === undefined ? [] : [decoder.mesh];
  return [...graphs, ...score.weights, ...constants, ...detectors, ...pictures];
}

abstract class LoadedModel<M extends ModelManifest> implements ModelFolder {
  readonly manifest: M;
  readonly geometry: ChunkGeometry;
  readonly folder: string;
  readonly label: string;
  readonly avatars: AvatarSource;
  readonly #images: ReadonlyMap<string, Uint8Array>;

  constructor(folder: string, manifest: M, images: ReadonlyMap<string, Uint8Array>, { ownPictures }: LoadOptions) {
    this.folder = folder;
    this.manifest = manifest;
    this.geometry = chunkGeometry(manifest);
    this.label = `${manifest.name}@${manifest.version}`;
    this.#images = images;
    const own = ownPictures === undefined ? undefined : ownAvatars(manifest, ownPictures);
    const { width, height } = manifest;
    this.avatars = {
      read: async (id) => {
        if (own !== undefined && isOwnAvatar(id)) return own.read(id);
        const large = this.largeImage(id);
        const image = { width, height, rgb: this.avatarImage(id) };
        const avatar = this.avatar(id);
        const decoder = ('decoder' in avatar ? avatar.decoder : undefined) ?? 'graph';
        return { images: large === undefined ? [image] : [image, large], landmarks: avatar.landmarks, decoder };
      },
    };
  }

  abstract get ditGeometry(): DitGeometry;

  avatar(id: string): AvatarManifest {
    const avatars: readonly AvatarManifest[] = this.manifest.avatars;
    const avatar = avatars.find((candidate) => candidate.id === id);
    if (avatar !== undefined) return avatar;
    const known = avatars.map((candidate) => candidate.id).join(', ');
    throw new MeshError('AVATAR_NOT_FOUND', `model ${this.label} has no avatar "${id.slice(0, 60)}"; it has ${known}`);
  }

  avatarImage(id: string): Uint8Array {
    const { width, height } = this.manifest;
    return this.#picture(this.avatar(id).image, [{ width, height }]).rgb;
  }

  largeImage(id: string): RgbImage | undefined {
    const [, path] = picturesOf(this.avatar(id));
    return path === undefined ? undefined : this.#picture(path, pictureSizes(this.manifest).slice(1));
  }

  #picture(path: string, sizes: readonly Pick<RgbImage, 'width' | 'height'>[]): RgbImage {
    const image = decodePng(this.#images.get(path) as Uint8Array);
    if (sizes.some(({ width, height }) => width === image.width && height === image.height)) return image;
    const needed = sizes.map(({ width, height }) => `${width}x${height}`).join(' or ') || 'no larger picture';
    throw new MeshError(
      'MODEL_INVALID',
      `${join(this.folder, path)} is ${image.width}x${image.height}, but the model needs ${needed}; replace the picture and write the manifest again`,
    );
  }
}

class LoadedGraphModel extends LoadedModel<GraphManifest> implements GraphModel {
  readonly kind = 'graph';

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
}

class LoadedVideoModel extends LoadedModel<VideoManifest> implements VideoModel {
  readonly kind = 'video';

  get ditGeometry(): DitGeometry {
    return videoDitGeometry(this.manifest);
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
