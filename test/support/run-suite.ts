import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { globSync } from './glob.js';

const FILE_TIMEOUT_MS = 45 * 60_000;

/** Runs the test files of a folder one after the other; the last line counts. Arguments of the program choose files by parts of their paths. */
export async function runSuite(folder: string, pattern: RegExp): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const filter = process.argv.slice(2);
  const files = globSync([folder], pattern).filter(
    (file) => filter.length === 0 || filter.some((part) => file.includes(part)),
  );
  let [passed, failed] = [0, 0];
  const stream = run({ files, concurrency: 1, timeout: FILE_TIMEOUT_MS });
  stream.on('test:pass', ({ skip, details }) => {
    if (skip !== undefined) failed += 1;
    else if (details.type !== 'suite') passed += 1;
  });
  stream.on('test:fail', () => {
    failed += 1;
  });
  for await (const text of stream.compose(new spec())) process.stdout.write(String(text));
  say(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}
