import { type Landmarks, MeshError, type PictureSize, pictureSizes, type SizedPictures } from '@talkmesh/contracts';
import { decodePng, type RgbImage } from './png.js';

/** A decoded reference picture. */
export interface AvatarPicture {
  /** The picture at one or several of the model's sizes; `resizePicture` makes the others. */
  readonly images: readonly RgbImage[];
  /** Mouth centre, then left and right eye from the viewer's point of view, pixels of the model's own size; undefined for a model that needs none. */
  readonly landmarks: Landmarks | undefined;
  /** Which decoder animates it; without it, the decoder decides by the picture. */
  readonly decoder?: 'graph' | 'mesh';
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
export function ownAvatars(manifest: SizedPictures, fetch: FetchPicture): AvatarSource {
  return {
    async read(id) {
      const found = await fetch(id);
      if (found === undefined)
        throw new MeshError('AVATAR_NOT_FOUND', 'the picture was deleted or has expired: upload it again');
      const image = decodePng(found.png);
      if (sizeOf(image, manifest) === undefined)
        throw new MeshError(
          'AVATAR_NOT_FOUND',
          `the picture was uploaded for a model of another size (${image.width}x${image.height}, here ${sizesOf(manifest)}): upload it again`,
        );
      return { images: [image], landmarks: found.landmarks };
    },
  };
}

/** Which of a model's sizes a picture has. */
export const sizeOf = (image: Pick<RgbImage, 'width' | 'height'>, model: SizedPictures): PictureSize | undefined =>
  pictureSizes(model).find(({ width, height }) => width === image.width && height === image.height);

/** A model's sizes, for messages. */
export const sizesOf = (model: SizedPictures): string =>
  pictureSizes(model)
    .map(({ width, height }) => `${width}x${height}`)
    .join(' or ');
