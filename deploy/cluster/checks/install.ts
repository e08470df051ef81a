/** Install, the chart's own test, and uninstall. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { imageFlags } from '../image-names.js';
import { CHART, type Check, inNamespace, RELEASE, timed } from './check.js';

const KINDS = [
  'pods,deployments,replicasets,statefulsets,controllerrevisions,services,endpointslices,configmaps,secrets',
  'networkpolicies,poddisruptionbudgets,jobs,serviceaccounts,roles,rolebindings,persistentvolumeclaims',
].join();
/** A slow machine does not replay all chunks of a moved session in the default time; then its frames differ from those of an undisturbed call. */
const REPLAY_ALL = ['score-model', 'vae-decode'].map(
  (service) => `--set=services.${service}.config.replayBudgetMs=5000`,
);
/** What every namespace has. */
const OF_NAMESPACE = new Set(['configmap/kube-root-ca.crt', 'serviceaccount/default']);
/** The kubelet and the garbage collector work after helm has returned. */
const REMOVAL_MS = 120_000;

export const install: Check = {
  name: 'helm install --wait with the profile cpu-nano, under Pod Security restricted',
  isRequired: true,
  async run(kubectl) {
    const values = ['--values', join(CHART, 'profiles/cpu-nano.yaml'), ...imageFlags, ...REPLAY_ALL];
    const { seconds } = await timed(() =>
      kubectl.helm('install', RELEASE, CHART, inNamespace, ...values, '--wait', '--timeout=4m'),
    );
    const { items } = await kubectl.get('pods', inNamespace);
    return `${items.length} pods ready after ${seconds} s`;
  },
};

export const helmTest: Check = {
  name: 'helm test: a call through the mesh',
  async run(kubectl) {
    const { result, seconds } = await timed(() => kubectl.helm('test', RELEASE, inNamespace, '--logs'));
    const said = /The call is good: (.*)/.exec(result)?.[1];
    if (said === undefined) throw new Error(`helm test does not say that the call is good:\n${result}`);
    return `${said} (${seconds} s)`;
  },
};

export const uninstall: Check = {
  name: 'helm uninstall leaves nothing but the pod of helm test',
  async run(kubectl) {
    const objects = async (): Promise<string[]> =>
      (await kubectl.kubectl('get', KINDS, inNamespace, '--output=name'))
        .split('\n')
        .filter((name) => name !== '' && !OF_NAMESPACE.has(name));
    const before = (await objects()).length;
    const { seconds } = await timed(async () => {
      await kubectl.helm('uninstall', RELEASE, inNamespace, '--wait', '--timeout=4m');
      // Helm keeps the pod of a test, so that its log can be read.
      const test = ['--selector=app.kubernetes.io/component=test', '--ignore-not-found'];
      await kubectl.kubectl('delete', 'pod', inNamespace, ...test);
      for (const end = Date.now() + REMOVAL_MS; ; await sleep(500)) {
        const left = await objects();
        if (left.length === 0) return;
        if (Date.now() > end) throw new Error(`left: ${left.join(', ')}`);
      }
    });
    return `${before} objects gone after ${seconds} s`;
  },
};
