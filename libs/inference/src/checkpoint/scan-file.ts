import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { invalid, type WeightEntry } from '../compile/weight-file.js';

/** A multiple of every type's size, so that no number is cut in two. */
const PIECE_BYTES = 4 * 1024 * 1024;

/** Whether the numbers of a type are finite, from their exponent's bits. Types without infinities are not looked at. */
const NOT_FINITE: Readonly<Record<string, (bytes: Buffer) => number>> = {
  F32: (bytes) => firstWith(new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4), 0x7f800000),
  BF16: (bytes) => firstWith(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2), 0x7f80),
  F16: (bytes) => firstWith(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2), 0x7c00),
};

function firstWith(values: Uint32Array | Uint16Array, exponent: number): number {
  for (let i = 0; i < values.length; i++) if (((values[i] as number) & exponent) >>> 0 === exponent) return i;
  return -1;
}

/**
 * Reads a file once: its sha256, and whether the numbers of the tensors are finite.
 * @param entries the tensors that are needed of this file @param onBytes is told how many bytes were read, piece by piece
 * @returns lower-case hexadecimal
 * @throws MeshError MODEL_INVALID with file and tensor when a number is not finite or the file ends early
 */
export async function scanFile(
  path: string,
  bytes: number,
  entries: readonly WeightEntry[],
  onBytes: (count: number) => void,
): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(path);
  const buffer = Buffer.alloc(Math.min(PIECE_BYTES, Math.max(1, bytes)));
  try {
    for (const { from, to, entry } of stretches(bytes, entries))
      for (let at = from; at < to; at += PIECE_BYTES) {
        const piece = buffer.subarray(0, Math.min(PIECE_BYTES, to - at));
        await fill(handle, piece, at, path);
        hash.update(piece);
        const found = entry === undefined ? -1 : (NOT_FINITE[entry.type]?.(piece) ?? -1);
        if (found >= 0)
          throw invalid(path, `tensor ${entry?.name} has a number that is not finite; fetch the file again`);
        onBytes(piece.length);
      }
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}

interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly entry: WeightEntry | undefined;
}

/** The file from beginning to end: tensors, and what is between them. */
function stretches(bytes: number, entries: readonly WeightEntry[]): Stretch[] {
  const found: Stretch[] = [];
  let at = 0;
  for (const entry of [...entries].sort((a, b) => a.offset - b.offset)) {
    const to = entry.offset + entry.bytes;
    // Two names may share one tensor.
    if (entry.offset < at) continue;
    if (entry.offset > at) found.push({ from: at, to: entry.offset, entry: undefined });
    found.push({ from: entry.offset, to, entry });
    at = to;
  }
  if (at < bytes) found.push({ from: at, to: bytes, entry: undefined });
  return found;
}

async function fill(handle: FileHandle, piece: Buffer, at: number, path: string): Promise<void> {
  let done = 0;
  while (done < piece.length) {
    const { bytesRead } = await handle.read(piece, done, piece.length - done, at + done);
    if (bytesRead === 0) throw invalid(path, 'became shorter while it was read; import again when it is complete');
    done += bytesRead;
  }
}
