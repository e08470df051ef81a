/**
 * Runs inside namespaces.sh: starts the cluster, makes the checks, prints one line for each. The exit code is 1 when one failed.
 * Argument: folder for state and logs.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Check, type Installation, inNamespace, nameOf, timed } from '../checks/check.js';
import { namespace } from '../checks/dry-run.js';
import { CHECKS } from '../checks/index.js';
import { Kubectl } from '../kubectl.js';
import { startControlPlane } from './control-plane.js';
import type { Daemon } from './daemon.js';
import { startNode } from './worker-node.js';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('Name the folder for state and logs');
const say = (line: string): void => void process.stdout.write(`${line}\n`);
await mkdir(folder, { recursive: true });
const kubectl = new Kubectl(join(folder, 'admin.kubeconfig'), folder);
const installation: Installation = {
  kubectl,
  folder,
  async gateway() {
    const { spec } = await kubectl.get('service', nameOf('gateway'), inNamespace);
    const { data } = await kubectl.get('secret', nameOf('auth'), inNamespace);
    return {
      httpUrl: `http://${spec.clusterIP}:80`,
      grpcAddress: `${spec.clusterIP}:9090`,
      apiKey: Buffer.from(data['api-keys'], 'base64').toString(),
    };
  },
};

const daemons: Daemon[] = [];
let [passed, failed] = [0, 0];
try {
  const controlPlane = await timed(() => startControlPlane(folder, kubectl));
  daemons.push(...controlPlane.result);
  say(`  control plane ready after ${controlPlane.seconds} s`);
  const node = await timed(() => startNode(folder, kubectl));
  daemons.push(...node.result);
  say(`  node ready after ${node.seconds} s`);
  await kubectl.apply(namespace);
  for (const check of CHECKS) if (!(await passes(check)) && check.isRequired) break;
  say(`  memory of the cluster's programs, MiB: ${daemons.map((d) => `${d.name} ${d.residentMib}`).join(', ')}`);
} finally {
  // The API server would otherwise wait for its clients.
  await Promise.all(daemons.map((daemon) => daemon.stop()));
}
say(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);

async function passes(check: Check): Promise<boolean> {
  const begin = performance.now();
  const outcome = await check.run(installation).then(
    (measured) => ({ ok: true, text: measured }),
    (error: Error) => ({ ok: false, text: error.message }),
  );
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  say(`${outcome.ok ? 'ok  ' : 'FAIL'} ${seconds.padStart(6)} s  ${check.name}: ${outcome.text}`);
  if (outcome.ok) passed += 1;
  else {
    failed += 1;
    await explain();
  }
  return outcome.ok;
}

/** What a person would look at first. */
async function explain(): Promise<void> {
  const show = async (...args: string[]): Promise<void> =>
    say(await kubectl.kubectl(...args).catch((error: Error) => error.message));
  await show('get', 'pods', inNamespace, '--output=wide');
  await show('get', 'events', inNamespace, '--field-selector=type=Warning', '--sort-by=.lastTimestamp');
  const { items = [] } = await kubectl.get('pods', inNamespace).catch(() => ({ items: [] }));
  for (const { metadata } of items) {
    say(`--- ${metadata.name}`);
    await show('logs', inNamespace, metadata.name, '--tail=5', '--all-containers');
  }
}
