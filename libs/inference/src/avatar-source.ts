import { type Landmarks, MeshError, type ModelManifest } from '@talkmesh/contracts';
import { decodePng } from './png.js';

/** A picture that a reference is computed from. */
export interface AvatarPicture {
  /** [height, width, 3] bytes of the model's size. */
  readonly rgb: Uint8Array;
  /** Mouth centre, left eye, right eye as the viewer sees them, pixels. */
  readonly landmarks: Landmarks;
}

/** Where a worker gets avatars from. */
export interface AvatarSource {
  /** @throws MeshError AVATAR_NOT_FOUND, MODEL_INVALID, NATS_UNAVAILABLE */
  read(id: string): Promise<AvatarPicture>;
}

/** A PNG file and its landmarks; undefined when there is no such picture, or no longer. */
export type FetchPicture = (id: string) => Promise<{ png: Uint8Array; landmarks: Landmarks } | undefined>;

/** People's own pictures, fetched when a session opens with one; nothing of them is kept here. */
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
          `the picture was made for a model of another size (${width}x${height}, here ${manifest.width}x${manifest.height}): upload it again`,
        );
      return { rgb, landmarks: found.landmarks };
    },
  };
}
