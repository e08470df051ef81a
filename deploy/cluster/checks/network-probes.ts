/** Connections between the pods as they run: those of libs/contracts/src/pipeline.ts must be made, all others must fail. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PIPELINE, SERVICES, type ServiceName } from '@talkmesh/contracts';
import { REGISTRY, TAG } from '../image-names.js';
import { NODE_IP } from '../node/control-plane.js';
import { type Installation, inNamespace, NAMESPACE, type NodeCheck, nameOf, RELEASE, selectorOf } from './check.js';

const TIMEOUT_MS = 1500;
const API_SERVER = 'the API server';
/** Rules follow a new pod by a few seconds. */
const SETTLE_MS = 30_000;

interface Target {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

type Source = ServiceName | 'nats' | 'test' | 'stranger';

/** Whether `source` may open a connection to a port of `target`, as the pipeline table says. */
function isAllowed(source: Source, target: string, port: number): boolean {
  // Without networkPolicy.clients the gateway is open to all who may leave their own pod.
  if (target === 'gateway' && port !== 9091) return source === 'test' || source === 'stranger';
  if (target === API_SERVER) return source === 'stranger';
  if (target === 'nats') return port === 4222 && (SERVICES as readonly string[]).includes(source);
  if (port !== 9090) return false;
  return (SERVICES as readonly string[]).includes(source)
    ? PIPELINE[source as ServiceName].calls.includes(target as ServiceName)
    : false;
}

/** Tries every target at once. Runs in a pod, where only Node is certain to be. */
const script = (targets: readonly Target[]): string => `
const { connect } = require('node:net');
const attempt = ({ host, port }) => new Promise((resolve) => {
  const socket = connect({ host, port, timeout: ${TIMEOUT_MS} });
  const end = (answer) => { socket.destroy(); resolve(answer); };
  socket.once('connect', () => end(true)).once('error', () => end(false)).once('timeout', () => end(false));
});
Promise.all(${JSON.stringify(targets)}.map(attempt)).then((all) => console.log(JSON.stringify(all)));`;

export const networkProbes: NodeCheck = {
  name: 'NetworkPolicies let through what the pipeline table names, and nothing else',
  async run(installation) {
    const { kubectl } = installation;
    await kubectl.apply(probePod('test'), probePod('stranger'));
    try {
      const own = ['test', 'stranger'].map((name) => `pod/probe-${name}`);
      await kubectl.kubectl('wait', inNamespace, '--for=condition=Ready', ...own, '--timeout=60s');
      const all = await targetsOf(installation);
      const sources: readonly Source[] = [...SERVICES, 'nats', 'test', 'stranger'];
      let [allowed, refused] = [0, 0];
      for (const source of sources) {
        // A connection of a pod to itself does not leave it.
        const targets = all.filter(({ name }) => name !== source);
        const expected = targets.map(({ name, port }) => isAllowed(source, name, port));
        const pod = await podOf(installation, source);
        await settled(async () => {
          const output = await kubectl.kubectl('exec', inNamespace, pod, '--', 'node', '-e', script(targets));
          const reached = JSON.parse(output) as boolean[];
          const wrong = targets.filter((_, i) => reached[i] !== expected[i]);
          return wrong.map(
            ({ name, port }) =>
              `${source} ${isAllowed(source, name, port) ? 'does not reach' : 'reaches'} ${name}:${port}`,
          );
        });
        allowed += expected.filter((value) => value).length;
        refused += expected.filter((value) => !value).length;
      }
      return `${allowed} connections made, ${refused} refused`;
    } finally {
      await kubectl.kubectl('delete', 'pod', inNamespace, 'probe-test', 'probe-stranger', '--now');
    }
  },
};

/** @throws Error with the last list of faults when there are still some after SETTLE_MS */
async function settled(faultsOf: () => Promise<string[]>): Promise<void> {
  let faults = ['was never tried'];
  for (const end = Date.now() + SETTLE_MS; Date.now() < end; await sleep(1000)) {
    faults = await faultsOf();
    if (faults.length === 0) return;
  }
  throw new Error(faults.join('; '));
}

async function targetsOf({ kubectl }: Installation): Promise<Target[]> {
  const addressOf = async (component: string): Promise<string> => {
    const { items } = await kubectl.get('pods', inNamespace, selectorOf(component));
    return items.find((pod: { status: { phase: string } }) => pod.status.phase === 'Running').status.podIP;
  };
  const targets: Target[] = [{ name: API_SERVER, host: NODE_IP, port: 6443 }];
  for (const name of [...SERVICES, 'nats']) {
    const host = await addressOf(name);
    const ports = name === 'nats' ? [4222, 8222] : name === 'gateway' ? [8080, 9090, 9091] : [9090, 9091];
    targets.push(...ports.map((port) => ({ name, host, port })));
  }
  return targets;
}

async function podOf({ kubectl }: Installation, source: Source): Promise<string> {
  if (source === 'test' || source === 'stranger') return `probe-${source}`;
  const { items } = await kubectl.get('pods', inNamespace, selectorOf(source));
  return items.find((pod: { status: { phase: string } }) => pod.status.phase === 'Running').metadata.name;
}

/** A pod with the labels of the chart's test, or with those of no part of the release. */
const probePod = (name: 'test' | 'stranger'): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: `probe-${name}`,
    namespace: NAMESPACE,
    labels:
      name === 'test'
        ? {
            'app.kubernetes.io/name': 'talkmesh',
            'app.kubernetes.io/instance': RELEASE,
            'app.kubernetes.io/component': 'test',
          }
        : { app: nameOf('stranger') },
  },
  spec: {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 0,
    securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'probe',
        image: `${REGISTRY}/talkmesh/gateway:${TAG}`,
        imagePullPolicy: 'Never',
        command: ['sleep', 'infinity'],
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
  },
});
