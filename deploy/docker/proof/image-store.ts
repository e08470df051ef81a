import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ServiceName } from '@talkmesh/contracts';
import { ROOT } from '../../local/src/mesh.js';
import { runProgram } from './program.js';

/** Stands in for node:20-bookworm-slim on a machine that reaches no image registry. */
export const BASE = 'localhost/node:20-bookworm-slim';
const DEBIAN = 'bookworm';
const SOURCES = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'];
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';
/** Without CAP_SYS_RESOURCE no limit can be raised, and podman and buildah would try to by default. */
const LIMITS = ['--ulimit', 'nofile=4096:4096', '--ulimit', 'nproc=4096:4096'];

/** Images of one folder, apart from the ones of this machine: built with buildah, run with podman. */
export class ImageStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Flags of podman and buildah that name this store. */
  get flags(): readonly string[] {
    const at = (name: string): string => join(this.#folder, name);
    return ['--root', at('storage'), '--runroot', at('run'), '--storage-driver', 'overlay'];
  }

  /** Flags of `podman run` on a machine where limits cannot be raised. */
  get limits(): readonly string[] {
    return LIMITS;
  }

  nameOf(service: ServiceName): string {
    return `localhost/talkmesh/${service}:proof`;
  }

  /** Runs podman on this store. @returns its output */
  podman(args: readonly string[]): Promise<string> {
    return runProgram('podman', [...this.flags, '--cgroup-manager', 'cgroupfs', '--runtime', 'runc', ...args]);
  }

  /** Makes the base image from Debian packages and this machine's Node and npm, once. */
  async makeBase(): Promise<void> {
    if ((await this.podman(['images', '-q', BASE])).trim() !== '') return;
    const tar = join(this.#folder, 'base.tar');
    if (!existsSync(tar)) await makeRootFileSystem(tar);
    await this.#writePolicy();
    const settings = [
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      `NODE_EXTRA_CA_CERTS=${CERTIFICATES}`,
    ].flatMap((setting) => ['--change', `ENV ${setting}`]);
    await this.podman(['import', '--signature-policy', this.#policy, ...settings, tar, BASE]);
  }

  /** Builds the image of a service. @param args further build arguments, as NAME=value */
  async buildService(service: ServiceName, args: readonly string[] = []): Promise<void> {
    await this.build('Dockerfile', this.nameOf(service), [`SERVICE=${service}`, ...args]);
  }

  /** Builds a Dockerfile of deploy/docker on the base image. @param args build arguments, as NAME=value */
  build(file: string, tag: string, args: readonly string[]): Promise<void> {
    return this.buildIn(ROOT, join(ROOT, 'deploy/docker', file), tag, args);
  }

  /** Builds any Dockerfile on the base image. @param context folder whose files it copies @param args build arguments, as NAME=value */
  async buildIn(context: string, file: string, tag: string, args: readonly string[] = []): Promise<void> {
    await this.#writePolicy();
    await runProgram('buildah', [
      ...this.flags,
      ...['bud', '--layers', '--format', 'docker', '--signature-policy', this.#policy],
      // Chroot isolation needs no cgroups and no network of its own, so it runs inside containers too.
      ...['--isolation', 'chroot', '--network', 'host', '--pull-never', ...LIMITS],
      ...[`BASE=${BASE}`, ...args].flatMap((setting) => ['--build-arg', setting]),
      ...['-f', file, '-t', tag, context],
    ]);
  }

  /** Writes images into one archive, uncompressed, with equal layers once. @param names of images, which are their names there too */
  async saveTo(file: string, names: readonly string[]): Promise<void> {
    await rm(file, { force: true });
    await this.podman(['save', '--quiet', '--multi-image-archive', '--format', 'docker-archive', '-o', file, ...names]);
  }

  /** Identifiers of images, which change with their content. */
  async identify(names: readonly string[]): Promise<string[]> {
    return (await this.podman(['image', 'inspect', '--format', '{{.Id}}', ...names])).trim().split('\n');
  }

  /** What podman knows of an image: size, user, health check, entry point. */
  async inspect(service: ServiceName): Promise<ImageFacts> {
    const [facts] = JSON.parse(await this.podman(['image', 'inspect', this.nameOf(service)])) as [ImageFacts];
    return facts;
  }

  get #policy(): string {
    return join(this.#folder, 'policy.json');
  }

  /** Debian's podman has no default policy without recommended packages. */
  async #writePolicy(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await writeFile(this.#policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
  }
}

export interface ImageFacts {
  readonly Size: number;
  readonly Config: {
    readonly User: string;
    readonly Entrypoint: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
  };
  readonly Healthcheck?: { readonly Test: readonly string[] };
}

/** Debian's smallest system with the Node and npm of this machine where the official image has them. */
async function makeRootFileSystem(tar: string): Promise<void> {
  const sources = SOURCES.find((path) => existsSync(path));
  if (sources === undefined) throw new Error(`No list of Debian sources at ${SOURCES.join(' or ')}: add one`);
  const npm = dirname(dirname((await runProgram('sh', ['-c', 'readlink -f "$(command -v npm)"'])).trim()));
  const unfinished = `${tar}.unfinished`;
  await mkdir(dirname(tar), { recursive: true });
  await rm(unfinished, { force: true });
  const hooks = [
    'mkdir -p "$1/usr/local/lib/node_modules"',
    `cp "${process.execPath}" "$1/usr/local/bin/node"`,
    `cp -r "${npm}" "$1/usr/local/lib/node_modules/npm"`,
    `cp "${CERTIFICATES}" "$1${CERTIFICATES}"`,
    'ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/local/bin/npm"',
    'ln -s ../lib/node_modules/npm/bin/npx-cli.js "$1/usr/local/bin/npx"',
  ].map((command) => `--customize-hook=${command}`);
  const leftOut = ['doc', 'man', 'locale'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  const options = ['--variant=minbase', '--mode=root', '--format=tar', '--include=ca-certificates'];
  await runProgram('mmdebstrap', [...options, ...leftOut, ...hooks, DEBIAN, unfinished, sources]);
  await rename(unfinished, tar);
}
