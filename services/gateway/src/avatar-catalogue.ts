import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AvatarManifest,
  isOwnAvatar,
  MeshError,
  type ModelManifest,
  modelManifest,
  withChunkLength,
} from '@talkmesh/contracts';
import type { OwnAvatars } from './own-avatars.js';

/** A PNG, or the AVIF of an idle recording. */
export interface AvatarPicture {
  readonly bytes: Buffer;
  readonly etag: string;
}

type OwnPictures = Pick<OwnAvatars, 'get' | 'png' | 'list'>;

const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Box type and brand of an AVIF image sequence, after the size of the box. */
const AVIF_SIGNATURE = Buffer.from('ftypavis', 'latin1');
const isPng = (file: Buffer): boolean => file.subarray(0, PNG_SIGNATURE.length).equals(PNG_SIGNATURE);
const isAvif = (file: Buffer): boolean => file.subarray(4, 4 + AVIF_SIGNATURE.length).equals(AVIF_SIGNATURE);

/** The model's manifest and avatar pictures. The gateway reads no weights; only workers need them. */
export class AvatarCatalogue {
  /** Own pictures of users; undefined where the gateway keeps none. */
  readonly own: OwnPictures | undefined;
  readonly manifest: ModelManifest;
  readonly #pictures: ReadonlyMap<string, AvatarPicture>;
  readonly #idle: ReadonlyMap<string, AvatarPicture>;

  private constructor(
    manifest: ModelManifest,
    pictures: ReadonlyMap<string, AvatarPicture>,
    idle: ReadonlyMap<string, AvatarPicture>,
    own: OwnPictures | undefined,
  ) {
    this.manifest = manifest;
    this.#pictures = pictures;
    this.#idle = idle;
    this.own = own;
  }

  /**
   * Reads `model.json`, the avatars' PNG files and their idle recordings.
   * @param chunkLatentFrames length of a chunk; 0: the model's own
   * @throws MeshError MODEL_INVALID naming the file; CONFIG_INVALID for a length of a chunk that the model does not do
   */
  static async load(folder: string, chunkLatentFrames: number, own?: OwnPictures): Promise<AvatarCatalogue> {
    const path = join(folder, 'model.json');
    const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      throw new MeshError(
        'MODEL_INVALID',
        `${path} cannot be read (${cause.code}): set TALKMESH_MODEL to a model folder`,
        { cause },
      );
    });
    const parsed = modelManifest.safeParse(parseJson(path, text));
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw new MeshError('MODEL_INVALID', `${path}: ${issue?.path.join('.')} ${issue?.message}`);
    }
    const pictures = new Map<string, AvatarPicture>();
    const idle = new Map<string, AvatarPicture>();
    for (const { id, image, idle: recording } of parsed.data.avatars) {
      pictures.set(id, await readPicture(join(folder, image), isPng, 'a PNG file'));
      if (recording !== undefined)
        idle.set(id, await readPicture(join(folder, recording), isAvif, 'an AVIF image sequence'));
    }
    return new AvatarCatalogue(withChunkLength(parsed.data, chunkLatentFrames), pictures, idle, own);
  }

  /** `name@version`, as workers announce it in the registry. */
  get model(): string {
    return `${this.manifest.name}@${this.manifest.version}`;
  }

  get all(): readonly AvatarManifest[] {
    return this.manifest.avatars;
  }

  /** @throws MeshError AVATAR_NOT_FOUND listing the avatars of the model */
  require(id: string): AvatarManifest {
    const avatar = this.manifest.avatars.find((candidate) => candidate.id === id);
    if (avatar !== undefined) return avatar;
    const names = this.manifest.avatars.map((candidate) => candidate.id).join(', ');
    throw new MeshError('AVATAR_NOT_FOUND', `the model ${this.model} has no avatar of that name; it has ${names}`);
  }

  /** Checks that a session can be created with an avatar of the model or a picture of the owner, of any when undefined. @throws MeshError AVATAR_NOT_FOUND, NATS_UNAVAILABLE */
  async check(id: string, owner: string | undefined): Promise<void> {
    if (this.own !== undefined && isOwnAvatar(id)) await this.own.get(id, owner);
    else this.require(id);
  }

  /** @throws MeshError AVATAR_NOT_FOUND */
  picture(id: string): AvatarPicture {
    return this.#pictures.get(this.require(id).id) as AvatarPicture;
  }

  /** The recording of an avatar in silence. @throws MeshError AVATAR_NOT_FOUND, also when the model has none */
  idle(id: string): AvatarPicture {
    const recording = this.#idle.get(this.require(id).id);
    if (recording !== undefined) return recording;
    throw new MeshError('AVATAR_NOT_FOUND', `there is no idle recording of ${id}; show its picture instead`);
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MeshError('MODEL_INVALID', `${path} is not JSON`, { cause });
  }
}

async function readPicture(path: string, isRight: (file: Buffer) => boolean, what: string): Promise<AvatarPicture> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw new MeshError('MODEL_INVALID', `${path} cannot be read (${cause.code}): the model folder is incomplete`, {
      cause,
    });
  });
  if (!isRight(bytes)) throw new MeshError('MODEL_INVALID', `${path} is not ${what}`);
  return { bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"` };
}
