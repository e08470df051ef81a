/** One check of the chart on the cluster. */
import type { Kubectl } from '../kubectl.js';

export const NAMESPACE = 'talk';
export const RELEASE = 'talk';
export const CHART = 'deploy/helm/talkmesh';
export const inNamespace = `--namespace=${NAMESPACE}`;

export const nameOf = (component: string): string => `talkmesh-${RELEASE}-${component}`;
export const selectorOf = (component: string): string =>
  `--selector=app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=${component}`;

export interface Check {
  readonly name: string;
  /** Without it the checks after it cannot be made. */
  readonly isRequired?: boolean;
  /** @returns what was found, in a few words @throws Error saying what is wrong */
  run(kubectl: Kubectl): Promise<string>;
}

/** Runs `action`. @returns its result and the time it took, in seconds with one decimal */
export async function timed<T>(action: () => Promise<T>): Promise<{ result: T; seconds: string }> {
  const begin = performance.now();
  const result = await action();
  return { result, seconds: ((performance.now() - begin) / 1000).toFixed(1) };
}
