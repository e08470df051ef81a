/** What the readers of checkpoint files share. */
import { open, stat } from 'node:fs/promises';
import { MeshError } from '@talkmesh/contracts';

/** Bytes of one number of each type, by the names of the safetensors format. */
export const TYPE_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
};
export const REMEDY = 'fetch the file again, or write it again if it is your own';

/** Type, shape and location of one tensor. */
export interface WeightEntry {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly number[];
  /** Name of the file in the checkpoint's folder. */
  readonly file: string;
  /** Bytes from the beginning of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export async function fileSize(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (cause) {
    throw invalid(path, `cannot be read; ${REMEDY}`, cause);
  }
}

export async function readAt(path: string, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const handle = await open(path);
  try {
    let done = 0;
    while (done < length) {
      const { bytesRead } = await handle.read(buffer, done, length - done, offset + done);
      if (bytesRead === 0) throw invalid(path, `ends within a tensor or the header; ${REMEDY}`);
      done += bytesRead;
    }
  } finally {
    await handle.close();
  }
  return buffer;
}

export function invalid(path: string, what: string, cause?: unknown): MeshError {
  return new MeshError('MODEL_INVALID', `${path} ${what}`, cause === undefined ? {} : { cause });
}
