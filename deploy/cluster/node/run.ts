/**
 * Runs inside namespaces.sh: starts the cluster, makes the checks, prints one line for each. The exit code is 1 when one failed.
 * Arguments: folder for state and logs; `api-server` or `node`, how much of a cluster is started.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Check, timed } from '../checks/check.js';
import { prepare } from '../checks/dry-run.js';
import { API_SERVER_CHECKS, NODE_CHECKS } from '../checks/index.js';
import { Kubectl } from '../kubectl.js';
import { startApiServer, startControllers } from './control-plane.js';
import type { Daemon } from './daemon.js';
import { explain } from './explain.js';
import { startNode } from './worker-node.js';

const [folder, extent] = process.argv.slice(2);
if (folder === undefined) throw new Error('Name the folder for state and logs');
const say = (line: string): void => void process.stdout.write(`${line}\n`);
await mkdir(folder, { recursive: true });
const kubectl = new Kubectl(join(folder, 'admin.kubeconfig'), folder);
const daemons: Daemon[] = [];
let [passed, failed] = [0, 0];
try {
  await start('API server', () => startApiServer(folder, kubectl));
  await prepare(kubectl);
  for (const check of API_SERVER_CHECKS) await passes(check);
  if (extent === 'node') await checkOnNode(folder);
} finally {
  await Promise.all(daemons.map((daemon) => daemon.stop()));
}
say(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

async function start(what: string, begin: () => Promise<Daemon[]>): Promise<void> {
  const { result, seconds } = await timed(begin);
  daemons.push(...result);
  say(`  ${what} ready after ${seconds} s`);
}

async function checkOnNode(folder: string): Promise<void> {
  await start('controllers', () => startControllers(folder, kubectl));
  await start('node', () => startNode(folder, kubectl));
  for (const check of NODE_CHECKS) {
    if (await passes(check)) continue;
    await explain(kubectl, say);
    if (check.isRequired) break;
  }
  say(`  memory, MiB: ${daemons.map(({ name, residentMib }) => `${name} ${residentMib}`).join(', ')}`);
}

async function passes(check: Check): Promise<boolean> {
  const begin = performance.now();
  const outcome = await check.run(kubectl).then(
    (found) => ({ ok: true, text: found }),
    (error: Error) => ({ ok: false, text: error.message }),
  );
  const seconds = ((performance.now() - begin) / 1000).toFixed(1).padStart(6);
  say(`${outcome.ok ? 'ok  ' : 'FAIL'} ${seconds} s  ${check.name}: ${outcome.text}`);
  if (outcome.ok) passed += 1;
  else failed += 1;
  return outcome.ok;
}
