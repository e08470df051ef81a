/** Renders the chart with the real helm and reads the objects as Kubernetes does. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { globSync } from '../support/glob.js';
import { kubernetesTool } from '../support/kubernetes-tools.js';

export const CHART = 'deploy/helm/talkmesh';
export const PROFILES = globSync([`${CHART}/profiles`], /\.yaml$/);
export const RELEASES = ['talkmesh', 'n', 'on', '1', '1e5'] as const;

/** Values that turn on every object that the chart can make. */
export const EVERYTHING: readonly string[] = [
  'monitoring.serviceMonitor.enabled=true',
  'expose.ingress.enabled=true',
  'expose.ingress.tlsSecret=cert',
  'expose.ingress.host=talk.example.com',
  'expose.gatewayApi.enabled=true',
  'expose.gatewayApi.grpc=true',
  'expose.gatewayApi.path=/talk',
  'expose.gatewayApi.parentRefs[0].name=edge',
  'services.gateway.autoscaling.kind=hpa',
  'services.score-model.autoscaling.kind=keda',
  'services.vae-decode.autoscaling.kind=hpa',
  'services.webrtc-egress.shmSize=64Mi',
  'services.audio-llm-bridge.secretMounts.provider=provider-key',
  'model.source=download',
  'model.url=https://models.example.com/nano',
  `model.sha256=${'0'.repeat(64)}`,
  'recordings.claimName=recordings',
  'recordings.keySecret=recording-key',
  'media.mode=hostPort',
  'media.iceUrls[0]=turn:turn.example.com:3478',
  'media.iceUsername=talkmesh',
  'media.iceCredentialSecret=turn',
  'monitoring.rules.enabled=true',
  'monitoring.dashboards.enabled=true',
  'nats.replicas=3',
  'nats.tlsSecret=nats-tls',
  'grpc.tlsSecret=mesh-tls-{service}',
  'telemetry.otlpEndpoint=http://collector.monitoring:4318',
];

// biome-ignore lint/suspicious/noExplicitAny: objects of Kubernetes; object-types.ts checks their types
export type KubernetesObject = any;

export interface RenderOptions {
  readonly release?: string;
  readonly valuesFiles?: readonly string[];
  /** `path=value`, as for --set. */
  readonly set?: readonly string[];
}

const run = promisify(execFile);

/** @throws Error with helm's output as `stderr` */
export async function helm(...args: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'helm-'));
  const homes = ['HELM_CACHE_HOME', 'HELM_CONFIG_HOME', 'HELM_DATA_HOME'].map((name) => [name, folder]);
  // An address where no cluster answers: a test must not depend on one.
  const env = { ...process.env, ...Object.fromEntries(homes), KUBECONFIG: join(folder, 'none') };
  try {
    const { stdout } = await run(kubernetesTool('helm'), [...args], { env, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const flags = ({ valuesFiles = [], set = [] }: RenderOptions): string[] => [
  ...valuesFiles.map((file) => `--values=${file}`),
  // --set takes a fraction for a text.
  ...set.map((value) => `${/=\d+\.\d+$/.test(value) ? '--set-json' : '--set'}=${value}`),
];

export async function renderText(options: RenderOptions = {}): Promise<string> {
  return helm('template', options.release ?? 'talkmesh', CHART, '--namespace=talk', ...flags(options));
}

/** The rendered objects. Kubernetes reads YAML 1.1, where n, on and 1e5 without quotes are no texts. */
export async function render(options: RenderOptions = {}): Promise<KubernetesObject[]> {
  const documents = parseAllDocuments(await renderText(options), { version: '1.1', schema: 'yaml-1.1' });
  if (!Array.isArray(documents)) return [];
  for (const { errors } of documents) if (errors[0] !== undefined) throw errors[0];
  return documents.map((document) => document.toJS() as KubernetesObject).filter((object) => object !== null);
}

/** @returns what helm says when it refuses the values */
export async function refusal(options: RenderOptions): Promise<string> {
  try {
    await renderText(options);
  } catch (error) {
    return (error as { stderr: string }).stderr;
  }
  throw new Error(`helm accepts ${[...(options.set ?? [])].join(' ')}`);
}

export const ofKind = (objects: readonly KubernetesObject[], kind: string): KubernetesObject[] =>
  objects.filter((object) => object.kind === kind);

/** Pod templates of all workloads, and pods, each with the name of its object. */
export function podsOf(objects: readonly KubernetesObject[]): { name: string; pod: KubernetesObject }[] {
  return objects
    .filter((object) => ['Deployment', 'StatefulSet', 'Pod'].includes(object.kind))
    .map((object) => ({
      name: object.metadata.name,
      pod: object.kind === 'Pod' ? object : object.spec.template,
    }));
}

export const containersOf = (pod: KubernetesObject): KubernetesObject[] => [
  ...(pod.spec.initContainers ?? []),
  ...pod.spec.containers,
];
