/**
 * `npm run release -- VERSION [--dry-run | --publish]`. Everything is prepared and checked in a copy; the repository gets its commit and tag only
 * when all of it is good. docs/release.md says how to use it.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { type Artifacts, makeArtifacts, packagesOf, publishCommands } from './artifacts.js';
import { bumpVersion } from './version-files.js';
import { compareVersions, isVersion, releasedChangelog } from './versions.js';

const run = promisify(execFile);

export interface ReleaseOptions {
  /** The repository. */
  readonly root: string;
  readonly version: string;
  /** Prepare and check everything, and change nothing outside of a temporary folder. */
  readonly dryRun: boolean;
  /** Run the commands that publish; otherwise they are only printed. */
  readonly publish: boolean;
  /** Of images and chart; empty: not known, so nothing can be published. */
  readonly registry: string;
  /** `2026-11-30`, for the changelog. */
  readonly date: string;
  readonly say: (line: string) => void;
  /** Makes what is published; tests that look at git alone replace it. */
  readonly make?: (source: string, target: string, version: string) => Promise<Artifacts>;
}

/** @throws Error that says what is in the way, before anything was changed */
export async function release(options: ReleaseOptions): Promise<void> {
  const { root, version, dryRun, publish, registry, say } = options;
  if (dryRun && publish) throw new Error('--dry-run publishes nothing: leave one of --dry-run and --publish out');
  if (publish && registry === '')
    throw new Error(
      '--publish needs TALKMESH_IMAGE_REGISTRY: the registry of images and chart, such as registry.example.com/team',
    );
  await checkRepository(root, version);
  const author = await authorOf(root);
  const temporary = mkdtempSync(join(tmpdir(), 'talkmesh-release-'));
  const [source, target] = [join(temporary, 'source'), join(temporary, version)];
  try {
    await run('git', ['clone', '--quiet', '--shared', root, source]);
    symlinkSync(resolve(root, 'node_modules'), join(source, 'node_modules'));
    say(`Prepared in ${temporary}:`);
    const notes = await prepare(source, options);
    const artifacts = await (options.make ?? makeArtifacts)(source, target, version);
    for (const path of [...artifacts.npm, artifacts.chart, artifacts.sbom]) say(`  ${relative(temporary, path)}`);
    say(`\nChangelog of ${version}:\n\n${notes}\n`);
    const kept = dryRun ? target : join(root, 'out/release', version);
    const commands = publishCommands(version, registry || 'REGISTRY', moved(artifacts, target, kept));
    if (!dryRun) {
      await commit(source, root, version, author);
      cpSync(target, kept, { recursive: true });
      say(`Committed and tagged v${version}. The files are in ${relative(root, kept)}.`);
    }
    say(publish ? 'Publishing:' : `To publish${dryRun ? ', after a run without --dry-run' : ''}:`);
    for (const command of commands) {
      say(`  ${command.join(' ')}`);
      if (publish) await run(command[0] as string, command.slice(1), { cwd: root, maxBuffer: 64 * 1024 * 1024 });
    }
    if (dryRun) say(`\nNothing was changed or published. The files to look at are in ${kept}.`);
  } finally {
    rmSync(dryRun ? source : temporary, { recursive: true, force: true });
  }
}

const git = async (root: string, ...args: string[]): Promise<string> =>
  (await run('git', args, { cwd: root, maxBuffer: 64 * 1024 * 1024 })).stdout.trim();

async function checkRepository(root: string, version: string): Promise<void> {
  if (!isVersion(version))
    throw new Error(`"${version}" is no version: it is MAJOR.MINOR.PATCH, such as 0.2.0 or 0.2.0-rc.1`);
  const changed = await git(root, 'status', '--porcelain');
  if (changed !== '') throw new Error(`the working tree has changes: commit or stash them first\n${changed}`);
  if ((await git(root, 'branch', '--show-current')) === '')
    throw new Error('no branch is checked out, so there is nothing to put the release on: git switch main');
  const tags = (await git(root, 'tag', '--list', 'v*')).split('\n').filter((tag) => isVersion(tag.slice(1)));
  if (tags.includes(`v${version}`)) throw new Error(`the tag v${version} exists already: choose a version above it`);
  const newest = tags
    .map((tag) => tag.slice(1))
    .sort(compareVersions)
    .at(-1);
  if (newest !== undefined && compareVersions(version, newest) <= 0)
    throw new Error(`${version} is not above ${newest}, the newest release`);
  const { version: current } = packagesOf(root, []);
  if (compareVersions(version, current) < 0)
    throw new Error(`${version} is below ${current}, the version of package.json`);
}

/** Names the version everywhere, moves the section of the changelog, and writes the wire format. @returns the changelog of the version */
async function prepare(source: string, { version, date, say }: ReleaseOptions): Promise<string> {
  const changelog = join(source, 'CHANGELOG.md');
  const { text, notes } = releasedChangelog(readFileSync(changelog, 'utf8'), version, date);
  writeFileSync(changelog, text);
  const tracked = (await git(source, 'ls-files')).split('\n');
  const { version: current, paths } = packagesOf(source, tracked);
  const files = bumpVersion(source, paths, current, version);
  say(`  ${current === version ? `${version} is named` : `${current} became ${version}`} in ${files.length} files`);
  await writeWireFormat(source, version, say);
  return notes;
}

async function writeWireFormat(source: string, version: string, say: (line: string) => void): Promise<void> {
  const folder = `test/compatibility/${version.split('.').slice(0, 2).join('.')}`;
  const node = (...args: string[]) =>
    run(process.execPath, ['--import', 'tsx', '--conditions=source', ...args], {
      cwd: source,
      maxBuffer: 64 * 1024 * 1024,
    });
  if (existsSync(join(source, folder)))
    await node('--test', 'test/compatibility/compatibility.test.ts').catch((error: { stdout: string }) => {
      throw new Error(`services of this code and of the last release do not work together:\n${error.stdout}`);
    });
  await node('test/compatibility/wire-format.ts');
  say(`  ${folder} holds the wire format`);
}

async function authorOf(root: string): Promise<string[]> {
  const settings = await Promise.all(
    ['user.name', 'user.email'].map(async (key) => {
      const value = await git(root, 'config', key).catch(() => '');
      if (value === '') throw new Error(`git does not know who you are: git config ${key} ...`);
      return ['-c', `${key}=${value}`];
    }),
  );
  return settings.flat();
}

async function commit(source: string, root: string, version: string, author: readonly string[]): Promise<void> {
  await git(source, 'add', '--all', '--', '.', ':!node_modules');
  await git(source, ...author, 'commit', '--quiet', '--message', `Release ${version}`);
  await git(source, ...author, 'tag', '--annotate', `v${version}`, '--message', `talkmesh ${version}`);
  const tag = `refs/tags/v${version}`;
  // The tag comes last: a branch that moved meanwhile refuses the commit.
  await git(root, 'fetch', '--quiet', '--no-tags', source, tag);
  await git(root, 'merge', '--quiet', '--ff-only', 'FETCH_HEAD').catch((error: { stderr?: string }) => {
    throw new Error(`the branch has changed since the release began: release again\n${error.stderr ?? ''}`);
  });
  await git(root, 'fetch', '--quiet', '--no-tags', source, `${tag}:${tag}`);
}

const moved = ({ npm, chart, sbom }: Artifacts, from: string, to: string): Artifacts => {
  const at = (path: string): string => join(to, relative(from, path));
  return { npm: npm.map(at), chart: at(chart), sbom: at(sbom) };
};

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { 'dry-run': { type: 'boolean' }, publish: { type: 'boolean' } },
    allowPositionals: true,
  });
  const [version, ...more] = positionals;
  if (version === undefined || more.length > 0)
    throw new Error('usage: npm run release -- VERSION [--dry-run | --publish]');
  await release({
    ...{ root: process.cwd(), version, dryRun: values['dry-run'] === true, publish: values.publish === true },
    registry: process.env['TALKMESH_IMAGE_REGISTRY'] ?? '',
    date: new Date().toISOString().slice(0, 10),
    say: (line) => void process.stdout.write(`${line}\n`),
  });
}

if (process.argv[1] === import.meta.filename)
  await main(process.argv.slice(2)).catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  });
