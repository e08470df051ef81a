/**
 * `npm run cluster`: a Kubernetes control plane and a real node on this machine, the chart installed on it, and calls through it. Needs root and
 * a Debian machine, Go for the first run, and nothing from an image registry. `--if-cached` does nothing where the first run is still to be made.
 */
import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installPrograms } from '../../test/support/tools.js';
import { fetchDefinitions } from './definitions.js';
import { buildImages, hasImages } from './images.js';
import { makeCgroups, removeCgroups } from './node/cgroups.js';
import { buildPrograms, CACHE, missingPrograms } from './programs.js';

/** Programs with their Debian packages. */
const PROGRAMS = {
  podman: 'podman',
  buildah: 'buildah',
  runc: 'runc',
  mmdebstrap: 'mmdebstrap',
  ip: 'iproute2',
  nft: 'nftables',
  iptables: 'iptables',
  ipset: 'ipset',
  openssl: 'openssl',
  '/usr/lib/cni/ptp': 'containernetworking-plugins',
};
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const { values } = parseArgs({ options: { 'if-cached': { type: 'boolean', default: false } } });
const missing = missingPrograms();
if (values['if-cached'] && (missing.length > 0 || !hasImages() || process.getuid?.() !== 0)) {
  const why = process.getuid?.() === 0 ? 'its programs and images are not in the cache yet' : 'it needs root';
  say(`The chart was not installed on a Kubernetes node, because ${why}: run npm run cluster once.`);
  process.exit(0);
}
await installPrograms(PROGRAMS, say);
await buildPrograms(say);
await fetchDefinitions();
await buildImages(say);
const folder = join(CACHE, `run-${process.pid}`);
await makeCgroups();
try {
  process.exitCode = await runInside();
} finally {
  await removeCgroups();
  if (process.exitCode === 0) await rm(folder, { recursive: true, force: true });
  else say(`state and logs: ${folder}`);
}

/** @returns the exit code of the checks */
function runInside(): Promise<number> {
  const script = join(import.meta.dirname, 'node/namespaces.sh');
  const checks = [process.execPath, ...process.execArgv, join(import.meta.dirname, 'node/run.ts'), folder];
  const child = spawn(script, [folder, ...checks], { stdio: ['ignore', 'inherit', 'inherit'] });
  // The namespaces end with the process that made them, so a signal is passed on to it.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
