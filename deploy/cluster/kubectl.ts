/** kubectl and helm on one cluster. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { kubernetesTool } from '../../test/support/kubernetes-tools.js';

const run = promisify(execFile);
const MAX_OUTPUT = 64 * 1024 * 1024;
const TIMEOUT_MS = 300_000;

// biome-ignore lint/suspicious/noExplicitAny: objects of Kubernetes as the API server returns them
export type ClusterObject = any;

export class Kubectl {
  readonly #env: NodeJS.ProcessEnv;

  /** @param kubeconfig path of the administrator's file @param home folder in which helm keeps its caches */
  constructor(kubeconfig: string, home: string) {
    const homes = ['HELM_CACHE_HOME', 'HELM_CONFIG_HOME', 'HELM_DATA_HOME', 'HOME'].map((name) => [name, home]);
    this.#env = { ...process.env, ...Object.fromEntries(homes), KUBECONFIG: kubeconfig };
  }

  /** @returns stdout @throws Error with what the command wrote */
  kubectl(...args: readonly string[]): Promise<string> {
    return this.#execute('kubectl', args);
  }

  helm(...args: readonly string[]): Promise<string> {
    return this.#execute('helm', args);
  }

  succeeds(...args: readonly string[]): Promise<boolean> {
    return this.kubectl(...args).then(
      () => true,
      () => false,
    );
  }

  /** @returns the object, or the list of objects */
  async get(...args: readonly string[]): Promise<ClusterObject> {
    return JSON.parse(await this.kubectl('get', ...args, '--output=json'));
  }

  /** Creates or changes objects. */
  async apply(...objects: readonly ClusterObject[]): Promise<void> {
    await this.pipe(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }), 'apply', '--filename=-');
  }

  /** Runs kubectl with `input` on stdin. */
  pipe(input: string, ...args: readonly string[]): Promise<string> {
    return this.#execute('kubectl', args, input);
  }

  async #execute(tool: 'kubectl' | 'helm', args: readonly string[], input?: string): Promise<string> {
    const pending = run(kubernetesTool(tool), [...args], {
      env: this.#env,
      maxBuffer: MAX_OUTPUT,
      timeout: TIMEOUT_MS,
    });
    pending.child.stdin?.end(input);
    try {
      return (await pending).stdout;
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      throw new Error(`${tool} ${args.slice(0, 5).join(' ')} failed:\n${stdout}${stderr}`.trim(), { cause: error });
    }
  }
}
