import { MeshError } from '@talkmesh/contracts';

/** What a file says of itself before anything is decoded. */
export interface PictureHeader {
  readonly type: 'image/png' | 'image/jpeg';
  /** As stored: before the orientation is applied. */
  readonly width: number;
  readonly height: number;
  /** EXIF orientation 1..8 (CIPA DC-008, 4.6.4); 1 is upright. */
  readonly orientation: number;
}

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const EXIF = [0x45, 0x78, 0x69, 0x66, 0, 0];
const ORIENTATION_TAG = 0x0112;
/** Frames a decoder of baseline and progressive JPEG can read (ITU-T T.81, table B.1). */
const READABLE_FRAMES = new Set([0xc0, 0xc1, 0xc2]);
const OTHER_FRAMES = new Set([0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]);

/** A refusal whose text names nothing but the format. */
export const invalidPicture = (why: string, cause?: unknown): MeshError =>
  new MeshError('PICTURE_INVALID', why, cause === undefined ? {} : { cause });

const startsWith = (bytes: Uint8Array, start: readonly number[], at = 0): boolean =>
  start.every((value, i) => bytes[at + i] === value);

/** The type of a file by its first bytes; undefined for everything but PNG and JPEG. */
export function typeOf(bytes: Uint8Array): PictureHeader['type'] | undefined {
  if (startsWith(bytes, PNG_SIGNATURE)) return 'image/png';
  return startsWith(bytes, [0xff, 0xd8, 0xff]) ? 'image/jpeg' : undefined;
}

/**
 * Reads type, size and orientation, nothing else.
 * @throws MeshError PICTURE_INVALID for files that are cut off, animated or of a kind that cannot be read
 */
export function readHeader(bytes: Uint8Array): PictureHeader {
  const type = typeOf(bytes);
  if (type === undefined) throw invalidPicture('this is neither a PNG nor a JPEG file');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const header = type === 'image/png' ? readPng(view) : readJpeg(view);
    if (header.width < 1 || header.height < 1) throw invalidPicture('the picture has no pixels');
    return header;
  } catch (error) {
    if (error instanceof RangeError) throw invalidPicture('the file is cut off', error);
    throw error;
  }
}

function readPng(view: DataView): PictureHeader {
  if (view.getUint32(8) !== 13 || view.getUint32(12) !== 0x49484452) throw invalidPicture('the PNG has no header');
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  let orientation = 1;
  for (let at = 33; at + 8 <= view.byteLength; at += 12 + view.getUint32(at)) {
    const chunk = view.getUint32(at + 4);
    if (chunk === 0x6163544c) throw invalidPicture('the PNG is animated: send a still picture');
    if (chunk === 0x65584966) orientation = readExif(view, at + 8);
    if (chunk === 0x49444154) return { type: 'image/png', width, height, orientation };
  }
  throw invalidPicture('the file is cut off');
}

function readJpeg(view: DataView): PictureHeader {
  let orientation = 1;
  for (let at = 2; ; ) {
    if (view.getUint8(at) !== 0xff) throw invalidPicture('the JPEG is damaged');
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const length = view.getUint16(at + 2);
    if (length < 2) throw invalidPicture('the JPEG is damaged');
    const body = at + 4;
    if (marker === 0xe1 && EXIF.every((value, i) => view.getUint8(body + i) === value))
      orientation = readExif(view, body + EXIF.length);
    if (READABLE_FRAMES.has(marker)) {
      if (view.getUint8(body) !== 8) throw invalidPicture('only JPEG files with 8 bits a sample can be read');
      return { type: 'image/jpeg', height: view.getUint16(body + 1), width: view.getUint16(body + 3), orientation };
    }
    if (OTHER_FRAMES.has(marker))
      throw invalidPicture('this kind of JPEG (lossless, hierarchical or arithmetic) cannot be read: save it as PNG');
    if (marker === 0xda || marker === 0xd9) throw invalidPicture('the JPEG has no picture in it');
    at += 2 + length;
  }
}

/** The orientation in a TIFF header and its first directory; 1 when there is none or it is nonsense. */
function readExif(view: DataView, start: number): number {
  try {
    const order = view.getUint16(start);
    if (order !== 0x4949 && order !== 0x4d4d) return 1;
    const little = order === 0x4949;
    const directory = start + view.getUint32(start + 4, little);
    const entries = view.getUint16(directory, little);
    for (let i = 0; i < entries; i++) {
      const at = directory + 2 + 12 * i;
      if (view.getUint16(at, little) !== ORIENTATION_TAG) continue;
      const value = view.getUint16(at + 8, little);
      return value >= 1 && value <= 8 ? value : 1;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return 1;
}
