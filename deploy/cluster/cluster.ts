/**
 * `npm run cluster`: a Kubernetes API server on this machine, which is asked about every object of the chart. Needs root for namespaces of its own,
 * and Go for the first run. `--if-cached` does nothing where the first run is still to be made.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installPrograms } from '../../test/support/tools.js';
import { fetchDefinitions, SCALED_OBJECT } from './definitions.js';
import { buildPrograms, CACHE, missingPrograms } from './programs.js';

/** Programs with their Debian packages. */
const PROGRAMS = { ip: 'iproute2', openssl: 'openssl' };
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const { values } = parseArgs({ options: { 'if-cached': { type: 'boolean', default: false } } });
const isRoot = process.getuid?.() === 0;
if (values['if-cached'] && (!isRoot || missingPrograms().length > 0 || !existsSync(SCALED_OBJECT))) {
  const why = isRoot ? 'its programs are not in the cache: run npm run cluster once' : 'that needs root';
  say(`No API server was asked about the chart, because ${why}.`);
  process.exit(0);
}
await installPrograms(PROGRAMS, say);
await buildPrograms(say);
await fetchDefinitions();
const folder = join(CACHE, `run-${process.pid}`);
process.exitCode = await runInside();
if (process.exitCode === 0) await rm(folder, { recursive: true, force: true });
else say(`state and logs: ${folder}`);

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
