/** The programs of Kubernetes and of its node, built by Go from the modules in this folder, once for each machine. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../docker/proof/program.js';

export const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'talkmesh', 'cluster');
const MODULES = join(import.meta.dirname, 'modules');
const KUBERNETES = 'v1.37.2';
const BUILD_MS = 90 * 60_000;

/** Go packages of the programs, by module. */
const PACKAGES = {
  etcd: { etcd: 'go.etcd.io/etcd/server/v3' },
  kubernetes: {
    'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
    'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
    'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
    kubelet: 'k8s.io/kubernetes/cmd/kubelet',
    'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
  },
  containerd: {
    containerd: 'github.com/containerd/containerd/v2/cmd/containerd',
    'containerd-shim-runc-v2': 'github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2',
    ctr: 'github.com/containerd/containerd/v2/cmd/ctr',
  },
  coredns: { coredns: '.' },
  nats: { 'nats-server': 'github.com/nats-io/nats-server/v2' },
} as const;

type Module = keyof typeof PACKAGES;
export type Program = { [M in Module]: keyof (typeof PACKAGES)[M] }[Module] & string;

const moduleOf = new Map<string, Module>(
  Object.entries(PACKAGES).flatMap(([module, programs]) =>
    Object.keys(programs).map((program) => [program, module as Module] as const),
  ),
);

/** Without these a Kubernetes built by `go build` calls itself v0.0.0. */
const KUBERNETES_FLAGS = {
  gitVersion: KUBERNETES,
  gitMajor: KUBERNETES.slice(1).split('.')[0],
  gitMinor: KUBERNETES.split('.')[1],
  gitTreeState: 'clean',
  gitCommit: '0'.repeat(40),
  buildDate: '1970-01-01T00:00:00Z',
};
const linkerFlags = (module: Module): string =>
  module === 'kubernetes'
    ? `-s -w ${Object.entries(KUBERNETES_FLAGS)
        .map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
        .join(' ')}`
    : '-s -w';

/** Absolute path of a program, whether or not it was built: a change of its module's versions changes the path. */
export function pathOf(program: Program): string {
  const module = moduleOf.get(program) as Module;
  const content = readdirSync(join(MODULES, module)).map((name) => readFileSync(join(MODULES, module, name)));
  const hash = createHash('sha256').update(linkerFlags(module));
  for (const bytes of content) hash.update(bytes);
  return join(CACHE, 'bin', `${module}-${hash.digest('hex').slice(0, 12)}`, program);
}

/** What the checks without a node need. */
export const API_SERVER_PROGRAMS: readonly Program[] = ['etcd', 'kube-apiserver'];
export const ALL_PROGRAMS = [...moduleOf.keys()] as readonly Program[];

/** Those of the programs that are not built yet. */
export const missingOf = (programs: readonly Program[]): Program[] =>
  programs.filter((program) => !existsSync(pathOf(program)));

/** Builds what is missing. @throws Error with Go's output */
export async function buildPrograms(say: (line: string) => void): Promise<void> {
  const missing = missingOf(ALL_PROGRAMS);
  if (missing.length === 0) return;
  say(
    `building ${missing.length} programs of Kubernetes with Go into ${CACHE}: 25 to 90 minutes on two cores, about 10 GB of Go's caches, once`,
  );
  for (const program of missing) {
    const begin = performance.now();
    await buildProgram(program);
    say(`  ${program} after ${Math.round((performance.now() - begin) / 1000)} s`);
  }
}

async function buildProgram(program: Program): Promise<void> {
  const module = moduleOf.get(program) as Module;
  const target = pathOf(program);
  // Go may add lines to go.sum, so it works on a copy.
  const work = join(CACHE, 'modules', `${module}-${process.pid}`);
  await mkdir(join(CACHE, 'modules'), { recursive: true });
  await cp(join(MODULES, module), work, { recursive: true });
  const unfinished = `${target}.unfinished`;
  try {
    const source = (PACKAGES[module] as Readonly<Record<string, string>>)[program] as string;
    const flags = ['-C', work, '-mod=mod', '-trimpath', '-buildvcs=false', '-ldflags', linkerFlags(module)];
    await runProgram('go', ['build', ...flags, '-o', unfinished, source], {
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '' },
      timeoutMs: BUILD_MS,
    });
    await rename(unfinished, target);
  } catch (cause) {
    throw new Error(`${program} could not be built: it needs Go 1.26.6 or newer and its module proxy`, { cause });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
