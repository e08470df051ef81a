/** Who reaches whom through the NetworkPolicies: connections tried from inside the pods, against what the pipeline says. */
import { PIPELINE, SERVICES, type ServiceName } from '@talkmesh/contracts';
import { runProgram } from '../../docker/proof/program.js';
import { imageOf } from '../image-names.js';
import type { Kubectl } from '../kubectl.js';
import { type Check, inNamespace, NAMESPACE, nameOf, RELEASE, selectorOf } from './check.js';

const CONNECT_MS = 3000;
const IMPOSTOR_NAMESPACE = 'default';
/** Of another namespace, where no policy holds it back, with the labels of the gateway, which in its own namespace open every door. */
const IMPOSTOR = 'impostor';
const NATS = 'nats';
const PARTIES = [...SERVICES, NATS, IMPOSTOR] as const;
type Party = (typeof PARTIES)[number];

interface Target {
  readonly party: ServiceName | typeof NATS | 'kube-apiserver';
  readonly host: string;
  readonly port: number;
  /** Whether a pod may connect to it. */
  readonly admits: (from: Party) => boolean;
}

const isService = (party: Party): party is ServiceName => party !== NATS && party !== IMPOSTOR;
const calls = (from: Party, to: ServiceName): boolean => isService(from) && PIPELINE[from].calls.includes(to);

/** Every port of the release, and the API server, which no pod of it needs. */
async function targetsOf(kubectl: Kubectl): Promise<Target[]> {
  const services = SERVICES.map(async (party) => {
    const host = await addressOf(kubectl, party);
    // The profile names no clients, so every pod that is not of the release may call the gateway.
    const isOpen = (from: Party): boolean => party === 'gateway' && from === IMPOSTOR;
    return [
      { party, host, port: 9090, admits: (from: Party) => calls(from, party) || isOpen(from) },
      { party, host, port: 9091, admits: () => false },
      ...(party === 'gateway' ? [{ party, host, port: 8080, admits: isOpen }] : []),
    ];
  });
  const nats = await addressOf(kubectl, NATS);
  const { spec } = await kubectl.get('service', 'kubernetes', '--namespace=default');
  return [
    ...(await Promise.all(services)).flat(),
    { party: NATS, host: nats, port: 4222, admits: isService },
    { party: NATS, host: nats, port: 8222, admits: () => false },
    { party: 'kube-apiserver', host: spec.clusterIP, port: 443, admits: (from) => from === IMPOSTOR },
  ];
}

async function addressOf(kubectl: Kubectl, component: ServiceName | typeof NATS): Promise<string> {
  const { items } = await kubectl.get('pods', inNamespace, selectorOf(component));
  return items[0].status.podIP;
}

/** Runs in a pod or here: tries every address, and asks for the name. Its last argument is JSON of a Question; it prints JSON of an Answer. */
const PROBE = `
const { hosts, name, timeoutMs } = JSON.parse(process.argv.at(-1));
const reaches = ([host, port]) => new Promise((resolve) => {
  const socket = require('node:net').connect({ host, port, timeout: timeoutMs });
  const settle = (reached) => () => resolve(socket.destroy() && reached);
  socket.once('connect', settle(true)).once('error', settle(false)).once('timeout', settle(false));
});
const resolves = require('node:dns').promises.lookup(name).then(() => true, () => false);
Promise.all([Promise.all(hosts.map(reaches)), resolves]).then(([reached, resolved]) => console.log(JSON.stringify({ reached, resolved })));
`;
interface Answer {
  /** In the order of the question. */
  readonly reached: readonly boolean[];
  readonly resolved: boolean;
}

const questionOf = (targets: readonly Target[]): string =>
  JSON.stringify({
    hosts: targets.map(({ host, port }) => [host, port]),
    name: `${nameOf('gateway')}.${NAMESPACE}.svc.cluster.local`,
    timeoutMs: CONNECT_MS,
  });

async function askFrom(kubectl: Kubectl, party: Party, targets: readonly Target[]): Promise<Answer> {
  const pod =
    party === IMPOSTOR
      ? [`--namespace=${IMPOSTOR_NAMESPACE}`, IMPOSTOR]
      : [inNamespace, `${party === NATS ? 'statefulset' : 'deployment'}/${nameOf(party)}`];
  return JSON.parse(await kubectl.kubectl('exec', ...pod, '--', 'node', '-e', PROBE, questionOf(targets)));
}

/** Every address answers here, where no policy holds: what a pod does not reach was refused by a policy. */
async function requireAllToListen(targets: readonly Target[]): Promise<void> {
  const { reached }: Answer = JSON.parse(await runProgram(process.execPath, ['-e', PROBE, questionOf(targets)]));
  const silent = targets.filter((_, index) => !reached[index]);
  if (silent.length > 0) throw new Error(`not even the node reaches ${silent.map(labelOf).join(', ')}`);
}
const labelOf = ({ party, port }: Target): string => `${party}:${port}`;

async function startImpostor(kubectl: Kubectl): Promise<void> {
  const labels = { name: 'talkmesh', instance: RELEASE, component: 'gateway' };
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: IMPOSTOR,
      namespace: IMPOSTOR_NAMESPACE,
      labels: Object.fromEntries(Object.entries(labels).map(([key, value]) => [`app.kubernetes.io/${key}`, value])),
    },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      containers: [
        { name: IMPOSTOR, image: imageOf('gateway'), imagePullPolicy: 'Never', command: ['sleep', 'infinity'] },
      ],
    },
  });
  const isReady = ['--for=condition=Ready', '--timeout=60s'];
  await kubectl.kubectl('wait', `--namespace=${IMPOSTOR_NAMESPACE}`, `pod/${IMPOSTOR}`, ...isReady);
}

interface Findings {
  readonly allowed: number;
  readonly refused: number;
  /** What is other than the pipeline says. */
  readonly wrong: readonly string[];
}

async function findingsOf(kubectl: Kubectl, from: Party, all: readonly Target[]): Promise<Findings> {
  // No policy holds between a pod and itself.
  const targets = all.filter(({ party }) => party !== from);
  const { reached, resolved } = await askFrom(kubectl, from, targets);
  const wrong = targets
    .filter(({ admits }, index) => admits(from) !== reached[index])
    .map((target) => `${from} ${target.admits(from) ? 'does not reach' : 'reaches'} ${labelOf(target)}`);
  if (!resolved) wrong.push(`${from} gets no answer from DNS`);
  const allowed = reached.filter((isReached) => isReached).length;
  return { allowed, refused: targets.length - allowed, wrong };
}

export const policies: Check = {
  name: 'every pod reaches what the pipeline says and nothing else',
  async run(kubectl) {
    await startImpostor(kubectl);
    try {
      const targets = await targetsOf(kubectl);
      await requireAllToListen(targets);
      const found = await Promise.all(PARTIES.map((from) => findingsOf(kubectl, from, targets)));
      const wrong = found.flatMap(({ wrong }) => wrong);
      const allowed = found.reduce((sum, { allowed }) => sum + allowed, 0);
      const refused = found.reduce((sum, { refused }) => sum + refused, 0);
      if (wrong.length > 0) throw new Error(wrong.join('\n'));
      return `${allowed} connections made and ${refused} refused, from each service, NATS and a pod of another namespace with the gateway's labels`;
    } finally {
      await kubectl.kubectl('delete', 'pod', `--namespace=${IMPOSTOR_NAMESPACE}`, IMPOSTOR);
    }
  },
};
