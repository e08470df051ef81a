import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';

/** 24x16 pixels: red grows to the right, green downwards. */
export const PICTURE = { width: 24, height: 16 } as const;

const file = (...lines: string[]): Buffer => Buffer.from(lines.join(''), 'base64');

function rgba(): Buffer {
  const { width, height } = PICTURE;
  const pixels = Buffer.alloc(width * height * 4, 255);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) pixels.set([10 * x, 15 * y, 6 * (x + y)], 4 * (y * width + x));
  return pixels;
}

/** A PNG of the picture. `transparentFrom`: first column of the transparent part. */
export function png(options: { depth?: 8 | 16; colour?: 0 | 2 | 6; transparentFrom?: number } = {}): Buffer {
  const { depth = 8, colour = 2, transparentFrom } = options;
  const { width, height } = PICTURE;
  const image = new PNG({ width, height });
  const pixels = rgba();
  if (transparentFrom !== undefined)
    for (let i = 0; i < width * height; i++) if (i % width >= transparentFrom) pixels[4 * i + 3] = 0;
  image.data = pixels;
  if (depth === 8) return PNG.sync.write(image, { colorType: colour });
  const wide = Uint16Array.from(pixels, (value) => value * 257);
  image.data = Buffer.from(wide.buffer);
  return PNG.sync.write(image, { bitDepth: 16, inputHasAlpha: true, colorType: colour });
}

/** A plain PNG of any size, with squares of 5x5 pixels where there are dots. */
export function plainPng(
  width: number,
  height: number,
  options: { shade?: number; dots?: readonly { x: number; y: number; colour: readonly number[] }[] } = {},
): Buffer {
  const image = new PNG({ width, height });
  image.data.fill(options.shade ?? 200);
  for (const { x, y, colour } of options.dots ?? [])
    for (let i = 0; i < 25; i++) image.data.set(colour, 4 * ((y - 2 + Math.floor(i / 5)) * width + x - 2 + (i % 5)));
  return PNG.sync.write(image, { colorType: 2 });
}

/** A baseline JPEG of the picture; with an EXIF orientation where one is given. */
export function jpg(orientation?: number): Buffer {
  const { data } = jpeg.encode({ ...PICTURE, data: rgba() }, 95);
  if (orientation === undefined) return data;
  const tiff = [0x49, 0x49, 0x2a, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0];
  const body = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), Buffer.from(tiff)]);
  const head = Buffer.from([0xff, 0xe1, 0, body.length + 2]);
  return Buffer.concat([data.subarray(0, 2), head, body, data.subarray(2)]);
}

/** A PNG chunk; its checksum is wrong, which readers of the header ignore. */
export function chunk(type: string, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length, 0);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body, Buffer.alloc(4)]);
}

/** The picture as a CMYK JPEG with an Adobe marker, written by Pillow. */
export const CMYK_JPEG = file(
  '/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwANCQoLCggNCwoLDg4NDxMgFRMSEhMnHB4XIC4pMTAuKS0sMzpKPjM2RjcsLUBXQUZMTlJTUjI+WmFaUGBK',
  'UVJP/8AAFAgAEAAYBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAE',
  'EQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6',
  'g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkA',
  'SwAAPwDhtL7VyP8AYn+xXFWdp04r06ux0vtR/Yn+xW9Z2nTiiux0vtR/Yn+xW7Z2nTiivHdL7V6T/Yn+xWFZ2nTiiux0vtR/Yn+xW7Z2nTiiux0v',
  'tR/Yn+xW9Z2nTiiv/9k=',
);

/** The picture as a progressive JPEG, written by Pillow. */
export const PROGRESSIVE_JPEG = file(
  '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQ',
  'YEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wgARCAAQABgD',
  'ASIAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAABAAF/8QAFgEBAQEAAAAAAAAAAAAAAAAAAwIF/9oADAMBAAIQAxAAAAHGS5MkG15tL//EABYQ',
  'AAMAAAAAAAAAAAAAAAAAAAABA//aAAgBAQABBQJTFMUxTFMUz//EABgRAAIDAAAAAAAAAAAAAAAAAAAEAgMh/9oACAEDAQE/AaWSLOH/xAAWEQAD',
  'AAAAAAAAAAAAAAAAAAAAAQL/2gAIAQIBAT8BVCo//8QAFBABAAAAAAAAAAAAAAAAAAAAIP/aAAgBAQAGPwJf/8QAFRABAQAAAAAAAAAAAAAAAAAA',
  'AGH/2gAIAQEAAT8hkkkkkk//2gAMAwEAAgADAAAAEAgP/8QAFhEBAQEAAAAAAAAAAAAAAAAAAFFh/9oACAEDAQE/ENFj/8QAFREBAQAAAAAAAAAA',
  'AAAAAAAAACH/2gAIAQIBAT8QcX//xAAVEAEBAAAAAAAAAAAAAAAAAAAAMf/aAAgBAQABPxCZMmTJkz//2Q==',
);
