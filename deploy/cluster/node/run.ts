/**
 * Runs inside namespaces.sh: starts the cluster, makes the checks, prints one line for each. The exit code is 1 when one failed.
 * Argument: folder for state and logs.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check } from '../checks/check.js';
import { prepare } from '../checks/dry-run.js';
import { CHECKS } from '../checks/index.js';
import { Kubectl } from '../kubectl.js';
import { startControlPlane } from './control-plane.js';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('Name the folder for state and logs');
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const secondsSince = (begin: number): string => ((performance.now() - begin) / 1000).toFixed(1);
await mkdir(folder, { recursive: true });
const kubectl = new Kubectl(join(folder, 'admin.kubeconfig'), folder);

const begin = performance.now();
const daemons = await startControlPlane(folder, kubectl);
await prepare(kubectl);
say(`  API server ready after ${secondsSince(begin)} s`);
let failed = 0;
for (const check of CHECKS) if (!(await passes(check))) failed += 1;
say(`  memory, MiB: ${daemons.map(({ name, residentMib }) => `${name} ${residentMib}`).join(', ')}`);
await Promise.all(daemons.map((daemon) => daemon.stop()));
say(`${CHECKS.length - failed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

async function passes(check: Check): Promise<boolean> {
  const begin = performance.now();
  const outcome = await check.run(kubectl).then(
    (found) => ({ ok: true, text: found }),
    (error: Error) => ({ ok: false, text: error.message }),
  );
  say(`${outcome.ok ? 'ok  ' : 'FAIL'} ${secondsSince(begin).padStart(6)} s  ${check.name}: ${outcome.text}`);
  return outcome.ok;
}
