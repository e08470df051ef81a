import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundleScript, SCRIPTS } from '../../services/gateway/src/page/bundle.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Folders of packages that run in production. */
const PACKAGE_ROOTS = ['libs', 'services'];
/** Tests and their helpers, which production does not have, and the browser's code, which is bundled instead. */
const LEFT_OUT = /(^|\/)(testing|test-fixtures|page)(\/|\.ts$)|\.test\.ts$/;
const SOURCE = /\.ts$/;
const PAGE_ASSET = /\.(html|css)$/;

/**
 * Compiles every package to JavaScript: one file of `dist` for each file of `src`, with its source map. Packages, worker threads and
 * child processes therefore remain files of their own, as they are in the sources. Types are checked by `npm run types`.
 * @returns the number of compiled files
 */
export async function buildPackages(): Promise<number> {
  const folders = await Promise.all(
    PACKAGE_ROOTS.map(async (root) => (await readdir(join(ROOT, root))).map((name) => join(ROOT, root, name))),
  );
  const counts = await Promise.all(folders.flat().map(buildPackage));
  await buildPage(join(ROOT, 'services/gateway'));
  return counts.reduce((sum, count) => sum + count, 0);
}

async function buildPackage(folder: string): Promise<number> {
  const [source, outdir] = [join(folder, 'src'), join(folder, 'dist')];
  await rm(outdir, { recursive: true, force: true });
  const entryPoints = await sourcesIn(source);
  await build({
    entryPoints,
    outdir,
    outbase: source,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: true,
    logLevel: 'error',
  });
  return entryPoints.length;
}

async function sourcesIn(folder: string): Promise<string[]> {
  const paths = await readdir(folder, { recursive: true });
  return paths.filter((path) => SOURCE.test(path) && !LEFT_OUT.test(path)).map((path) => join(folder, path));
}

async function buildPage(gateway: string): Promise<void> {
  const [source, target] = [join(gateway, 'src/page'), join(gateway, 'dist/page')];
  await mkdir(target, { recursive: true });
  await Promise.all(SCRIPTS.map(async (name) => writeFile(join(target, name), await bundleScript(name))));
  const assets = (await readdir(source)).filter((name) => PAGE_ASSET.test(name));
  await Promise.all(assets.map((name) => cp(join(source, name), join(target, name))));
}
