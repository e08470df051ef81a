/** What a release publishes, made from a clean copy of the repository, each checked by its contents. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SERVICES } from '@talkmesh/contracts';
import { kubernetesTool } from '../../test/support/kubernetes-tools.js';
import { packPackage } from '../../test/support/packed-package.js';

const run = promisify(execFile);
const CHART = 'deploy/helm/talkmesh';
/** Folders of `libs` that are published to npm. */
export const NPM_PACKAGES = ['client', 'livekit'] as const;

export interface Artifacts {
  readonly npm: readonly string[];
  readonly chart: string;
  readonly sbom: string;
}

/**
 * @param source a copy of the repository whose files name the version, with `node_modules`
 * @param target where the files are written
 * @throws Error when an artifact lacks something, or has something that it must not have
 */
export async function makeArtifacts(source: string, target: string, version: string): Promise<Artifacts> {
  mkdirSync(target, { recursive: true });
  const npm: string[] = [];
  for (const name of NPM_PACKAGES) npm.push(await packNpm(source, target, name, version));
  return { npm, chart: await packChart(source, target, version), sbom: await writeSbom(source, target, version) };
}

async function packNpm(source: string, target: string, name: string, version: string): Promise<string> {
  const folder = join(target, `.${name}`);
  mkdirSync(folder);
  const { tarball, files } = await packPackage(name, folder, source);
  const { stdout } = await run('tar', ['-xOzf', tarball, 'package/package.json']);
  const faults = npmFaults(JSON.parse(stdout) as NpmManifest, files, version);
  if (faults.length > 0) throw new Error(`@talkmesh/${name} cannot be published: ${faults.join('; ')}`);
  const path = join(target, `talkmesh-${name}-${version}.tgz`);
  await run('mv', [tarball, path]);
  await run('rm', ['-r', folder]);
  return path;
}

interface NpmManifest {
  readonly version: string;
  readonly private?: boolean;
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** @returns what is wrong with the contents of a packed npm package, one line each */
export function npmFaults(manifest: NpmManifest, files: readonly string[], version: string): string[] {
  const needed = Object.values(manifest.exports).flatMap((entry) => Object.values(entry).map((path) => path.slice(2)));
  const missing = ['README.md', 'LICENSE', ...needed].filter((path) => !files.includes(path));
  const unwanted = files.filter((path) => /(^|\/)(testing|test|scripts|node_modules)\/|\.test\.|(^|\/)\./.test(path));
  const inside = Object.keys(manifest.dependencies ?? {}).filter((name) => name.startsWith('@talkmesh/'));
  return [
    ...(manifest.version === version ? [] : [`its version is ${manifest.version} and not ${version}`]),
    ...(manifest.private === true ? ['it is private'] : []),
    ...missing.map((path) => `${path} is missing`),
    ...unwanted.map((path) => `${path} must not be in it`),
    ...inside.map((name) => `it depends on ${name}, which is not published`),
  ];
}

async function packChart(source: string, target: string, version: string): Promise<string> {
  const homes = Object.fromEntries(
    ['CACHE', 'CONFIG', 'DATA'].map((name) => [`HELM_${name}_HOME`, join(target, '.helm')]),
  );
  const env = { ...process.env, ...homes };
  const helm = (...args: string[]) => run(kubernetesTool('helm'), args, { env });
  await helm('lint', '--strict', join(source, CHART));
  await helm('package', join(source, CHART), '--destination', target);
  const path = join(target, `talkmesh-${version}.tgz`);
  const { stdout } = await helm('show', 'chart', path);
  for (const line of [`version: ${version}`, `appVersion: ${version}`])
    if (!stdout.split('\n').includes(line)) throw new Error(`the chart lacks "${line}"`);
  await run('rm', ['-rf', join(target, '.helm')]);
  return path;
}

async function writeSbom(source: string, target: string, version: string): Promise<string> {
  const flags = ['sbom', '--sbom-format=cyclonedx', '--omit=dev', '--package-lock-only'];
  const { stdout } = await run('npm', flags, { cwd: source, maxBuffer: 64 * 1024 * 1024 });
  const { metadata, components } = JSON.parse(stdout) as {
    metadata: { component: { version: string } };
    components: readonly unknown[];
  };
  if (metadata.component.version !== version || components.length === 0)
    throw new Error(`the SBOM is of version ${metadata.component.version} and lists ${components.length} packages`);
  const path = join(target, `talkmesh-${version}.cdx.json`);
  writeFileSync(path, stdout);
  return path;
}

/**
 * The commands that publish a release, in order. npm publishes to the registry of your npm settings.
 * @param registry of images and chart, such as `registry.example.com/team`
 */
export function publishCommands(version: string, registry: string, artifacts: Artifacts): string[][] {
  const images = SERVICES.flatMap((service) => {
    const image = `${registry}/talkmesh/${service}:${version}`;
    const args = [`SERVICE=${service}`, `VERSION=${version}`, `REVISION=v${version}`];
    const build = args.flatMap((arg) => ['--build-arg', arg]);
    return [
      ['docker', 'build', '-f', 'deploy/docker/Dockerfile', ...build, '-t', image, '.'],
      ['docker', 'push', image],
    ];
  });
  const tag = /-/.test(version) ? ['--tag', 'next'] : [];
  return [
    ...images,
    ['helm', 'push', artifacts.chart, `oci://${registry}/charts`],
    ...artifacts.npm.map((path) => ['npm', 'publish', path, '--access', 'public', ...tag]),
    ['git', 'push', 'origin', 'HEAD', `v${version}`],
  ];
}

/** Version of the repository, and its package.json files. */
export function packagesOf(
  root: string,
  tracked: readonly string[],
): { readonly version: string; readonly paths: string[] } {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const isOurs = (path: string): boolean =>
    String(JSON.parse(readFileSync(join(root, path), 'utf8')).name).match(/^(talkmesh$|@talkmesh\/)/) !== null;
  return { version, paths: tracked.filter((path) => /(^|\/)package\.json$/.test(path)).filter(isOurs) };
}
