/**
 * Checks rendered objects against the types of the Kubernetes API and of the CRDs. The TypeScript compiler refuses unknown fields and wrong
 * types in literals; the packages' own validators add patterns and enumerations.
 */
import { resolve } from 'node:path';
import ts from 'typescript';
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

/** In memory only; its place lets the packages be found. */
const FILE = resolve('test/deploy/rendered-objects.ts');
const OPTIONS: ts.CompilerOptions = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: [],
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ES2022,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
};

/** @returns one line per fault, empty when there is none */
export async function typeFaults(objects: readonly KubernetesObject[]): Promise<string[]> {
  const known = objects.map((object) => {
    const type = TYPES[`${object.apiVersion} ${object.kind}`];
    if (type === undefined)
      throw new Error(`no type is known for ${object.apiVersion} ${object.kind}: add it to ${import.meta.url}`);
    return { object: { ...object, ...(type.checkedAs && { apiVersion: type.checkedAs }) }, ...type };
  });
  return [...compilerFaults(known), ...(await patternFaults(known))];
}

interface Typed {
  readonly object: KubernetesObject;
  readonly module: string;
}

function compilerFaults(objects: readonly Typed[]): string[] {
  const lines = objects.map(
    ({ object, module }, index) =>
      `export const object${index}: import('${module}').I${object.kind} = ${JSON.stringify(object)};`,
  );
  const source = ts.createSourceFile(FILE, lines.join('\n'), ts.ScriptTarget.ES2022, true);
  const host = ts.createCompilerHost(OPTIONS);
  const { getSourceFile, fileExists } = host;
  host.getSourceFile = (path, ...rest) => (path === FILE ? source : getSourceFile.call(host, path, ...rest));
  host.fileExists = (path) => path === FILE || fileExists.call(host, path);
  const program = ts.createProgram([FILE], OPTIONS, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText, file, start }) => {
    const text = ts.flattenDiagnosticMessageText(messageText, ' ');
    if (file !== source || start === undefined) return text;
    const { object } = objects[source.getLineAndCharacterOfPosition(start).line] as Typed;
    return `${object.kind} ${object.metadata.name}: ${text} at ${source.text.slice(start, start + 60)}`;
  });
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
