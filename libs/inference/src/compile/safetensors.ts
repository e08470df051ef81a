import { join, resolve } from 'node:path';
import { z } from 'zod';
import { readTorchFile } from './torch-file.js';
import { fileSize, invalid, REMEDY, readAt, TYPE_BYTES, type WeightEntry } from './weight-file.js';

export type { WeightEntry } from './weight-file.js';

const LENGTH_BYTES = 8;
/** The limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;

/** The tensors of a checkpoint's `.safetensors` and `.pth` files. Only the headers are read. */
export class Weights {
  readonly folder: string;
  readonly entries: ReadonlyMap<string, WeightEntry>;
  readonly #files: readonly string[];

  constructor(folder: string, files: readonly string[], entries: ReadonlyMap<string, WeightEntry>) {
    this.folder = folder;
    this.entries = entries;
    this.#files = files;
  }

  /**
   * @param _wanted the shape that the caller needs, which `NeededWeights` records
   * @throws MeshError MODEL_INVALID when the tensor is missing
   */
  get(name: string, _wanted?: readonly number[]): WeightEntry {
    const entry = this.entries.get(name);
    if (entry !== undefined) return entry;
    throw invalid(this.where, `has no tensor ${name}, which the model's description names; ${REMEDY}`);
  }

  /** The files, for messages. */
  get where(): string {
    return this.#files.map((file) => join(this.folder, file)).join(', ');
  }
}

const isTorchFile = (file: string): boolean => /\.(pth|pt)$/.test(file);

/**
 * Reads and checks the headers of a checkpoint's files.
 * @param files names in `folder`; a checkpoint may be split over several
 * @throws MeshError MODEL_INVALID with the file and the remedy
 */
export async function openWeights(folder: string, files: readonly string[]): Promise<Weights> {
  const entries = new Map<string, WeightEntry>();
  for (const file of files)
    for (const entry of await (isTorchFile(file) ? readTorchFile(folder, file) : readHeader(folder, file))) {
      if (entries.has(entry.name))
        throw invalid(
          join(folder, file),
          `repeats tensor ${entry.name} of ${entries.get(entry.name)?.file}; ${REMEDY}`,
        );
      entries.set(entry.name, entry);
    }
  return new Weights(resolve(folder), files, entries);
}

/**
 * A tensor's numbers, rounded to float32.
 * @throws MeshError MODEL_INVALID for types other than F32, F16, BF16 and I64
 */
export async function readWeight(weights: Weights, name: string): Promise<Float32Array> {
  const entry = weights.get(name);
  const bytes = await readAt(join(weights.folder, entry.file), entry.offset, entry.bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = DECODERS[entry.type];
  if (read === undefined) throw invalid(weights.where, `${name} is ${entry.type}; convert it to F32, F16 or BF16`);
  const each = TYPE_BYTES[entry.type] as number;
  return Float32Array.from({ length: entry.bytes / each }, (_, i) => read(view, i * each));
}

const BITS = new DataView(new ArrayBuffer(4));
const DECODERS: Readonly<Record<string, (view: DataView, at: number) => number>> = {
  F32: (view, at) => view.getFloat32(at, true),
  I64: (view, at) => Number(view.getBigInt64(at, true)),
  BF16: (view, at) => {
    BITS.setUint32(0, view.getUint16(at, true) * 65_536);
    return BITS.getFloat32(0);
  },
  F16: (view, at) => {
    const bits = view.getUint16(at, true);
    const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
    const sign = bits & 32_768 ? -1 : 1;
    if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
  },
};

const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  data_offsets: z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]),
});
const headerSchema = z.record(z.string(), z.unknown());
const metadataSchema = z.record(z.string(), z.string());

async function readHeader(folder: string, file: string): Promise<WeightEntry[]> {
  const path = join(folder, file);
  const size = await fileSize(path);
  if (size < LENGTH_BYTES + 2) throw invalid(path, `has ${size} bytes, too few for a safetensors file; ${REMEDY}`);
  const headerBytes = Number((await readAt(path, 0, LENGTH_BYTES)).readBigUInt64LE(0));
  if (headerBytes > MAX_HEADER_BYTES || headerBytes > size - LENGTH_BYTES)
    throw invalid(
      path,
      `declares that its header has ${headerBytes} bytes, the file has ${size}: it was truncated or is not a safetensors file; ${REMEDY}`,
    );
  const start = LENGTH_BYTES + headerBytes;
  const header = parseHeader(path, (await readAt(path, LENGTH_BYTES, headerBytes)).toString('utf8'));
  const entries = Object.entries(header).flatMap(([name, value]) => {
    if (name === '__metadata__') {
      if (!metadataSchema.safeParse(value).success) throw invalid(path, `has metadata that is not text; ${REMEDY}`);
      return [];
    }
    return [readEntry(path, file, start, name, value)];
  });
  checkLayout(path, entries, start, size);
  return entries;
}

function parseHeader(path: string, text: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid(path, `has a header that is not JSON; ${REMEDY}`, cause);
  }
  const parsed = headerSchema.safeParse(json);
  if (!parsed.success) throw invalid(path, `has a header that is not an object; ${REMEDY}`);
  return parsed.data;
}

function readEntry(path: string, file: string, start: number, name: string, value: unknown): WeightEntry {
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
    throw invalid(path, `describes tensor ${name} wrongly (${issues}); ${REMEDY}`);
  }
  const { dtype, shape, data_offsets: offsets } = parsed.data;
  const each = TYPE_BYTES[dtype];
  if (each === undefined)
    throw invalid(path, `has tensor ${name} of unknown type ${dtype}; convert it to F32, F16 or BF16`);
  const bytes = shape.reduce((product, dim) => product * dim, each);
  if (offsets[1] - offsets[0] !== bytes)
    throw invalid(
      path,
      `gives tensor ${name} ${offsets[1] - offsets[0]} bytes; ${dtype} [${shape}] needs ${bytes}; ${REMEDY}`,
    );
  return { name, type: dtype, dims: shape, file, offset: start + offsets[0], bytes };
}

/** The format forbids overlaps and gaps, so that a file cannot contain hidden data. */
function checkLayout(path: string, entries: readonly WeightEntry[], start: number, size: number): void {
  const sorted = entries.filter((entry) => entry.bytes > 0).sort((a, b) => a.offset - b.offset);
  let end = start;
  for (const entry of sorted) {
    if (entry.offset < end) throw invalid(path, `has tensor ${entry.name} over the previous one; ${REMEDY}`);
    if (entry.offset > end)
      throw invalid(path, `has ${entry.offset - end} unused bytes before ${entry.name}; ${REMEDY}`);
    end += entry.bytes;
  }
  if (end > size) throw invalid(path, `has ${size} bytes, its tensors reach ${end}: it was cut off; ${REMEDY}`);
  if (end < size) throw invalid(path, `has ${size - end} bytes after its last tensor; ${REMEDY}`);
}
