/** Faults put into the rendered chart, which helm and its schema let through and only an API server refuses. */
import type { Check } from './check.js';
import { accept, manifestsOf } from './dry-run.js';

interface Fault {
  readonly what: string;
  readonly from: RegExp;
  readonly to: string;
  readonly refusal: RegExp;
}

const FAULTS: readonly Fault[] = [
  {
    what: 'a quantity without a unit that exists',
    from: /memory: 384Mi/,
    to: 'memory: 384Mb',
    refusal: /quantities must match/,
  },
  {
    what: 'a container that may gain privileges',
    from: /allowPrivilegeEscalation: false/,
    to: 'allowPrivilegeEscalation: true',
    refusal: /violate PodSecurity "restricted/,
  },
  {
    what: 'a misspelt field',
    from: /imagePullPolicy:/,
    to: 'imagePulPolicy:',
    refusal: /field not declared in schema|unknown field/,
  },
  {
    what: 'a request above its limit',
    from: /requests:\n\s+cpu: \S+\n\s+memory: \S+/,
    to: 'requests: {cpu: 100m, memory: 64Gi}',
    refusal: /must be less than or equal to memory limit/,
  },
];

export const refusals: readonly Check[] = FAULTS.map(({ what, from, to, refusal }) => ({
  name: `${what} is refused`,
  async run(kubectl) {
    const manifests = await manifestsOf(kubectl, 'cpu-nano.yaml');
    const faulty = manifests.replace(from, to);
    if (faulty === manifests) throw new Error(`the chart renders nothing like ${from}`);
    const message = await accept(kubectl, faulty).then(
      () => 'it was accepted',
      (error: Error) => error.message,
    );
    if (!refusal.test(message)) throw new Error(message);
    return (refusal.exec(message) as RegExpExecArray)[0];
  },
}));
