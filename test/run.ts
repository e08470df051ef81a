/** `npm test`: installs the external tools the tests need, runs every test file, prints `N passed, N failed` as the last line. */

import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { globSync } from './support/glob.js';
import { installTools } from './support/tools.js';

const ROOTS = ['libs', 'services', 'deploy', 'test'];
/** Slow and resource-hungry files run alone, after the others, so that their timing is their own. */
const ALONE = /^test\/(integration|e2e|bench)\//;
const FILE_TIMEOUT_MS = 15 * 60_000;
/** Files that failed run once more, alone: a test of real processes may lose to the machine once. More files than this are no accident. */
const MOST_SECOND_RUNS = 6;

interface Tally {
  passed: number;
  failed: number;
}

/** By file; a file that crashes counts one failure. */
type Tallies = Map<string, Tally>;

async function runFiles(files: string[], concurrency: number, tallies: Tallies): Promise<void> {
  if (files.length === 0) return;
  for (const file of files) tallies.set(file, { passed: 0, failed: 0 });
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
  const report = stream.compose(new spec());
  for await (const text of report) process.stdout.write(String(text));
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const filter = process.argv.slice(2);
const files = globSync(ROOTS, /\.test\.ts$/).filter(
  (file) => filter.length === 0 || filter.some((part) => file.includes(part)),
);
const tallies: Tallies = new Map();
await installTools(say);
await runFiles(
  files.filter((file) => !ALONE.test(file)),
  2,
  tallies,
);
await runFiles(
  files.filter((file) => ALONE.test(file)),
  1,
  tallies,
);
const failedFiles = (): string[] => files.filter((file) => (tallies.get(file)?.failed ?? 0) > 0);
const failedOnce = failedFiles();
if (failedOnce.length > 0 && failedOnce.length <= MOST_SECOND_RUNS) {
  say(`\nonce more, alone: ${failedOnce.join(', ')}`);
  await runFiles(failedOnce, 1, tallies);
  const unsteady = failedOnce.filter((file) => !failedFiles().includes(file));
  if (unsteady.length > 0) say(`\nUNSTEADY, failed once and passed alone: ${unsteady.join(', ')}`);
}
const sum = (of: (tally: Tally) => number): number =>
  [...tallies.values()].reduce((total, tally) => total + of(tally), 0);
const [passed, failed] = [sum((tally) => tally.passed), sum((tally) => tally.failed)];
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
say(`${passed} passed, ${failed} failed`);
