import { cp, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleScript, SCRIPTS } from '@talkmesh/gateway/page-bundle';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Folders of packages that run in production. */
const PACKAGE_ROOTS = ['libs', 'services'];
/** The browser's code, which is bundled instead. */
const BUNDLED = /(^|\/)page(\/|\.ts$)/;
/** Tests and their helpers, which production does not have. */
const OF_TESTS = /(^|\/)(testing|test-fixtures)(\/|\.ts$)|\.test\.ts$/;
const SOURCE = /\.ts$/;
/** A temporary file that is older was left by a build that was killed. */
const ABANDONED_MS = 10 * 60_000;
/** File systems and `utimes` round times. */
const TIME_TOLERANCE_MS = 1;
const PAGE_ASSET = /\.(html|css)$/;

export interface BuildOptions {
  /** Compiles the tests and their helpers of packages that are not published; what is there of them stays in either case. */
  readonly tests?: boolean;
}

export interface Built {
  /** Files of `dist` that belong to a source, compiled now or before. */
  readonly files: number;
  /** Sources that were new or changed. */
  readonly compiled: number;
}

/**
 * Compiles every package to JavaScript: one file of `dist` for each file of `src`, with its source map. Packages, worker threads and
 * child processes therefore remain files of their own, as they are in the sources. A compiled file gets its source's time and is
 * compiled again when the two differ. Files are replaced as a whole, so several processes may build at the same time. Types are
 * checked by `npm run types`.
 */
export async function buildPackages({ tests = false }: BuildOptions = {}): Promise<Built> {
  const packages = await Promise.all(
    PACKAGE_ROOTS.map(async (root) => (await readdir(join(ROOT, root))).map((name) => join(ROOT, root, name))),
  );
  const all = packages.flat();
  const results = await Promise.all(all.map((folder) => buildPackage(folder, tests)));
  await buildPage(
    join(ROOT, 'services/gateway'),
    all.map((folder) => join(folder, 'src')),
  );
  const sum = (of: (built: Built) => number): number => results.reduce((total, built) => total + of(built), 0);
  return { files: sum(({ files }) => files), compiled: sum(({ compiled }) => compiled) };
}

async function buildPackage(folder: string, tests: boolean): Promise<Built> {
  const [source, target] = [join(folder, 'src'), join(folder, 'dist')];
  const sources = (await filesIn(source)).filter((name) => SOURCE.test(name) && !BUNDLED.test(name));
  const outputs = new Set(sources.flatMap((name) => [outputOf(name), `${outputOf(name)}.map`]));
  const { private: isPrivate } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    private?: boolean;
  };
  const names = sources.filter((name) => (tests && isPrivate) || !OF_TESTS.test(name));
  const left = (await filesIn(target)).filter((name) => !name.startsWith('page/') && !outputs.has(name));
  await Promise.all(left.map((name) => removeLeft(join(target, name))));
  const outdated: string[] = [];
  for (const name of names) {
    const differenceMs = (await changedAtMs(join(target, outputOf(name)))) - (await changedAtMs(join(source, name)));
    if (Math.abs(differenceMs) >= TIME_TOLERANCE_MS) outdated.push(name);
  }
  if (outdated.length > 0) await compile(source, target, outdated);
  return { files: names.length, compiled: outdated.length };
}

/** A temporary file may be that of another process that builds at this moment. */
async function removeLeft(path: string): Promise<void> {
  const isInUse = path.endsWith('.tmp') && Date.now() - (await changedAtMs(path)) < ABANDONED_MS;
  if (!isInUse) await rm(path, { force: true, recursive: true });
}

async function compile(source: string, target: string, names: readonly string[]): Promise<void> {
  const times = await Promise.all(names.map((name) => changedAtMs(join(source, name))));
  const { outputFiles } = await build({
    entryPoints: names.map((name) => join(source, name)),
    outdir: target,
    outbase: source,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: true,
    write: false,
    logLevel: 'error',
  });
  const contentsOf = new Map(outputFiles.map(({ path, contents }) => [path, contents]));
  for (const [i, name] of names.entries()) {
    const path = join(target, outputOf(name));
    // The source map comes before its file, whose time tells whether both are there.
    await replace(`${path}.map`, contentsOf.get(`${path}.map`));
    await replace(path, contentsOf.get(path), times[i]);
  }
}

/** The command that the gateway's image holds beside its service, in one file. It imports only packages that the gateway has too. @returns its path */
export async function bundleSmoke(): Promise<string> {
  const outfile = join(ROOT, 'deploy/local/dist/smoke.js');
  const entry = join(ROOT, 'deploy/local/src/smoke-command.ts');
  const options = { format: 'esm', platform: 'node', target: 'node20', packages: 'external' } as const;
  await build({ entryPoints: [entry], outfile, bundle: true, logLevel: 'error', ...options });
  return outfile;
}

/** Bundles the page again when any source is newer, since it contains other packages. */
async function buildPage(gateway: string, sources: readonly string[]): Promise<void> {
  const [source, target] = [join(gateway, 'src/page'), join(gateway, 'dist/page')];
  const newest = Math.max(...(await Promise.all(sources.map(newestIn))));
  const assets = (await readdir(source)).filter((name) => PAGE_ASSET.test(name));
  const built = await Promise.all([...SCRIPTS, ...assets].map((name) => changedAtMs(join(target, name))));
  if (Math.min(...built) >= newest) return;
  await mkdir(target, { recursive: true });
  await Promise.all(SCRIPTS.map(async (name) => replace(join(target, name), await bundleScript(name))));
  await Promise.all(assets.map((name) => cp(join(source, name), join(target, name))));
}

const outputOf = (name: string): string => name.replace(SOURCE, '.js');

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

/** Minus infinity for a file that does not exist. */
const changedAtMs = async (path: string): Promise<number> =>
  (await stat(path).catch(() => undefined))?.mtimeMs ?? Number.NEGATIVE_INFINITY;

const newestIn = async (folder: string): Promise<number> =>
  Math.max(...(await Promise.all((await filesIn(folder)).map((name) => changedAtMs(join(folder, name))))));

/** @param changedAtMs the file's time, now by default */
async function replace(path: string, contents: Uint8Array | undefined, changedAtMs?: number): Promise<void> {
  if (contents === undefined) throw new Error(`esbuild wrote no ${path}`);
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, contents);
  if (changedAtMs !== undefined) await utimes(temporary, changedAtMs / 1000, changedAtMs / 1000);
  await rename(temporary, path);
}
