/**
 * `npm test`: installs the external tools the tests need, runs every test file, prints `N passed, N failed` as the last line.
 * A file that fails runs once more, alone. The line before the last says how many files needed that: a test that only passes on its
 * second run is a defect of the test or of the code.
 */

import { buildPackages } from '../deploy/local/src/build.js';
import { globSync } from './support/glob.js';
import { runFile, runFiles, type Tally } from './support/run-files.js';
import { installTools } from './support/tools.js';

const ROOTS = ['libs', 'services', 'deploy', 'test'];
/** Files that start a whole mesh and work in real time: fewer at a time, after the others. */
const MESH = /^test\/(integration|e2e|bench)\//;
/** Files that measure deadlines, frame rates or memory: after the others, so that nothing takes their time. */
const MEASURING = /^test\/(e2e\/demo|integration\/(overload|soak|timeline)\.test)/;
/** Files that compute for long and wait for nothing: beside those that measure, with the processor time that these leave. */
const COMPUTING = /repository\/training|executor\/webgpu|plans-|compile\/cut|integration\/eval/;
/** The longest files start first, so that no group ends with one of them alone. */
const LONGEST =
  /training|service-kit\/.*run\.test|egress\/.*service\.test|local\/.*demo\.test|moves|handover|render|embed|accessibility|drain|eval/;
const FILE_TIMEOUT_MS = 15 * 60_000;
/** Files at a time; of those that start a mesh; of those that only compute. */
const [AT_A_TIME, MESHES, COMPUTERS] = [4, 2, 2];
/** More failed files than this are not noise, so they do not run again. */
const MAX_RERUN_FILES = 6;
/** So many of the slowest files are listed at the end. */
const SLOWEST = 12;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const filter = process.argv.slice(2);
const files = globSync(ROOTS, /\.test\.ts$/)
  .filter((file) => filter.length === 0 || filter.some((part) => file.includes(part)))
  .sort((a, b) => Number(LONGEST.test(b)) - Number(LONGEST.test(a)));
const tallies = new Map<string, Tally>();
async function runAndTell(file: string): Promise<void> {
  const { report, ...tally } = await runFile(file, { timeoutMs: FILE_TIMEOUT_MS, idle: COMPUTING.test(file) });
  tallies.set(file, tally);
  say(`\n${file}\n${report}`);
}
const groupOf = (file: string): 'measuring' | 'computing' | 'mesh' | 'other' => {
  if (MEASURING.test(file)) return 'measuring';
  if (COMPUTING.test(file)) return 'computing';
  return MESH.test(file) ? 'mesh' : 'other';
};
const filesOf = (group: ReturnType<typeof groupOf>): string[] => files.filter((file) => groupOf(file) === group);
const phases: string[] = [];
async function phase(name: string, work: () => Promise<unknown>): Promise<void> {
  const begin = performance.now();
  await work();
  phases.push(`${name} ${((performance.now() - begin) / 60_000).toFixed(1)}`);
}
await phase('tools', () => installTools(say));
// Tests run as the compiled JavaScript that ships: it starts several times faster than TypeScript.
await phase('build', () => buildPackages({ tests: true }));
await phase('packages', () => runFiles(filesOf('other'), AT_A_TIME, runAndTell));
await phase('meshes', () => runFiles(filesOf('mesh'), MESHES, runAndTell));
await phase('measuring and computing', () =>
  Promise.all([runFiles(filesOf('measuring'), 1, runAndTell), runFiles(filesOf('computing'), COMPUTERS, runAndTell)]),
);

const failedFiles = (): string[] => files.filter((file) => (tallies.get(file)?.failed ?? 0) > 0);
const failedOnce = failedFiles();
const reruns = failedOnce.length <= MAX_RERUN_FILES ? failedOnce : [];
if (reruns.length > 0) {
  say(`\nonce more, alone: ${reruns.join(', ')}`);
  for (const file of reruns) await runAndTell(file);
}
const sum = (of: (tally: Tally) => number): number =>
  [...tallies.values()].reduce((total, tally) => total + of(tally), 0);
const [passed, failed] = [sum((tally) => tally.passed), sum((tally) => tally.failed)];
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
const most = (name: string, of: (tally: Tally) => number): void => {
  const first = [...tallies].sort(([, a], [, b]) => of(b) - of(a)).slice(0, SLOWEST);
  say(`\n${name}: ${first.map(([file, tally]) => `${file} ${Math.round(of(tally))} s`).join(', ')}`);
};
most('slowest files', ({ seconds }) => seconds);
most('most processor time', ({ cpuSeconds }) => cpuSeconds);
const cpuMinutes = sum(({ cpuSeconds }) => cpuSeconds) / 60;
const minutes = (performance.now() / 60_000).toFixed(1);
say(`\nminutes: ${phases.join(', ')}; together ${minutes}, of processor time ${cpuMinutes.toFixed(1)}`);
say(`\nfiles that ran a second time: ${reruns.length}${reruns.length > 0 ? ` (${reruns.join(', ')})` : ''}`);
say(`${passed} passed, ${failed} failed`);
