import { inflateSync } from 'node:zlib';
import { invalidPicture } from './picture-header.js';

const SIGNATURE_BYTES = 8;
/** Length, type and checksum around the body of a chunk. */
const FRAME_BYTES = 12;
/** The chunks that make up the pixels (W3C PNG, section 11). All others are left out before decoding. */
const PIXEL_CHUNKS = new Set(['IHDR', 'PLTE', 'tRNS', 'IDAT']);
const END_CHUNK = Buffer.from('0000000049454e44ae426082', 'hex');
/** Samples per pixel by colour type: grey, colour, palette, grey with alpha, colour with alpha. */
const SAMPLES: ReadonlyMap<number, number> = new Map([
  [0, 1],
  [2, 3],
  [3, 1],
  [4, 2],
  [6, 4],
]);
/** Adam7: first column and row of each pass, and its steps (W3C PNG, section 8.2). */
const PASSES: readonly (readonly [number, number, number, number])[] = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

/**
 * The file with its pixel chunks only and nothing after its end, as a decoder should see it. The compressed data is known to be
 * complete and to inflate to no more bytes than the header announces, because pngjs inflates without a limit.
 * @param bytes a file whose header `readHeader` has accepted
 * @throws PictureError
 */
export function pixelsOnly(bytes: Uint8Array): Buffer {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept: Buffer[] = [file.subarray(0, SIGNATURE_BYTES)];
  const data: Buffer[] = [];
  for (let at = SIGNATURE_BYTES; at + FRAME_BYTES <= file.length; ) {
    const next = at + FRAME_BYTES + file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    if (type === 'IEND' || next > file.length) break;
    if (PIXEL_CHUNKS.has(type)) kept.push(file.subarray(at, next));
    if (type === 'IDAT') data.push(file.subarray(at + 8, next - 4));
    at = next;
  }
  checkInflatedSize(Buffer.concat(data), inflatedBytes(file));
  return Buffer.concat([...kept, END_CHUNK]);
}

function checkInflatedSize(compressed: Buffer, wanted: number): void {
  let found: number;
  try {
    found = inflateSync(compressed, { maxOutputLength: wanted }).length;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw invalidPicture('the PNG holds more data than the picture in its header: save it again', cause);
    throw invalidPicture('the PNG is damaged or cut off: save it again', cause);
  }
  if (found < wanted) throw invalidPicture('the PNG is damaged or cut off: save it again');
}

/** Bytes of the filtered rows: one for the filter of each row, then its samples, for each pass when interlaced. */
function inflatedBytes(file: Buffer): number {
  const [width, height] = [file.readUInt32BE(16), file.readUInt32BE(20)];
  const bits = (SAMPLES.get(file.readUInt8(25)) ?? 0) * file.readUInt8(24);
  if (bits === 0 || bits > 64) throw invalidPicture('the PNG has an unknown kind of colour: save it again');
  const rows = (columns: number, count: number): number =>
    columns < 1 || count < 1 ? 0 : count * (1 + Math.ceil((columns * bits) / 8));
  if (file.readUInt8(28) === 0) return rows(width, height);
  return PASSES.reduce(
    (sum, [x, y, across, down]) => sum + rows(Math.ceil((width - x) / across), Math.ceil((height - y) / down)),
    0,
  );
}
