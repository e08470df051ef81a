/** One check of the installed chart. Checks run in order, in one cluster, and each leaves the mesh ready for the next. */
import type { RemoteMesh } from '../../local/src/render/options.js';
import type { Kubectl } from '../kubectl.js';

export const NAMESPACE = 'talk';
export const RELEASE = 'talk';
export const CHART = 'deploy/helm/talkmesh';

export interface Installation {
  readonly kubectl: Kubectl;
  /** Folder for files of the run. */
  readonly folder: string;
  /** Address of the gateway's Service, and the API key. @throws Error before the chart is installed */
  gateway(): Promise<RemoteMesh>;
}

export interface Check {
  readonly name: string;
  /** The checks after it need what it does. */
  readonly isRequired?: boolean;
  /** @returns what was measured, in a few words @throws Error saying what is wrong */
  run(installation: Installation): Promise<string>;
}

export const componentSelector = (component: string): string =>
  `--selector=app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=${component}`;

export const inNamespace = `--namespace=${NAMESPACE}`;
export const nameOf = (component: string): string => `talkmesh-${RELEASE}-${component}`;

/** Runs `action`. @returns its result and the time it took in seconds with one decimal */
export async function timed<T>(action: () => Promise<T>): Promise<{ result: T; seconds: string }> {
  const begin = performance.now();
  const result = await action();
  return { result, seconds: ((performance.now() - begin) / 1000).toFixed(1) };
}
