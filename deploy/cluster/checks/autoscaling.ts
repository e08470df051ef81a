/** The HorizontalPodAutoscaler of the chart scales by sessions. A stand-in for an adapter of custom metrics reads them from the pods. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runProgram } from '../../docker/proof/program.js';
import { disturbedCall, gatewayOf } from '../calls.js';
import type { ClusterObject, Kubectl } from '../kubectl.js';
import { NODE_IP } from '../node/control-plane.js';
import { CHART, type Check, inNamespace, NAMESPACE, nameOf, RELEASE, timed } from './check.js';
import { CALL_SECONDS, referenceFrames } from './rolled-calls.js';

const SERVICE = 'vae-decode';
const METRIC = 'talkmesh_sessions';
const GROUP = 'custom.metrics.k8s.io';
const VERSION = `${GROUP}/v1beta1`;
const ADAPTER = 'custom-metrics';
const AT_FRAME = 25;
const SCALE_MS = 120_000;
const SCRAPE_MS = 5000;
const POLL_MS = 500;
/** Several times as long as the autoscaler waits until it looks again. */
const STAYS_MS = 6000;

/** The custom metrics API, as far as an autoscaler asks it: what it offers, and one metric of the pods that labels select. */
async function answer(kubectl: Kubectl, url: URL): Promise<object | undefined> {
  if (url.pathname === `/apis/${VERSION}`) {
    const resource = { name: `pods/${METRIC}`, namespaced: true, kind: 'MetricValueList', verbs: ['get'] };
    return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: VERSION, resources: [resource] };
  }
  if (url.pathname !== `/apis/${VERSION}/namespaces/${NAMESPACE}/pods/*/${METRIC}`) return undefined;
  const selector = url.searchParams.get('labelSelector') ?? '';
  const { items: pods } = await kubectl.get('pods', inNamespace, `--selector=${selector}`);
  const ready = pods.filter(({ status }: ClusterObject) => status.containerStatuses?.[0]?.ready);
  const items = await Promise.all(ready.map(sessionsOf));
  return { kind: 'MetricValueList', apiVersion: VERSION, metadata: {}, items };
}

async function sessionsOf({ metadata, status }: ClusterObject): Promise<object> {
  const response = await fetch(`http://${status.podIP}:9091/metrics`, { signal: AbortSignal.timeout(SCRAPE_MS) });
  const value = new RegExp(`^${METRIC}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(await response.text())?.[1];
  if (value === undefined) throw new Error(`${metadata.name} has no metric ${METRIC}`);
  const describedObject = { kind: 'Pod', namespace: NAMESPACE, name: metadata.name, apiVersion: '/v1' };
  return { describedObject, metricName: METRIC, timestamp: new Date().toISOString(), value };
}

async function startAdapter(kubectl: Kubectl): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'custom-metrics-'));
  const [key, cert] = [join(folder, 'key'), join(folder, 'cert')];
  const kind = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=adapter',
  ];
  await runProgram('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', cert]);
  const server = createServer({ key: await readFile(key), cert: await readFile(cert) }, (request, response) => {
    answer(kubectl, new URL(decodeURIComponent(request.url ?? '/'), 'https://adapter')).then(
      (found) => {
        response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(found ?? {}));
      },
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
  server.listen(0, NODE_IP);
  await once(server, 'listening');
  await rm(folder, { recursive: true });
  return server;
}

/** What makes the API server pass questions on to the adapter. */
const registration = (port: number): readonly object[] => [
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: ADAPTER, namespace: 'default' },
    spec: { ports: [{ name: 'https', port: 443, targetPort: port }] },
  },
  {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: ADAPTER, namespace: 'default', labels: { 'kubernetes.io/service-name': ADAPTER } },
    addressType: 'IPv4',
    ports: [{ name: 'https', port, protocol: 'TCP' }],
    endpoints: [{ addresses: [NODE_IP], conditions: { ready: true } }],
  },
  {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: `v1beta1.${GROUP}` },
    spec: {
      group: GROUP,
      version: 'v1beta1',
      service: { name: ADAPTER, namespace: 'default', port: 443 },
      insecureSkipTLSVerify: true,
      groupPriorityMinimum: 100,
      versionPriority: 100,
    },
  },
];

/** Waits until the autoscaler has set the number of pods, and they are ready. */
async function scaledTo(kubectl: Kubectl, replicas: number, withinMs = SCALE_MS): Promise<void> {
  for (const end = Date.now() + withinMs; ; await sleep(POLL_MS)) {
    const { status } = await kubectl.get('deployment', nameOf(SERVICE), inNamespace);
    if (status.replicas === replicas && status.readyReplicas === replicas) return;
    if (Date.now() > end) {
      const { status } = await kubectl.get('horizontalpodautoscaler', nameOf(SERVICE), inNamespace);
      throw new Error(`not ${replicas} pods after ${withinMs / 1000} s: ${JSON.stringify(status)}`);
    }
  }
}

export const autoscaling: Check = {
  name: `the autoscaler adds a ${SERVICE} pod for a call that fills the only one, and removes it afterwards`,
  async run(kubectl) {
    const expected = await referenceFrames(await gatewayOf(kubectl));
    const adapter = await startAdapter(kubectl);
    const api = registration((adapter.address() as AddressInfo).port);
    try {
      await kubectl.apply(...api);
      await kubectl.kubectl('wait', '--for=condition=Available', `apiservice/v1beta1.${GROUP}`, '--timeout=60s');
      const scaling = `services.${SERVICE}.autoscaling`;
      const values = [`${scaling}.kind=hpa`, `${scaling}.minReplicas=1`, `${scaling}.maxReplicas=2`];
      const set = [...values, `${scaling}.scaleDownSeconds=0`, `services.${SERVICE}.config.capacity=1`];
      const flags = ['--reuse-values', ...set.map((value) => `--set=${value}`), '--wait', '--timeout=4m'];
      await kubectl.helm('upgrade', RELEASE, CHART, inNamespace, ...flags);
      const { frames, framesSha256, result } = await disturbedCall(await gatewayOf(kubectl), {
        seconds: CALL_SECONDS,
        atFrame: AT_FRAME,
        event: async () => {
          const { seconds } = await timed(() => scaledTo(kubectl, 2));
          await sleep(STAYS_MS);
          await scaledTo(kubectl, 2, 0);
          return seconds;
        },
      });
      if (framesSha256 !== expected) throw new Error('the frames differ from those of an undisturbed call');
      const { seconds } = await timed(() => scaledTo(kubectl, 1));
      return `a second pod ready ${result} s after its first second, kept while the call of ${frames} frames lasted, gone ${seconds} s after it`;
    } finally {
      await kubectl.helm('rollback', RELEASE, '1', inNamespace, '--wait', '--timeout=4m');
      await kubectl.pipe(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: api }), 'delete', '--filename=-');
      adapter.closeAllConnections();
      adapter.close();
    }
  },
};
