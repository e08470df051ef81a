/** Lists the entries of the ZIP archive that torch.save writes (APPNOTE.TXT, PKWARE), without reading their data. */
import { invalid, REMEDY, readAt } from './weight-file.js';

export interface ZipEntry {
  /** Bytes from the beginning of the file to the entry's data, which is stored without compression. */
  readonly offset: number;
  readonly bytes: number;
}

const END = { signature: 0x06054b50, bytes: 22, maxComment: 65_535 } as const;
const END_64 = { signature: 0x06064b50, bytes: 56, locator: 0x07064b50, locatorBytes: 20 } as const;
const CENTRAL = { signature: 0x02014b50, bytes: 46 } as const;
const LOCAL = { signature: 0x04034b50, bytes: 30 } as const;
const EXTRA_64 = 1;
/** Stands for "see the ZIP64 field". */
const [FULL_16, FULL_32] = [0xffff, 0xffff_ffff];
const MAX_DIRECTORY_BYTES = 64 * 1024 * 1024;

/** @throws MeshError MODEL_INVALID for files that are damaged, compressed or encrypted */
export async function listZip(path: string, size: number): Promise<ReadonlyMap<string, ZipEntry>> {
  const { offset, bytes, count } = await findDirectory(path, size);
  if (bytes > MAX_DIRECTORY_BYTES || offset + bytes > size)
    throw invalid(path, `has a directory of ${bytes} bytes at ${offset}, beyond its ${size} bytes; ${REMEDY}`);
  const directory = await readAt(path, offset, bytes);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL.bytes > bytes || directory.readUInt32LE(at) !== CENTRAL.signature)
      throw invalid(path, `has a damaged directory at entry ${i}; ${REMEDY}`);
    const field = (from: number): number => directory.readUInt16LE(at + from);
    const [nameBytes, extraBytes, commentBytes] = [field(28), field(30), field(32)];
    const next = at + CENTRAL.bytes + nameBytes + extraBytes + commentBytes;
    if (next > bytes) throw invalid(path, `has a damaged directory at entry ${i}; ${REMEDY}`);
    const name = directory.toString('utf8', at + CENTRAL.bytes, at + CENTRAL.bytes + nameBytes);
    if (entries.has(name)) throw invalid(path, `holds ${name} twice; ${REMEDY}`);
    if (field(10) !== 0 || (field(8) & 1) !== 0)
      throw invalid(path, `holds ${name} compressed or encrypted; save it again with torch.save`);
    const extra = directory.subarray(at + CENTRAL.bytes + nameBytes, next - commentBytes);
    const sizes = [directory.readUInt32LE(at + 24), directory.readUInt32LE(at + 20), directory.readUInt32LE(at + 42)];
    const [length = 0, , header = 0] = wide(path, name, sizes, extra);
    entries.set(name, { offset: await dataOffset(path, name, header, length, size), bytes: length });
    at = next;
  }
  return entries;
}

async function findDirectory(path: string, size: number): Promise<{ offset: number; bytes: number; count: number }> {
  const from = Math.max(0, size - END.bytes - END.maxComment);
  const tail = await readAt(path, from, size - from);
  let at = tail.length - END.bytes;
  while (at >= 0 && tail.readUInt32LE(at) !== END.signature) at -= 1;
  if (at < 0)
    throw invalid(
      path,
      'is no ZIP archive, so it was cut off or saved before PyTorch 1.6; save it again with torch.save',
    );
  const [count, bytes, offset] = [tail.readUInt16LE(at + 10), tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)];
  if (count !== FULL_16 && bytes !== FULL_32 && offset !== FULL_32) return { offset, bytes, count };
  const locatorAt = at - END_64.locatorBytes;
  if (locatorAt < 0 || tail.readUInt32LE(locatorAt) !== END_64.locator)
    throw invalid(path, `has no ZIP64 record; ${REMEDY}`);
  const recordAt = Number(tail.readBigUInt64LE(locatorAt + 8));
  if (recordAt + END_64.bytes > size) throw invalid(path, `has a ZIP64 record beyond its end; ${REMEDY}`);
  const record = await readAt(path, recordAt, END_64.bytes);
  if (record.readUInt32LE(0) !== END_64.signature) throw invalid(path, `has a damaged ZIP64 record; ${REMEDY}`);
  const long = (from64: number): number => Number(record.readBigUInt64LE(from64));
  return { offset: long(48), bytes: long(40), count: long(32) };
}

/** Replaces the sizes that do not fit in 32 bits by those of the ZIP64 field, in order. */
function wide(path: string, name: string, sizes: readonly number[], extra: Buffer): number[] {
  if (!sizes.includes(FULL_32)) return [...sizes];
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== EXTRA_64) continue;
    let next = at + 4;
    return sizes.map((value) => {
      if (value !== FULL_32) return value;
      if (next + 8 > extra.length) throw invalid(path, `has a damaged ZIP64 field of ${name}; ${REMEDY}`);
      next += 8;
      return Number(extra.readBigUInt64LE(next - 8));
    });
  }
  throw invalid(path, `has no ZIP64 field of ${name}; ${REMEDY}`);
}

async function dataOffset(path: string, name: string, header: number, bytes: number, size: number): Promise<number> {
  if (header + LOCAL.bytes > size) throw invalid(path, `holds ${name} beyond its end; ${REMEDY}`);
  const local = await readAt(path, header, LOCAL.bytes);
  if (local.readUInt32LE(0) !== LOCAL.signature) throw invalid(path, `has a damaged header of ${name}; ${REMEDY}`);
  const offset = header + LOCAL.bytes + local.readUInt16LE(26) + local.readUInt16LE(28);
  if (offset + bytes > size) throw invalid(path, `holds ${name} beyond its end: it was cut off; ${REMEDY}`);
  return offset;
}
