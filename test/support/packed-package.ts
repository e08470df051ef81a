import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

export interface PackedPackage {
  /** Of its folder in libs. */
  readonly name: string;
  /** Path of the tarball. */
  readonly tarball: string;
  /** Paths of its files, relative to the package. */
  readonly files: readonly string[];
}

interface PackReport {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/**
 * Builds `@talkmesh/NAME` of a repository and packs it as `npm publish` would, in a copy in `target`: other tests use its `dist` at the same time.
 */
export async function packPackage(name: string, target: string, repository = '.'): Promise<PackedPackage> {
  const at = (path: string): string => resolve(repository, path);
  const root = join(target, 'source');
  const folder = join(root, 'libs', name);
  // The script that compiles is the client's.
  cpSync(at('libs/client/scripts'), join(root, 'libs/client/scripts'), { recursive: true });
  cpSync(at(join('libs', name)), folder, { recursive: true, filter: (path) => !/\/(dist|node_modules)$/.test(path) });
  cpSync(at('tsconfig.json'), join(root, 'tsconfig.json'));
  symlinkSync(at('node_modules'), join(root, 'node_modules'));
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { scripts: { prepack: string } };
  const [command, ...args] = manifest.scripts.prepack.split(' ') as [string, ...string[]];
  // The user's settings may forbid scripts, so the script that npm would run is run here.
  await execute(command, args, { cwd: folder });
  const { stdout } = await execute('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', target], {
    cwd: folder,
  });
  const [report] = JSON.parse(stdout) as [PackReport];
  return { name, tarball: join(target, report.filename), files: report.files.map(({ path }) => path) };
}

/** Installs a packed package into `folder/node_modules`, beside packages of this repository or of the node_modules folder `from`. */
export async function installPackage(
  folder: string,
  { name: packed, tarball }: PackedPackage,
  others: readonly string[] = [],
  from = 'node_modules',
): Promise<void> {
  const target = join(folder, 'node_modules/@talkmesh', packed);
  mkdirSync(target, { recursive: true });
  await execute('tar', ['-xzf', tarball, '--strip-components=1', '-C', target]);
  for (const name of others) {
    const link = join(folder, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(resolve(from, name), link);
  }
}
