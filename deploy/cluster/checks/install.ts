/** Install, the chart's own test, and uninstall. */
import { join } from 'node:path';
import { imageFlags } from '../image-names.js';
import { CHART, type Check, inNamespace, NAMESPACE, RELEASE, timed } from './check.js';

const KINDS_LEFT = [
  'pods,deployments,statefulsets,services,endpointslices,configmaps,secrets,networkpolicies,poddisruptionbudgets,jobs',
  'serviceaccounts,roles,rolebindings,persistentvolumeclaims',
].join();
/** What every namespace has. */
const OF_NAMESPACE = new Set(['configmap/kube-root-ca.crt', 'serviceaccount/default']);
const POLL_SECONDS = 120;

export const install: Check = {
  name: 'helm install --wait with the profile cpu-nano',
  isRequired: true,
  async run({ kubectl }) {
    const values = ['--values', join(CHART, 'profiles/cpu-nano.yaml'), ...imageFlags];
    const { seconds } = await timed(() =>
      kubectl.helm('install', RELEASE, CHART, inNamespace, ...values, '--wait', '--timeout=5m'),
    );
    const { items } = await kubectl.get('pods', inNamespace);
    return `${items.length} pods ready after ${seconds} s`;
  },
};

export const helmTest: Check = {
  name: 'helm test: a call through the mesh',
  async run({ kubectl }) {
    const { result, seconds } = await timed(() => kubectl.helm('test', RELEASE, inNamespace, '--logs'));
    const said = /The call is good: (.*)/.exec(result)?.[1];
    if (said === undefined) throw new Error(`helm test does not say that the call is good:\n${result}`);
    return `${said} (${seconds} s)`;
  },
};

export const uninstall: Check = {
  name: 'helm uninstall leaves nothing but the pod of helm test',
  async run({ kubectl }) {
    const { seconds } = await timed(() => kubectl.helm('uninstall', RELEASE, inNamespace, '--wait', '--timeout=3m'));
    // Helm keeps what a test made, so that its log can be read.
    await kubectl.kubectl(
      'delete',
      'pod',
      inNamespace,
      '--selector=app.kubernetes.io/component=test',
      '--ignore-not-found',
    );
    const wait = ['wait', inNamespace, '--for=delete', 'pods', '--all', `--timeout=${POLL_SECONDS}s`];
    await kubectl.kubectl(...wait);
    const listed = await kubectl.kubectl('get', KINDS_LEFT, inNamespace, '--output=name');
    const left = listed.split('\n').filter((name) => name !== '' && !OF_NAMESPACE.has(name));
    if (left.length > 0) throw new Error(`left in namespace ${NAMESPACE}: ${left.join(', ')}`);
    return `after ${seconds} s`;
  },
};
