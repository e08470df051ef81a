/** Type, size and orientation from the header of a file, before anything is decoded. */
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
const START_OF_SCAN = Uint8Array.of(0xff, 0xda);
const ORIENTATION_TAG = 0x0112;
/** Frame markers of baseline, extended and progressive JPEG, which the decoder supports (ITU-T T.81, table B.1). */
const READABLE_FRAMES = new Set([0xc0, 0xc1, 0xc2]);
const OTHER_FRAMES = new Set([0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]);

/** Why a picture cannot be used. The message describes only the format, because pictures are personal data. */
export class PictureError extends Error {
  override readonly name = 'PictureError';
}

export const invalidPicture = (why: string, cause?: unknown): PictureError =>
  new PictureError(why, cause === undefined ? {} : { cause });

/** Most times that a picture may be longer than it is high, or higher than long. No face fills such a strip. */
const MAX_ASPECT = 8;
/** Progressive JPEGs have about ten scans. Each passes over every block, so thousands of tiny ones would take hours. */
const MAX_JPEG_SCANS = 100;

const startsWith = (bytes: Uint8Array, start: readonly number[], at = 0): boolean =>
  start.every((value, i) => bytes[at + i] === value);

/** The type of a file by its signature; undefined unless PNG or JPEG. */
export function typeOf(bytes: Uint8Array): PictureHeader['type'] | undefined {
  if (startsWith(bytes, PNG_SIGNATURE)) return 'image/png';
  return startsWith(bytes, [0xff, 0xd8, 0xff]) ? 'image/jpeg' : undefined;
}

/**
 * Reads type, size and orientation.
 * @throws PictureError for files that are cut off, animated or of an unsupported kind
 */
export function readHeader(bytes: Uint8Array): PictureHeader {
  const type = typeOf(bytes);
  if (type === undefined) throw invalidPicture('the file is neither PNG nor JPEG: send one of these');
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

/**
 * Reads the header and refuses, before a pixel is decoded, what would cost too much.
 * @throws PictureError
 */
export function checkHeader(bytes: Uint8Array, maxPixels: number): PictureHeader {
  const header = readHeader(bytes);
  const { width, height, type } = header;
  if (width * height > maxPixels)
    throw invalidPicture(
      `the picture has ${width}x${height} pixels, more than ${Math.floor(maxPixels / 1e6)} million: send a smaller one`,
    );
  if (Math.max(width, height) > MAX_ASPECT * Math.min(width, height))
    throw invalidPicture(
      `the picture has ${width}x${height} pixels, one side more than ${MAX_ASPECT} times the other: cut out the face`,
    );
  if (type === 'image/jpeg' && countScans(bytes) > MAX_JPEG_SCANS)
    throw invalidPicture(`the JPEG has more than ${MAX_JPEG_SCANS} scans: save it again`);
  return header;
}

/** Coded data never contains FF DA (ITU-T T.81, B.1.1.5), so this counts start-of-scan markers, and the few in thumbnails. */
function countScans(bytes: Uint8Array): number {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let scans = 0;
  for (let at = file.indexOf(START_OF_SCAN); at >= 0; at = file.indexOf(START_OF_SCAN, at + 2)) scans += 1;
  return scans;
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
      if (view.getUint8(body) !== 8) throw invalidPicture('the JPEG does not have 8 bits per sample: save it as PNG');
      return { type: 'image/jpeg', height: view.getUint16(body + 1), width: view.getUint16(body + 3), orientation };
    }
    if (OTHER_FRAMES.has(marker))
      throw invalidPicture('this kind of JPEG (lossless, hierarchical or arithmetic) is not supported: save it as PNG');
    if (marker === 0xda || marker === 0xd9) throw invalidPicture('the JPEG has no picture in it');
    at += 2 + length;
  }
}

/** The orientation in a TIFF header and its first directory; 1 (upright) when it is missing or invalid. */
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
