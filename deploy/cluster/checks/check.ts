/** One check of the chart on the cluster. */
import type { RemoteMesh } from '../../local/src/render/options.js';
import type { Kubectl } from '../kubectl.js';

export const NAMESPACE = 'talk';
export const RELEASE = 'talk';
export const CHART = 'deploy/helm/talkmesh';
export const inNamespace = `--namespace=${NAMESPACE}`;
export const nameOf = (component: string): string => `talkmesh-${RELEASE}-${component}`;
export const selectorOf = (component: string): string =>
  `--selector=app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=${component}`;

export interface Check<Subject = Kubectl> {
  readonly name: string;
  /** @returns what was found, in a few words @throws Error saying what is wrong */
  run(subject: Subject): Promise<string>;
}

/** The chart on a node, where its pods run. */
export interface Installation {
  readonly kubectl: Kubectl;
  /** Addresses of the gateway's Service, and the API key. @throws Error before the chart is installed */
  gateway(): Promise<RemoteMesh>;
}

/** They run in order, in one release, and each leaves the mesh ready for the next. */
export interface NodeCheck extends Check<Installation> {
  /** Without it the checks after it cannot be made. */
  readonly isRequired?: boolean;
}

/** Runs `action`. @returns its result and the time it took, in seconds with one decimal */
export async function timed<T>(action: () => Promise<T>): Promise<{ result: T; seconds: string }> {
  const begin = performance.now();
  const result = await action();
  return { result, seconds: ((performance.now() - begin) / 1000).toFixed(1) };
}
