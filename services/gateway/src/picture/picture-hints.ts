import { z } from 'zod';

const coordinate = z.number().finite().min(0).max(65_536);
const point = z.tuple([coordinate, coordinate]).describe('x, y');
const box = z
  .tuple([coordinate, coordinate, coordinate, coordinate])
  .refine(([left, top, right, bottom]) => right > left && bottom > top, 'is left, top, right, bottom')
  .describe('left, top, right, bottom');
const face = <T extends z.ZodType>(part: T) => z.strictObject({ mouth: part, leftEye: part, rightEye: part });

/** Optional facts about an uploaded picture. Coordinates are pixels of the picture turned upright; left and right as seen by the viewer. */
export const pictureHints = z.strictObject({
  name: z.string().trim().min(1).max(40).optional().describe('Name shown in lists of avatars'),
  landmarks: face(point).optional().describe('Centres of mouth and eyes; they replace those that are detected'),
  boxes: face(box).optional().describe('Boxes around mouth and eyes, instead of landmarks'),
  crop: z
    .strictObject({ left: coordinate, top: coordinate, side: coordinate.min(16) })
    .optional()
    .describe('The square to use; by default one around the face'),
});
export type PictureHints = z.infer<typeof pictureHints>;

export const isBox = (value: readonly number[]): value is readonly [number, number, number, number] =>
  value.length === 4;
