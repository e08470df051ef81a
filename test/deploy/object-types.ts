/**
 * Checks rendered objects against the types of the Kubernetes API and of the CRDs. The TypeScript compiler refuses unknown fields and wrong
 * types in literals; the packages' own validators add patterns and enumerations.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { KubernetesObject } from './chart.js';

interface ObjectType {
  readonly module: string;
  /** Where the package has only an older version of the same fields. */
  readonly checkedAs?: string;
}

const TYPES: Readonly<Record<string, ObjectType>> = {
  'v1 ConfigMap': { module: 'kubernetes-models/v1/ConfigMap' },
  'v1 Pod': { module: 'kubernetes-models/v1/Pod' },
  'v1 Secret': { module: 'kubernetes-models/v1/Secret' },
  'v1 Service': { module: 'kubernetes-models/v1/Service' },
  'apps/v1 Deployment': { module: 'kubernetes-models/apps/v1/Deployment' },
  'apps/v1 StatefulSet': { module: 'kubernetes-models/apps/v1/StatefulSet' },
  'policy/v1 PodDisruptionBudget': { module: 'kubernetes-models/policy/v1/PodDisruptionBudget' },
  'networking.k8s.io/v1 NetworkPolicy': { module: 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy' },
  'networking.k8s.io/v1 Ingress': { module: 'kubernetes-models/networking.k8s.io/v1/Ingress' },
  'autoscaling/v2 HorizontalPodAutoscaler': { module: 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler' },
  'keda.sh/v1alpha1 ScaledObject': { module: '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject' },
  'monitoring.coreos.com/v1 ServiceMonitor': {
    module: '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor',
  },
  'monitoring.coreos.com/v1 PrometheusRule': {
    module: '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule',
  },
  'gateway.networking.k8s.io/v1 HTTPRoute': {
    module: '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute',
  },
  'gateway.networking.k8s.io/v1 GRPCRoute': {
    module: '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1alpha2/GRPCRoute',
    checkedAs: 'gateway.networking.k8s.io/v1alpha2',
  },
};

/** Below the folder of the packages, so that they are found. */
const FOLDER = resolve('node_modules/.cache');
const COMPILER = resolve('node_modules/typescript/bin/tsc');
const OPTIONS = {
  ...{ strict: true, noEmit: true, skipLibCheck: true, types: [] },
  ...{ target: 'ES2022', module: 'ES2022', moduleResolution: 'Bundler' },
};
/** Of the compiler: file, line, column, code and text; more lines of the same fault are indented. */
const FAULT = /^\S+\.ts\((\d+),(\d+)\): error TS\d+: (.*)/;

/** @returns one line per fault, empty when there is none */
export async function typeFaults(objects: readonly KubernetesObject[]): Promise<string[]> {
  const known = objects.map((object) => {
    const type = TYPES[`${object.apiVersion} ${object.kind}`];
    if (type === undefined)
      throw new Error(`no type is known for ${object.apiVersion} ${object.kind}: add it to ${import.meta.url}`);
    return { object: { ...object, ...(type.checkedAs && { apiVersion: type.checkedAs }) }, ...type };
  });
  return [...(await compilerFaults(known)), ...(await patternFaults(known))];
}

interface Typed {
  readonly object: KubernetesObject;
  readonly module: string;
}

async function compilerFaults(objects: readonly Typed[]): Promise<string[]> {
  const lines = objects.map(
    ({ object, module }, index) =>
      `export const object${index}: import('${module}').I${object.kind} = ${JSON.stringify(object)};`,
  );
  mkdirSync(FOLDER, { recursive: true });
  const folder = mkdtempSync(join(FOLDER, 'rendered-'));
  try {
    writeFileSync(join(folder, 'objects.ts'), lines.join('\n'));
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: OPTIONS, files: ['objects.ts'] }));
    const output = await promisify(execFile)(process.execPath, [
      COMPILER,
      '--project',
      folder,
      '--pretty',
      'false',
    ]).then(
      () => '',
      (failed: Error & { readonly stdout: string }) => {
        if (failed.stdout === '') throw failed;
        return failed.stdout;
      },
    );
    return output
      .split(/\n(?!\s)/)
      .filter(Boolean)
      .map((fault) => {
        const [, line = '', column = '', text] = FAULT.exec(fault) ?? [];
        const object = objects[Number(line) - 1]?.object;
        if (text === undefined || object === undefined) return fault;
        const at = lines[Number(line) - 1]?.slice(Number(column) - 1, Number(column) + 59);
        return `${object.kind} ${object.metadata.name}: ${[text, ...fault.split('\n').slice(1)].join(' ')} at ${at}`;
      });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function patternFaults(objects: readonly Typed[]): Promise<string[]> {
  const faults: string[] = [];
  for (const { object, module } of objects) {
    const loaded = (await import(module)) as Record<string, new (data: object) => { validate(): void }>;
    const Model = loaded[object.kind] as new (data: object) => { validate(): void };
    try {
      new Model(object).validate();
    } catch (error) {
      faults.push(`${object.kind} ${object.metadata.name}: ${(error as Error).message}`);
    }
  }
  return faults;
}
