import { type Landmarks, MeshError, type ModelManifest } from '@talkmesh/contracts';
import { decodePng } from './png.js';

/** A decoded reference picture. */
export interface AvatarPicture {
  /** [height, width, 3] bytes of the model's size. */
  readonly rgb: Uint8Array;
  /** Mouth centre, then left and right eye from the viewer's point of view, pixels; undefined for a model that needs none. */
  readonly landmarks: Landmarks | undefined;
}

/** Provides the reference pictures of avatars. */
export interface AvatarSource {
  /** @throws MeshError AVATAR_NOT_FOUND, MODEL_INVALID, NATS_UNAVAILABLE */
  read(id: string): Promise<AvatarPicture>;
}

/** Fetches a PNG file and its landmarks; undefined when the picture never existed, was deleted or has expired. */
export type FetchPicture = (id: string) => Promise<{ png: Uint8Array; landmarks: Landmarks | undefined } | undefined>;

/**
 * Avatars from users' own pictures. Each read fetches the picture again; no copy is kept, so a deletion takes effect at
 * once.
 */
export function ownAvatars(manifest: Pick<ModelManifest, 'width' | 'height'>, fetch: FetchPicture): AvatarSource {
  return {
    async read(id) {
      const found = await fetch(id);
      if (found === undefined)
        throw new MeshError('AVATAR_NOT_FOUND', 'the picture was deleted or has expired: upload it again');
      const { width, height, rgb } = decodePng(found.png);
      if (width !== manifest.width || height !== manifest.height)
        throw new MeshError(
          'AVATAR_NOT_FOUND',
          `the picture was uploaded for a model of another size (${width}x${height}, here ${manifest.width}x${manifest.height}): upload it again`,
        );
      return { rgb, landmarks: found.landmarks };
    },
  };
}
