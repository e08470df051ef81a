/** The API server's own opinion on every object of every profile: strict validation, defaults, admission, Pod Security. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SCALED_OBJECT } from '../definitions.js';
import { imageFlags } from '../image-names.js';
import { CHART, type Check, inNamespace, NAMESPACE, RELEASE } from './check.js';

const PROFILES = join(CHART, 'profiles');

/** Its definition is in no Go module; the types of test/deploy check these objects. */
const NOT_SERVED = 'ServiceMonitor';

export const dryRun: Check = {
  name: 'the API server accepts every profile under Pod Security restricted, without a warning',
  async run({ kubectl }) {
    // Too large for the annotation of a client-side apply.
    await kubectl.kubectl('apply', '--server-side', '--filename', SCALED_OBJECT);
    const definition = 'customresourcedefinition/scaledobjects.keda.sh';
    await kubectl.kubectl('wait', '--for=condition=Established', definition, '--timeout=30s');
    const counts: string[] = [];
    for (const file of readdirSync(PROFILES)) {
      const values = ['--values', join(PROFILES, file), ...imageFlags];
      const manifests = await kubectl.helm('template', RELEASE, CHART, inNamespace, ...values);
      const asked = manifests.split(/^---$/m).filter((text) => !text.includes(`kind: ${NOT_SERVED}\n`));
      const flags = ['--server-side', '--dry-run=server', '--validate=strict', '--warnings-as-errors', '--output=name'];
      const accepted = await kubectl.pipe(asked.join('---\n'), 'apply', inNamespace, ...flags, '--filename=-');
      counts.push(`${file.replace('.yaml', '')} ${accepted.trim().split('\n').length}`);
    }
    return `objects: ${counts.join(', ')}; not asked about ${NOT_SERVED}`;
  },
};

/** The namespace as docs/kubernetes.md tells to prepare it. Warnings show what is refused only when pods are made. */
export const namespace = {
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
