/**
 * `npm test`: installs the external tools the tests need, runs every test file, prints `N passed, N failed` as the last line.
 * A file that fails runs once more, alone. The line before the last says how many files needed that: a test that only passes on its
 * second run is a defect of the test or of the code.
 */

import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { globSync } from './support/glob.js';
import { installTools } from './support/tools.js';

const ROOTS = ['libs', 'services', 'deploy', 'test'];
/** Files that start a whole mesh and work in real time: fewer at a time, after the others. */
const MESH = /^test\/(integration|e2e|bench)\//;
/** Files that measure deadlines, frame rates or memory: alone, so that nothing else takes their time. */
const MEASURING = /^test\/(e2e\/demo|integration\/(overload|soak|timeline)\.test)/;
/** The longest files start first, so that no group ends with one of them alone. */
const LONGEST =
  /training|webgpu|service-kit\/.*run\.test|egress\/.*service\.test|local\/.*demo\.test|plans-|moves|handover|render|embed|accessibility|eval/;
const FILE_TIMEOUT_MS = 15 * 60_000;
/** More failed files than this are not noise, so they do not run again. */
const MAX_RERUN_FILES = 6;

/** So many of the slowest files are listed at the end. */
const SLOWEST = 12;

interface Tally {
  passed: number;
  failed: number;
  seconds: number;
}

/** By file; a file that crashes counts one failure. */
type Tallies = Map<string, Tally>;

async function runFiles(files: string[], concurrency: number, tallies: Tallies): Promise<void> {
  if (files.length === 0) return;
  for (const file of files) tallies.set(file, { passed: 0, failed: 0, seconds: 0 });
  const begin = new Map<string, number>();
  const tallyOf = (data: { file?: string | undefined; name: string }): Tally => {
    const file = files.find((name) => data.file?.endsWith(name) || data.name.endsWith(name)) ?? (files[0] as string);
    return tallies.get(file) as Tally;
  };
  const stream = run({ files, concurrency, timeout: FILE_TIMEOUT_MS });
  const isLeaf = (data: { details?: { type?: string | undefined }; name: string }): boolean =>
    data.details?.type !== 'suite' && !files.some((file) => data.name.endsWith(file));
  stream.on('test:pass', (data) => {
    if (data.skip !== undefined || data.todo !== undefined) tallyOf(data).failed++;
    else if (isLeaf(data)) tallyOf(data).passed++;
  });
  stream.on('test:fail', (data) => {
    tallyOf(data).failed++;
  });
  stream.on('test:dequeue', ({ name }) => void begin.set(name, performance.now()));
  stream.on('test:complete', ({ name }) => {
    const tally = tallies.get(name);
    if (tally !== undefined) tally.seconds = (performance.now() - (begin.get(name) ?? performance.now())) / 1000;
  });
  const report = stream.compose(new spec());
  for await (const text of report) process.stdout.write(String(text));
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const filter = process.argv.slice(2);
const files = globSync(ROOTS, /\.test\.ts$/)
  .filter((file) => filter.length === 0 || filter.some((part) => file.includes(part)))
  .sort((a, b) => Number(LONGEST.test(b)) - Number(LONGEST.test(a)));
const tallies: Tallies = new Map();
const groups: readonly { readonly files: string[]; readonly concurrency: number }[] = [
  { files: files.filter((file) => !MESH.test(file)), concurrency: 4 },
  { files: files.filter((file) => MESH.test(file) && !MEASURING.test(file)), concurrency: 2 },
  { files: files.filter((file) => MEASURING.test(file)), concurrency: 1 },
];
await installTools(say);
for (const group of groups) await runFiles(group.files, group.concurrency, tallies);

const failedFiles = (): string[] => files.filter((file) => (tallies.get(file)?.failed ?? 0) > 0);
const failedOnce = failedFiles();
const reruns = failedOnce.length <= MAX_RERUN_FILES ? failedOnce : [];
if (reruns.length > 0) {
  say(`\nonce more, alone: ${reruns.join(', ')}`);
  await runFiles(reruns, 1, tallies);
}
const sum = (of: (tally: Tally) => number): number =>
  [...tallies.values()].reduce((total, tally) => total + of(tally), 0);
const [passed, failed] = [sum((tally) => tally.passed), sum((tally) => tally.failed)];
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
const slowest = [...tallies].sort(([, a], [, b]) => b.seconds - a.seconds).slice(0, SLOWEST);
say(`\nslowest files: ${slowest.map(([file, { seconds }]) => `${file} ${Math.round(seconds)} s`).join(', ')}`);
say(`after ${Math.round(performance.now() / 60_000)} minutes`);
say(`\nfiles that ran a second time: ${reruns.length}${reruns.length > 0 ? ` (${reruns.join(', ')})` : ''}`);
say(`${passed} passed, ${failed} failed`);
