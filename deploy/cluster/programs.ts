/** The programs of Kubernetes and of its node, built by Go from the modules in this folder. */
import { join } from 'node:path';
import { GoModules } from './go-modules.js';

const KUBERNETES = 'v1.37.2';

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
  'kube-router': { 'kube-router': 'github.com/cloudnativelabs/kube-router/v2/cmd/kube-router' },
  nats: { 'nats-server': 'github.com/nats-io/nats-server/v2' },
} as const;

type Module = keyof typeof PACKAGES;
export type Program = { [M in Module]: keyof (typeof PACKAGES)[M] }[Module] & string;

/** Without these a Kubernetes built by `go build` calls itself v0.0.0. */
const KUBERNETES_FLAGS = {
  gitVersion: KUBERNETES,
  gitMajor: KUBERNETES.slice(1).split('.')[0],
  gitMinor: KUBERNETES.split('.')[1],
  gitTreeState: 'clean',
  gitCommit: '0'.repeat(40),
  buildDate: '1970-01-01T00:00:00Z',
};
const linkerFlags = (module: string): string =>
  module === 'kubernetes'
    ? `-s -w ${Object.entries(KUBERNETES_FLAGS)
        .map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
        .join(' ')}`
    : '-s -w';

const modules = new GoModules<Program>({
  name: 'cluster',
  modules: join(import.meta.dirname, 'modules'),
  packages: PACKAGES,
  linkerFlags,
});

export const CACHE = modules.cache;
/** What the checks without a node need. */
export const API_SERVER_PROGRAMS: readonly Program[] = ['etcd', 'kube-apiserver'];
export const ALL_PROGRAMS = modules.programs;

export const pathOf = (program: Program): string => modules.pathOf(program);
export const missingOf = (programs: readonly Program[]): Program[] => modules.missingOf(programs);

/** Builds what is missing. @throws Error with Go's output */
export async function buildPrograms(say: (line: string) => void): Promise<void> {
  const missing = missingOf(ALL_PROGRAMS);
  if (missing.length === 0) return;
  say(
    `building ${missing.length} programs of Kubernetes with Go into ${CACHE}: 25 to 90 minutes on two cores, about 10 GB of Go's caches, once`,
  );
  await modules.buildMissing(say);
}
