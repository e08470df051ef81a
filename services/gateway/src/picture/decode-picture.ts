import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { checkHeader, invalidPicture } from './picture-header.js';
import { pixelsOnly } from './png-file.js';

/** An upright picture: 8-bit RGB, three bytes a pixel, rows from the top. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

const END_OF_JPEG = Uint8Array.of(0xff, 0xd9);
/** Memory limit of decoding per pixel, including tables and planes of the JPEG decoder. */
const MEMORY_BYTES_PER_PIXEL = 24;

/**
 * Decodes a PNG of any depth and colour, or a JPEG in grey, colour or CMYK; turns it upright; puts transparent pixels on white.
 * @throws PictureError; the size is checked before the first pixel is decoded
 */
export function decodePicture(bytes: Uint8Array, maxPixels: number): Picture {
  const { width, height, type, orientation } = checkHeader(bytes, maxPixels);
  const rgba = type === 'image/png' ? readPng(bytes) : readJpeg(bytes, width * height);
  if (rgba.length !== width * height * 4)
    throw invalidPicture('the picture does not have the size in its header: save it again');
  return upright(overWhite(rgba), width, height, orientation);
}

function readPng(bytes: Uint8Array): Uint8Array {
  const file = pixelsOnly(bytes);
  try {
    return PNG.sync.read(file).data;
  } catch (cause) {
    throw invalidPicture('the PNG is damaged or cut off: save it again', cause);
  }
}

function readJpeg(bytes: Uint8Array, pixels: number): Uint8Array {
  // A missing end marker is harmless and common; with one, coded data that is cut off ends in an error instead of grey.
  const file = Buffer.concat([bytes, END_OF_JPEG]);
  try {
    return jpeg.decode(file, {
      useTArray: true,
      formatAsRGBA: true,
      tolerantDecoding: false,
      maxResolutionInMP: pixels / 1e6 + 1,
      maxMemoryUsageInMB: (pixels * MEMORY_BYTES_PER_PIXEL) / 1e6 + 64,
    }).data;
  } catch (cause) {
    throw invalidPicture('the JPEG is damaged, cut off or of an unsupported kind: save it as PNG', cause);
  }
}

function overWhite(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    const alpha = rgba[from + 3] as number;
    for (let c = 0; c < 3; c++) {
      const value = rgba[from + c] as number;
      rgb[to + c] = alpha === 255 ? value : Math.round(255 + ((value - 255) * alpha) / 255);
    }
  }
  return rgb;
}

/** For each EXIF orientation: whether the axes are swapped, and whether the stored x and y are mirrored. */
const ORIENTATIONS: readonly (readonly [boolean, boolean, boolean])[] = [
  [false, false, false],
  [false, true, false],
  [false, true, true],
  [false, false, true],
  [true, false, false],
  [true, false, true],
  [true, true, true],
  [true, true, false],
];

function upright(rgb: Uint8Array, width: number, height: number, orientation: number): Picture {
  const [swapped, backX, backY] = ORIENTATIONS[orientation - 1] as readonly [boolean, boolean, boolean];
  if (orientation === 1) return { width, height, rgb };
  const [outWidth, outHeight] = swapped ? [height, width] : [width, height];
  const out = new Uint8Array(rgb.length);
  for (let y = 0, to = 0; y < outHeight; y++)
    for (let x = 0; x < outWidth; x++, to += 3) {
      const [u, v] = swapped ? [y, x] : [x, y];
      const from = 3 * ((backY ? height - 1 - v : v) * width + (backX ? width - 1 - u : u));
      for (let c = 0; c < 3; c++) out[to + c] = rgb[from + c] as number;
    }
  return { width: outWidth, height: outHeight, rgb: out };
}
