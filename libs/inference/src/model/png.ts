import { inflateSync } from 'node:zlib';
import { MeshError } from '@talkmesh/contracts';

/** 8-bit RGB, three bytes per pixel, top row first. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const MAX_SIDE = 4096;
const RGB = 2;
const RGBA = 6;

const invalid = (why: string): MeshError =>
  new MeshError(
    'MODEL_INVALID',
    `PNG: ${why}; use 8-bit RGB or RGBA without interlacing, at most ${MAX_SIDE} pixels per side`,
  );

/**
 * Decodes a PNG (RFC 2083): 8-bit RGB or RGBA without interlacing. Transparent pixels are blended with white. The chunk
 * checksums are not verified, because the manifest's SHA-256 covers the whole file.
 * @throws MeshError MODEL_INVALID
 */
export function decodePng(bytes: Uint8Array): RgbImage {
  if (bytes.byteLength < 45 || SIGNATURE.some((value, i) => bytes[i] !== value))
    throw invalid('this is not a PNG file');
  const { header, data } = readChunks(bytes);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colour, , , interlace] = header.subarray(8);
  if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE) throw invalid(`a size of ${width}x${height}`);
  if (depth !== 8 || (colour !== RGB && colour !== RGBA) || interlace !== 0)
    throw invalid(`depth ${depth}, colour type ${colour}, interlace ${interlace}`);
  const channels = colour === RGB ? 3 : 4;
  const expected = height * (1 + width * channels);
  let raw: Uint8Array;
  try {
    raw = inflateSync(data, { maxOutputLength: expected });
  } catch (cause) {
    throw new MeshError('MODEL_INVALID', 'PNG: the pixels cannot be decompressed; save the file again', { cause });
  }
  if (raw.byteLength !== expected) throw invalid('pixels are missing');
  const pixels = unfilter(raw, width * channels, height, channels);
  return { width, height, rgb: channels === 3 ? pixels : overWhite(pixels) };
}

function readChunks(bytes: Uint8Array): { header: Uint8Array; data: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  let header: Uint8Array | undefined;
  for (let at = 8; at + 12 <= bytes.byteLength; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (at + 12 + length > bytes.byteLength) throw invalid('the file is cut off');
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR' && length === 13) header = body;
    if (type === 'IDAT') parts.push(body);
    if (type === 'IEND') break;
    at += 12 + length;
  }
  if (header === undefined || parts.length === 0) throw invalid('header or pixels are missing');
  return { header, data: Buffer.concat(parts) };
}

function unfilter(raw: Uint8Array, rowBytes: number, height: number, pixelBytes: number): Uint8Array {
  const out = new Uint8Array(rowBytes * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (rowBytes + 1)] as number;
    if (filter > 4) throw invalid(`unknown filter ${filter}`);
    const from = y * (rowBytes + 1) + 1;
    const to = y * rowBytes;
    for (let x = 0; x < rowBytes; x++) {
      const left = x >= pixelBytes ? (out[to + x - pixelBytes] as number) : 0;
      const up = y > 0 ? (out[to + x - rowBytes] as number) : 0;
      const corner = x >= pixelBytes && y > 0 ? (out[to + x - rowBytes - pixelBytes] as number) : 0;
      out[to + x] = (raw[from + x] as number) + predict(filter, left, up, corner);
    }
  }
  return out;
}

function predict(filter: number, left: number, up: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  if (filter === 4) return paeth(left, up, corner);
  return 0;
}

function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner;
  const [toLeft, toUp, toCorner] = [Math.abs(estimate - left), Math.abs(estimate - up), Math.abs(estimate - corner)];
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

function overWhite(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let i = 0; i < rgba.length / 4; i++) {
    const alpha = (rgba[4 * i + 3] as number) / 255;
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = Math.round(255 + ((rgba[4 * i + c] as number) - 255) * alpha);
  }
  return rgb;
}
