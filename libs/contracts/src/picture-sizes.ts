/** Sizes of the video that one set of weights can make, and what each costs. */
import { z } from 'zod';
import { MeshError } from './errors.js';

/** Sizes of a manifest besides its own: multiples of it in both directions, the smallest first. Even ones, so that chroma stays aligned. */
export const largerSizes = z
  .array(
    z.strictObject({
      scale: z.literal([2, 4]),
      /** Time that the decoder takes for a chunk, as a multiple of that of the model's own size, measured. */
      cost: z.number().positive(),
    }),
  )
  .refine((sizes) => sizes.every(({ scale }, i) => scale > (sizes[i - 1]?.scale ?? 1)), 'ascend in scale');

export interface PictureSize {
  /** The name of the size in requests: its width, pixels. */
  readonly size: number;
  readonly width: number;
  readonly height: number;
  /** Multiple of the model's own width and height, in which landmarks, latents and flow are. */
  readonly scale: number;
  /** Time that the decoder takes for a chunk, as a multiple of that of the model's own size. */
  readonly cost: number;
}

/** What the sizes follow from: a manifest, or a part of one. */
export interface SizedPictures {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly sizes?: z.output<typeof largerSizes> | undefined;
}

/** The sizes of a model's video, the smallest and cheapest first; the first is the model's own. */
export function pictureSizes({ width, height, sizes = [] }: SizedPictures): [PictureSize, ...PictureSize[]] {
  const scaled = (scale: number, cost: number): PictureSize => ({
    ...{ size: width * scale, width: width * scale, height: height * scale },
    ...{ scale, cost },
  });
  return [scaled(1, 1), ...sizes.map(({ scale, cost }) => scaled(scale, cost))];
}

/**
 * @param wanted width, pixels; 0: the model's own
 * @throws MeshError ARGUMENT_INVALID with what the model has
 */
export function pictureSize(model: SizedPictures, wanted = 0): PictureSize {
  const sizes = pictureSizes(model);
  if (wanted === 0) return sizes[0];
  const found = sizes.find(({ size }) => size === wanted);
  if (found !== undefined) return found;
  const possible = sizes.map(({ size }) => size).join(', ');
  throw new MeshError('ARGUMENT_INVALID', `${model.name} makes no video of size ${wanted}; possible: ${possible}`);
}
