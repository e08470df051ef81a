/** `npm test`: installs the external tools the tests need, runs every test file, prints `N passed, N failed` as the last line. */

import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { globSync } from './support/glob.js';
import { installTools } from './support/tools.js';

const ROOTS = ['libs', 'services', 'deploy', 'test'];
/** Slow and resource-hungry files run alone, after the others, so that their timing is their own. */
const ALONE = /^test\/(integration|e2e|bench)\//;
const FILE_TIMEOUT_MS = 15 * 60_000;

interface Tally {
  passed: number;
  failed: number;
}

async function runFiles(files: string[], concurrency: number, tally: Tally): Promise<void> {
  if (files.length === 0) return;
  const stream = run({ files, concurrency, timeout: FILE_TIMEOUT_MS });
  const isLeaf = (data: { details?: { type?: string | undefined }; name: string }): boolean =>
    data.details?.type !== 'suite' && !files.some((file) => data.name.endsWith(file));
  stream.on('test:pass', (data) => {
    if (data.skip !== undefined || data.todo !== undefined) tally.failed++;
    else if (isLeaf(data)) tally.passed++;
  });
  stream.on('test:fail', () => {
    tally.failed++;
  });
  const report = stream.compose(new spec());
  for await (const text of report) process.stdout.write(String(text));
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const filter = process.argv.slice(2);
const files = globSync(ROOTS, /\.test\.ts$/).filter(
  (file) => filter.length === 0 || filter.some((part) => file.includes(part)),
);
const tally: Tally = { passed: 0, failed: 0 };
await installTools(say);
await runFiles(
  files.filter((file) => !ALONE.test(file)),
  2,
  tally,
);
await runFiles(
  files.filter((file) => ALONE.test(file)),
  1,
  tally,
);
process.exitCode = tally.failed > 0 || tally.passed === 0 ? 1 : 0;
say(`${tally.passed} passed, ${tally.failed} failed`);
