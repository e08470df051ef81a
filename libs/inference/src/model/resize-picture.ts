import type { RgbImage } from './png.js';

/**
 * A picture at a wanted size: the one of its images that has it, or the largest one resized, by means of its pixels where the size divides that
 * of the image, otherwise bilinearly.
 * @param images at least one @returns [height, width, 3] bytes
 */
export function resizePicture(images: readonly RgbImage[], width: number, height: number): Uint8Array {
  const exact = images.find((image) => image.width === width && image.height === height);
  if (exact !== undefined) return exact.rgb;
  const image = images.reduce((largest, other) => (other.width > largest.width ? other : largest));
  const [across, down] = [image.width / width, image.height / height];
  return Number.isInteger(across) && Number.isInteger(down)
    ? means(image, width, height, across, down)
    : bilinear(image, width, height);
}

function means({ width: wide, rgb }: RgbImage, width: number, height: number, across: number, down: number) {
  const out = new Uint8Array(width * height * 3);
  const count = across * down;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) {
        let sum = count >> 1;
        for (let dy = 0; dy < down; dy++)
          for (let dx = 0; dx < across; dx++) sum += rgb[((y * down + dy) * wide + x * across + dx) * 3 + c] as number;
        out[(y * width + x) * 3 + c] = Math.floor(sum / count);
      }
  return out;
}

/** For each pixel of a side the pixels before and after its centre, and the share of the latter. */
function taps(from: number, to: number): { before: number; after: number; share: number }[] {
  return Array.from({ length: to }, (_, i) => {
    const place = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
    const before = Math.floor(place);
    return { before, after: Math.min(from - 1, before + 1), share: place - before };
  });
}

function bilinear({ width: wide, height: high, rgb }: RgbImage, width: number, height: number): Uint8Array {
  const out = new Uint8Array(width * height * 3);
  const columns = taps(wide, width);
  let at = 0;
  for (const row of taps(high, height))
    for (const column of columns)
      for (let c = 0; c < 3; c++) {
        const level = (y: number, x: number): number => rgb[(y * wide + x) * 3 + c] as number;
        const mixed = (y: number): number =>
          level(y, column.before) + (level(y, column.after) - level(y, column.before)) * column.share;
        const upper = mixed(row.before);
        out[at++] = Math.round(upper + (mixed(row.after) - upper) * row.share);
      }
  return out;
}
