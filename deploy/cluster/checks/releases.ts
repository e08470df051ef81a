/** Releases as a cluster keeps them: installed, upgraded, rolled back and removed. Only an API server refuses a change of a field that must not change. */
import { join } from 'node:path';
import { SERVICES } from '@talkmesh/contracts';
import { imageFlags } from '../image-names.js';
import type { ClusterObject, Kubectl } from '../kubectl.js';
import { CHART, type Check, inNamespace, RELEASE } from './check.js';

/** Names that YAML 1.1 reads as numbers or truth values. */
const RELEASES = ['talkmesh', 'n', 'on', '1', '1e5'];
const KINDS = [
  ...['deployments', 'statefulsets', 'services', 'configmaps', 'secrets', 'networkpolicies', 'poddisruptionbudgets'],
  ...[
    'horizontalpodautoscalers',
    'ingresses',
    'jobs',
    'serviceaccounts',
    'roles',
    'rolebindings',
    'persistentvolumeclaims',
  ],
  'scaledobjects.keda.sh',
].join();
/** What the namespace has before the chart comes. */
const OWN = new Set(['serviceaccount/default', 'configmap/kube-root-ca.crt']);

const values = (profile: string, ...set: readonly string[]): string[] => [
  ...['--values', join(CHART, 'profiles', `${profile}.yaml`)],
  ...imageFlags,
  ...set.map((value) => `--set=${value}`),
];
const CPU_NANO = values('cpu-nano');
/** Each changes objects that the release before it made. */
const UPGRADES: Readonly<Record<string, readonly string[]>> = {
  'ports of the node': values('cpu-nano', 'media.mode=hostPort', 'expose.service.type=NodePort'),
  'three NATS servers and autoscaling': values('ha', 'monitoring.serviceMonitor.enabled=false'),
  'a NATS of your own': values('cpu-nano', 'nats.enabled=false', 'nats.url=nats://nats.example.com:4222'),
  GPUs: values('gpu'),
  'cpu-nano again': CPU_NANO,
};

/** Names of all objects of the namespace that are not its own. */
async function objectsIn(kubectl: Kubectl): Promise<string[]> {
  const names = await kubectl.kubectl('get', KINDS, inNamespace, '--output=name');
  return names.split('\n').filter((name) => name !== '' && !OWN.has(name));
}

/** Pod templates of all workloads, by name. */
async function podTemplates(kubectl: Kubectl): Promise<Record<string, unknown>> {
  const { items } = await kubectl.get('deployments,statefulsets', inNamespace);
  return Object.fromEntries(items.map((item: ClusterObject) => [item.metadata.name, item.spec.template]));
}

/** Content of the Secrets that the chart made, not of those in which helm keeps releases. */
async function secrets(kubectl: Kubectl): Promise<Record<string, unknown>> {
  const { items } = await kubectl.get('secrets', inNamespace, '--field-selector=type=Opaque');
  return Object.fromEntries(items.map((item: ClusterObject) => [item.metadata.name, item.data]));
}

const differs = (a: unknown, b: unknown): boolean => JSON.stringify(a) !== JSON.stringify(b);

async function uninstall(kubectl: Kubectl, release: string): Promise<void> {
  await kubectl.helm('uninstall', release, inNamespace);
  const left = await objectsIn(kubectl);
  if (left.length > 0) throw new Error(`left after helm uninstall ${release}: ${left.join(', ')}`);
}

const names: Check = {
  name: `releases named ${RELEASES.join(', ')} are installed, and removed without a rest`,
  async run(kubectl) {
    const counts: number[] = [];
    for (const release of RELEASES) {
      await kubectl.helm('install', release, CHART, inNamespace, ...CPU_NANO);
      counts.push((await objectsIn(kubectl)).length);
      await uninstall(kubectl, release);
    }
    return `${counts.join(', ')} objects`;
  },
};

const unchanged: Check = {
  name: 'an upgrade that changes nothing restarts no pod and keeps the generated secrets',
  async run(kubectl) {
    await kubectl.helm('install', RELEASE, CHART, inNamespace, ...CPU_NANO);
    const [pods, kept] = [await podTemplates(kubectl), await secrets(kubectl)];
    await kubectl.helm('upgrade', RELEASE, CHART, inNamespace, ...CPU_NANO);
    const after = await podTemplates(kubectl);
    const restarted = Object.keys(pods).filter((name) => differs(pods[name], after[name]));
    if (restarted.length > 0) throw new Error(`pods restart: ${restarted.join(', ')}`);
    if (differs(kept, await secrets(kubectl))) throw new Error('the secrets are new');
    if (Object.keys(pods).length !== SERVICES.length + 1) throw new Error(`workloads: ${Object.keys(pods).join(', ')}`);
    return `${Object.keys(pods).length} workloads, ${Object.keys(kept).length} secrets`;
  },
};

const rotated: Check = {
  name: 'a new API key restarts the gateway and nothing else',
  async run(kubectl) {
    const before = await podTemplates(kubectl);
    await kubectl.helm(
      'upgrade',
      RELEASE,
      CHART,
      inNamespace,
      ...CPU_NANO,
      '--set=auth.apiKeys={a-key-of-thirty-two-characters-01}',
    );
    const after = await podTemplates(kubectl);
    const restarted = Object.keys(before).filter((name) => differs(before[name], after[name]));
    if (restarted.join() !== `talkmesh-${RELEASE}-gateway`)
      throw new Error(`restarted: ${restarted.join(', ') || 'none'}`);
    return restarted.join();
  },
};

const upgrades: readonly Check[] = Object.entries(UPGRADES).map(([what, flags]) => ({
  name: `the release is upgraded to ${what}`,
  async run(kubectl) {
    const before = (await objectsIn(kubectl)).length;
    await kubectl.helm('upgrade', RELEASE, CHART, inNamespace, ...flags);
    return `${before} objects before, ${(await objectsIn(kubectl)).length} after, with those in which helm keeps its releases`;
  },
}));

const rollback: Check = {
  name: 'a rollback to the first release gives its objects, and uninstall leaves none',
  async run(kubectl) {
    const manifest = (revision: string): Promise<string> =>
      kubectl.helm('get', 'manifest', RELEASE, inNamespace, `--revision=${revision}`);
    await kubectl.helm('rollback', RELEASE, '1', inNamespace);
    const { version } = JSON.parse(await kubectl.helm('status', RELEASE, inNamespace, '--output=json')) as {
      version: number;
    };
    if ((await manifest(String(version))) !== (await manifest('1'))) throw new Error('the manifests differ');
    await uninstall(kubectl, RELEASE);
    return `revision ${version} is revision 1`;
  },
};

/** In order: they share one release. */
export const releases: readonly Check[] = [names, unchanged, rotated, ...upgrades, rollback];
