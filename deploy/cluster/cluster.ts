/**
 * `npm run cluster`: a Kubernetes API server and a node on this machine. The server is asked about every object of the chart; on the node the chart is
 * installed and calls are made through it. Needs root and a Debian machine, Go for the first run, and nothing from an image registry.
 * `--if-cached` leaves out what the first run is still to build.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { prometheusFolder } from '../../test/monitoring/promtool.js';
import { installPrograms, installTools } from '../../test/support/tools.js';
import { fetchDefinitions, SCALED_OBJECT } from './definitions.js';
import { buildImages, hasImages } from './images.js';
import { makeCgroups, removeCgroups } from './node/cgroups.js';
import { ALL_PROGRAMS, API_SERVER_PROGRAMS, buildPrograms, CACHE, missingOf } from './programs.js';

/** Programs with their Debian packages. */
const PROGRAMS = { ip: 'iproute2', openssl: 'openssl' };
const PROGRAMS_OF_NODE = {
  podman: 'podman',
  buildah: 'buildah',
  runc: 'runc',
  mmdebstrap: 'mmdebstrap',
  nft: 'nftables',
  iptables: 'iptables',
  ipset: 'ipset',
  '/usr/lib/cni/ptp': 'containernetworking-plugins',
};
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const { values } = parseArgs({ options: { 'if-cached': { type: 'boolean', default: false } } });
const isRoot = process.getuid?.() === 0;
const ifCached = values['if-cached'];
if (ifCached && (!isRoot || missingOf(API_SERVER_PROGRAMS).length > 0 || !existsSync(SCALED_OBJECT))) {
  const why = isRoot ? 'its programs are not in the cache: run npm run cluster once' : 'that needs root';
  say(`No API server was asked about the chart, because ${why}.`);
  process.exit(0);
}
const withNode = !ifCached || (missingOf(ALL_PROGRAMS).length === 0 && hasImages());
await installPrograms(PROGRAMS, say);
if (withNode) {
  await installPrograms(PROGRAMS_OF_NODE, say);
  await buildPrograms(say);
  await fetchDefinitions();
  await buildImages(say);
  // There is no network inside the node's namespaces.
  await prometheusFolder();
  await installTools(say);
} else
  say('The chart is not installed on a node: its programs and images are not in the cache. Run npm run cluster once.');
const folder = join(CACHE, `run-${process.pid}`);
await makeCgroups();
try {
  process.exitCode = await runInside();
} finally {
  await removeCgroups();
}
if (process.exitCode === 0) await rm(folder, { recursive: true, force: true });
else say(`state and logs: ${folder}`);

/** @returns the exit code of the checks */
function runInside(): Promise<number> {
  const script = join(import.meta.dirname, 'node/namespaces.sh');
  const checks = [
    process.execPath,
    ...process.execArgv,
    join(import.meta.dirname, 'node/run.ts'),
    folder,
    withNode ? 'node' : 'api-server',
  ];
  const child = spawn(script, [folder, ...checks], { stdio: ['ignore', 'inherit', 'inherit'] });
  // The namespaces end with the process that made them, so a signal is passed on to it.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
