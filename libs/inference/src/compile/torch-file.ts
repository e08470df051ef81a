/** Reads which tensors a `.pth` file of torch.save holds and where, so that graphs can point into it. */
import { join } from 'node:path';
import { type Pickled, type PickledTensor, readPickle } from './torch-pickle.js';
import { listZip, type ZipEntry } from './torch-zip.js';
import { fileSize, invalid, REMEDY, readAt, TYPE_BYTES, type WeightEntry } from './weight-file.js';

const MAX_PICKLE_BYTES = 64 * 1024 * 1024;
/** Dictionaries within dictionaries: a training run's file holds its networks one level deep. */
const MAX_DEPTH = 4;

/**
 * Tensors of nested dictionaries have their keys joined by dots; values that are not tensors are left out.
 * @throws MeshError MODEL_INVALID for damaged and hostile files; nothing in a file is executed
 */
export async function readTorchFile(folder: string, file: string): Promise<WeightEntry[]> {
  const path = join(folder, file);
  const archive = await listZip(path, await fileSize(path));
  const pickles = [...archive.keys()].filter((name) => name.endsWith('/data.pkl'));
  const [name = ''] = pickles;
  const pickle = archive.get(name);
  if (pickle === undefined || pickles.length > 1) throw invalid(path, `does not hold one data.pkl; ${REMEDY}`);
  const root = name.slice(0, -'data.pkl'.length);
  await checkByteOrder(path, archive.get(`${root}byteorder`));
  if (pickle.bytes > MAX_PICKLE_BYTES) throw invalid(path, `has a pickle of ${pickle.bytes} bytes; ${REMEDY}`);
  const bytes = await readAt(path, pickle.offset, pickle.bytes);
  let content: Pickled;
  try {
    content = readPickle(bytes);
  } catch (cause) {
    throw invalid(
      path,
      `is refused: ${(cause as Error).message}. Get it from its publisher, or save it as .safetensors`,
      cause,
    );
  }
  if (!(content instanceof Map)) throw invalid(path, `holds no dictionary of tensors; ${REMEDY}`);
  return tensorsOf(path, content, '', 0).map(([tensorName, tensor]) => {
    const storage = archive.get(`${root}data/${tensor.storage.key}`);
    return entryOf(path, { file, name: tensorName }, tensor, storage);
  });
}

async function checkByteOrder(path: string, entry: ZipEntry | undefined): Promise<void> {
  if (entry === undefined) return;
  const order = (await readAt(path, entry.offset, Math.min(entry.bytes, 16))).toString('utf8');
  if (order !== 'little')
    throw invalid(path, `has the byte order "${order}"; save it again on a little-endian machine`);
}

function tensorsOf(
  path: string,
  content: ReadonlyMap<Pickled, Pickled>,
  prefix: string,
  depth: number,
): (readonly [name: string, tensor: PickledTensor])[] {
  if (depth >= MAX_DEPTH) throw invalid(path, `has dictionaries more than ${MAX_DEPTH} deep; ${REMEDY}`);
  return [...content].flatMap(([key, value]) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
    if (typeof key !== 'string') throw invalid(path, `has a key that is not text; ${REMEDY}`);
    const name = `${prefix}${key}`;
    if (value instanceof Map) return tensorsOf(path, value, `${name}.`, depth + 1);
    return 'tensor' in value ? [[name, value.tensor] as const] : [];
  });
}

function entryOf(
  path: string,
  { file, name }: { readonly file: string; readonly name: string },
  { storage, offset, dims, strides }: PickledTensor,
  place: ZipEntry | undefined,
): WeightEntry {
  const each = TYPE_BYTES[storage.type] as number;
  if (place === undefined) throw invalid(path, `lacks the values of ${name}; ${REMEDY}`);
  if (place.bytes !== storage.values * each)
    throw invalid(
      path,
      `has ${place.bytes} bytes for ${name}; ${storage.type} needs ${storage.values * each}; ${REMEDY}`,
    );
  const bytes = dims.reduce((product, dim) => product * dim, each);
  if (!isRowMajor(dims, strides))
    throw invalid(path, `has ${name} with strides [${strides}] for [${dims}]; save it again with .contiguous()`);
  if (offset * each + bytes > place.bytes) throw invalid(path, `has ${name} reach beyond its values; ${REMEDY}`);
  return { name, type: storage.type, dims, file, offset: place.offset + offset * each, bytes };
}

/** The stride of a dimension of one does not matter. */
function isRowMajor(dims: readonly number[], strides: readonly number[]): boolean {
  if (dims.length !== strides.length) return false;
  let step = 1;
  for (let i = dims.length - 1; i >= 0; i--) {
    if (dims[i] !== 1 && strides[i] !== step) return false;
    step *= dims[i] as number;
  }
  return true;
}
