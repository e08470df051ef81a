import { deflateSync } from 'node:zlib';

export interface PngOptions {
  /** Bytes per pixel: 3 for RGB, 4 for RGBA. */
  readonly channels?: 3 | 4;
  /** The row filter, 0..4, of every row. */
  readonly filter?: 0 | 1 | 2 | 3 | 4;
}

/** Encodes a PNG file of 8-bit pixels with any of the five row filters, to test the decoder. */
export function encodePng(pixels: Uint8Array, width: number, height: number, options: PngOptions = {}): Uint8Array {
  const { channels = 3, filter = 0 } = options;
  const rowBytes = width * channels;
  const raw = Buffer.alloc(height * (rowBytes + 1));
  const at = (x: number, y: number): number => (x < 0 || y < 0 ? 0 : (pixels[y * rowBytes + x] ?? 0));
  for (let y = 0; y < height; y++) {
    raw[y * (rowBytes + 1)] = filter;
    for (let x = 0; x < rowBytes; x++) {
      const [left, up, corner] = [at(x - channels, y), at(x, y - 1), at(x - channels, y - 1)];
      raw[y * (rowBytes + 1) + 1 + x] = (at(x, y) - predicted(filter, left, up, corner)) & 255;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, channels === 3 ? 2 : 6, 0, 0, 0], 8);
  const signature = Buffer.from('89504e470d0a1a0a', 'hex');
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(raw)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function predicted(filter: number, left: number, up: number, corner: number): number {
  const estimate = left + up - corner;
  const paeth = [left, up, corner].reduce((best, value) =>
    Math.abs(estimate - value) < Math.abs(estimate - best) ? value : best,
  );
  return [0, left, up, (left + up) >> 1, paeth][filter] as number;
}

function chunk(type: string, body: Buffer): Buffer {
  const out = Buffer.alloc(12 + body.length);
  out.writeUInt32BE(body.length, 0);
  out.write(type, 4, 'latin1');
  body.copy(out, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + body.length)), 8 + body.length);
  return out;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
