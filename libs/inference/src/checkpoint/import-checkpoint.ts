/** Imports a public model: a manifest that says which of its files hold what. Weights stay where they are. */
import { mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { MeshError } from '@talkmesh/contracts';
import { z } from 'zod';
import { openWeights, Weights } from '../compile/safetensors.js';
import { type FoundNetwork, findNetworks, type WantedNetwork } from './find-networks.js';
import { mergeLora, withMerged } from './lora.js';
import { scanFile } from './scan-file.js';

export const CHECKPOINT_MANIFEST = 'checkpoint.json';
const PROGRESS = 'import-progress.json';
const MERGED = 'merged.safetensors';

const file = z.object({
  /** Relative to the manifest's folder. */
  path: z.string(),
  bytes: z.number().int().positive(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
const manifest = z.object({
  schema: z.literal('talkmesh.checkpoint/1'),
  model: z.string(),
  networks: z.record(
    z.string(),
    z.object({
      /** What the files put before the names of the tensors. */
      prefix: z.string(),
      files: z.array(file).min(1),
      /** Weights that an adapter changed; they take the place of those in the files. */
      merged: file.optional(),
    }),
  ),
});
export type CheckpointManifest = z.infer<typeof manifest>;
type ManifestFile = z.infer<typeof file>;

export interface ImportOptions {
  readonly model: string;
  readonly from: string;
  readonly out: string;
  readonly networks: readonly WantedNetwork[];
  /** An adapter for one of the networks. */
  readonly lora?: { readonly path: string; readonly alpha: number | undefined; readonly network: string };
  /** @param done and total: bytes that are checked; or tensors, while an adapter is merged */
  readonly onProgress: (what: string, done: number, total: number) => void;
}

const progress = z.record(z.string(), z.object({ bytes: z.number(), changed: z.number(), sha256: z.string() }));
type Progress = z.infer<typeof progress>;

/**
 * Checks every needed tensor's name, shape and numbers, and writes the manifest. An import that was stopped continues after the last file that it had
 * checked, as long as the file has not changed.
 * @throws MeshError MODEL_INVALID with file, tensor and remedy
 */
export async function importCheckpoint(options: ImportOptions): Promise<CheckpointManifest> {
  const { model, from, out } = options;
  const found = await findNetworks(from, options.networks);
  await mkdir(out, { recursive: true });
  const sums = await checkFiles(options, found);
  const networks: CheckpointManifest['networks'] = {};
  const [home, source] = await Promise.all([realpath(out), realpath(from)]);
  for (const { wanted, files, prefix } of found) {
    const stated = files.map((path): ManifestFile => {
      const { bytes, sha256 } = sums[path] as Progress[string];
      return { path: relative(home, join(source, path)), bytes, sha256 };
    });
    networks[wanted.name] = { prefix, files: stated };
  }
  const made: CheckpointManifest = { schema: 'talkmesh.checkpoint/1', model, networks };
  if (options.lora !== undefined) await merge(options, options.lora, made);
  await writeWhole(join(out, CHECKPOINT_MANIFEST), made);
  await rm(join(out, PROGRESS), { force: true });
  return made;
}

/** sha256 and size of each file, by its path in the folder. */
async function checkFiles({ from, out, onProgress }: ImportOptions, found: readonly FoundNetwork[]): Promise<Progress> {
  const before = await readProgress(join(out, PROGRESS));
  const files = [...new Set(found.flatMap((network) => network.files))];
  const states = new Map(await Promise.all(files.map(async (path) => [path, await stat(join(from, path))] as const)));
  const total = [...states.values()].reduce((sum, { size }) => sum + size, 0);
  const checked: Progress = {};
  let done = 0;
  for (const [path, { size, mtimeMs }] of states) {
    const known = before[path];
    if (known?.bytes === size && known.changed === mtimeMs) {
      checked[path] = known;
      done += size;
      onProgress(path, done, total);
      continue;
    }
    const entries = found.flatMap((network) => network.entries).filter((entry) => entry.file === path);
    const sha256 = await scanFile(join(from, path), size, entries, (count) => {
      done += count;
      onProgress(path, done, total);
    });
    checked[path] = { bytes: size, changed: mtimeMs, sha256 };
    await writeWhole(join(out, PROGRESS), checked);
  }
  return checked;
}

async function readProgress(path: string): Promise<Progress> {
  const text = await readFile(path, 'utf8').catch(() => '{}');
  try {
    return progress.parse(JSON.parse(text));
  } catch (cause) {
    throw new MeshError('MODEL_INVALID', `${path} is damaged; delete it, and the import begins again`, { cause });
  }
}

/** A reader sees the old file or the new one, never half of it. */
async function writeWhole(path: string, content: unknown): Promise<void> {
  await writeFile(`${path}.partial`, `${JSON.stringify(content, undefined, 2)}\n`);
  await rename(`${path}.partial`, path);
}

async function merge(
  { out, onProgress }: ImportOptions,
  lora: NonNullable<ImportOptions['lora']>,
  made: CheckpointManifest,
): Promise<void> {
  const network = made.networks[lora.network];
  if (network === undefined)
    throw new MeshError('MODEL_INVALID', `there is no network ${lora.network} to merge ${lora.path} into`);
  const adapter = await openWeights(dirname(resolve(lora.path)), [basename(lora.path)]);
  const path = `${lora.network}-${MERGED}`;
  const base = await openNetwork(out, network);
  await mergeLora(base, adapter, lora.alpha, join(out, path), (done, total) => onProgress(path, done, total));
  const merged = await openWeights(out, [path]);
  const { size } = await stat(join(out, path));
  const sha256 = await scanFile(join(out, path), size, [...merged.entries.values()], () => undefined);
  network.merged = { path, bytes: size, sha256 };
}

/**
 * Opens an imported model: the weights of each network by the names of its description.
 * @throws MeshError MODEL_INVALID when a file changed its size since the import, or the manifest is damaged
 */
export async function openCheckpoint(folder: string): Promise<Readonly<Record<string, Weights>>> {
  const path = join(folder, CHECKPOINT_MANIFEST);
  let read: CheckpointManifest;
  try {
    read = manifest.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    throw new MeshError('MODEL_INVALID', `${path} cannot be read; import the model again`, { cause });
  }
  const opened = Object.entries(read.networks).map(async ([name, network]) => {
    for (const one of [...network.files, ...(network.merged === undefined ? [] : [network.merged])]) {
      const found = await stat(join(folder, one.path)).catch(() => undefined);
      if (found?.size !== one.bytes)
        throw new MeshError(
          'MODEL_INVALID',
          `${join(folder, one.path)} has ${found?.size ?? 'no'} bytes instead of ${one.bytes}; import the model again`,
        );
    }
    return [name, await openNetwork(folder, network)] as const;
  });
  return Object.fromEntries(await Promise.all(opened));
}

/** Reads all files and compares their sha256 with the manifest. @throws MeshError MODEL_INVALID naming the file that differs */
export async function verifyCheckpoint(folder: string): Promise<void> {
  const read = manifest.parse(JSON.parse(await readFile(join(folder, CHECKPOINT_MANIFEST), 'utf8')));
  for (const { files, merged } of Object.values(read.networks))
    for (const one of [...files, ...(merged === undefined ? [] : [merged])]) {
      const sha256 = await scanFile(join(folder, one.path), one.bytes, [], () => undefined);
      if (sha256 !== one.sha256)
        throw new MeshError(
          'MODEL_INVALID',
          `${join(folder, one.path)} is not the file that was imported; import the model again`,
        );
    }
}

async function openNetwork(
  folder: string,
  { prefix, files, merged }: CheckpointManifest['networks'][string],
): Promise<Weights> {
  const paths = files.map(({ path }) => resolve(folder, path));
  const changed = merged === undefined ? [] : [resolve(folder, merged.path)];
  // The runtime refuses weights outside one folder, also by a link, so the graphs get the folder that all files are below.
  const home = commonFolder([...paths, ...changed]);
  const inside = (path: string): string => relative(home, path);
  const weights = await openWeights(home, paths.map(inside));
  const named = [...weights.entries].flatMap(([name, entry]) =>
    name.startsWith(prefix)
      ? [[name.slice(prefix.length), { ...entry, name: name.slice(prefix.length) }] as const]
      : [],
  );
  const plain = new Weights(home, paths.map(inside), new Map(named));
  return merged === undefined ? plain : withMerged(plain, await openWeights(home, changed.map(inside)));
}

/** The deepest folder that holds all of these absolute paths. */
function commonFolder(paths: readonly string[]): string {
  const [first = [], ...others] = paths.map((path) => dirname(path).split(sep));
  const length = first.findIndex((part, i) => others.some((other) => other[i] !== part));
  return (length === -1 ? first : first.slice(0, length)).join(sep) || sep;
}
