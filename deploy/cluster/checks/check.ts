/** One check of the chart on the cluster. */
import type { Kubectl } from '../kubectl.js';

export const NAMESPACE = 'talk';
export const RELEASE = 'talk';
export const CHART = 'deploy/helm/talkmesh';
export const inNamespace = `--namespace=${NAMESPACE}`;

export interface Check {
  readonly name: string;
  /** @returns what was found, in a few words @throws Error saying what is wrong */
  run(kubectl: Kubectl): Promise<string>;
}
