import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { invalidPicture, readHeader } from './picture-header.js';

/** An upright picture: 8-bit RGB, three bytes a pixel, rows from the top. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/** Bytes that decoding may take for each pixel, the JPEG decoder's tables and planes included. */
const MEMORY_BYTES_PER_PIXEL = 24;

/**
 * Decodes a PNG of any depth and colour, or a JPEG in grey, colour or CMYK; turns it upright; lays transparency over white.
 * @throws MeshError PICTURE_INVALID; the size is checked before the first pixel is decoded
 */
export function decodePicture(bytes: Uint8Array, maxPixels: number): Picture {
  const header = readHeader(bytes);
  const { width, height, type, orientation } = header;
  if (width * height > maxPixels)
    throw invalidPicture(
      `the picture has ${width}x${height} pixels, more than ${Math.floor(maxPixels / 1e6)} million: make it smaller`,
    );
  const rgba = type === 'image/png' ? readPng(bytes) : readJpeg(bytes, width * height);
  if (rgba.length !== width * height * 4) throw invalidPicture('the picture is not of the size it says');
  return upright(overWhite(rgba), width, height, orientation);
}

function readPng(bytes: Uint8Array): Uint8Array {
  try {
    return PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)).data;
  } catch (cause) {
    throw invalidPicture('the PNG is damaged or cut off', cause);
  }
}

function readJpeg(bytes: Uint8Array, pixels: number): Uint8Array {
  if (bytes[bytes.length - 2] !== 0xff || bytes[bytes.length - 1] !== 0xd9) {
    // padding after the end is common, a missing end is not
    const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).lastIndexOf(Uint8Array.of(0xff, 0xd9));
    if (end < 0) throw invalidPicture('the JPEG is cut off');
  }
  try {
    return jpeg.decode(bytes, {
      useTArray: true,
      formatAsRGBA: true,
      tolerantDecoding: false,
      maxResolutionInMP: pixels / 1e6 + 1,
      maxMemoryUsageInMB: (pixels * MEMORY_BYTES_PER_PIXEL) / 1e6 + 64,
    }).data;
  } catch (cause) {
    throw invalidPicture('the JPEG is damaged, cut off or of a kind that cannot be read', cause);
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

/** For each orientation: whether the axes are swapped, then whether the stored x and y run backwards. */
const TURNS: readonly (readonly [boolean, boolean, boolean])[] = [
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
  const [swapped, backX, backY] = TURNS[orientation - 1] as readonly [boolean, boolean, boolean];
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
