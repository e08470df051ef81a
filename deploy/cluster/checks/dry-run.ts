/** The API server's own opinion on every object of every profile: strict validation, defaults, admission, Pod Security. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SCALED_OBJECT } from '../definitions.js';
import { imageFlags } from '../image-names.js';
import type { Kubectl } from '../kubectl.js';
import { CHART, type Check, inNamespace, NAMESPACE, RELEASE } from './check.js';

const PROFILES = join(CHART, 'profiles');
/** Its definition is in no Go module; the types of test/deploy check these objects. */
const NOT_SERVED = 'ServiceMonitor';

/** The manifests of a profile of which the API server knows the kinds. @param flags further flags of helm */
export async function manifestsOf(kubectl: Kubectl, profile: string, flags: readonly string[] = []): Promise<string> {
  const values = ['--values', join(PROFILES, profile), ...imageFlags, ...flags];
  const all = await kubectl.helm('template', RELEASE, CHART, inNamespace, ...values);
  return all
    .split(/^---$/m)
    .filter((text) => !text.includes(`kind: ${NOT_SERVED}\n`))
    .join('---\n');
}

/** @returns names of the accepted objects @throws Error with what is refused, or with a warning */
export async function accept(kubectl: Kubectl, manifests: string): Promise<string[]> {
  const flags = ['--server-side', '--dry-run=server', '--validate=strict', '--warnings-as-errors', '--output=name'];
  return (await kubectl.pipe(manifests, 'apply', inNamespace, ...flags, '--filename=-')).trim().split('\n');
}

export const dryRuns: readonly Check[] = readdirSync(PROFILES).map((profile) => ({
  name: `${profile} is accepted under Pod Security restricted, without a warning`,
  async run(kubectl) {
    const accepted = await accept(kubectl, await manifestsOf(kubectl, profile));
    return `${accepted.length} objects`;
  },
}));

/** The namespace as docs/kubernetes.md tells to prepare it. Warnings show what is refused only when pods are made. */
const namespace = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: NAMESPACE,
    labels: {
      'pod-security.kubernetes.io/enforce': 'restricted',
      'pod-security.kubernetes.io/warn': 'restricted',
    },
  },
};

/** A controller would make it; without it pods are refused. */
const serviceAccount = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name: 'default', namespace: NAMESPACE },
};

/** Makes the namespace and the definitions of other projects. */
export async function prepare(kubectl: Kubectl): Promise<void> {
  await kubectl.apply(namespace, serviceAccount);
  // Too large for the annotation of a client-side apply.
  await kubectl.kubectl('apply', '--server-side', '--filename', SCALED_OBJECT);
  const definition = 'customresourcedefinition/scaledobjects.keda.sh';
  await kubectl.kubectl('wait', '--for=condition=Established', definition, '--timeout=60s');
}
