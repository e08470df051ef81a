import { buildPackages } from '../../deploy/local/src/build.js';
import { globSync } from './glob.js';
import { runFile } from './run-files.js';

const FILE_TIMEOUT_MS = 45 * 60_000;

/** Runs the test files of a folder one after the other; the last line counts. Arguments of the program choose files by parts of their paths. */
export async function runSuite(folder: string, pattern: RegExp): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const filter = process.argv.slice(2);
  const files = globSync([folder], pattern).filter(
    (file) => filter.length === 0 || filter.some((part) => file.includes(part)),
  );
  await buildPackages({ tests: true });
  let [passed, failed] = [0, 0];
  for (const file of files) {
    const tally = await runFile(file, { timeoutMs: FILE_TIMEOUT_MS });
    say(`${file}\n${tally.report}`);
    passed += tally.passed;
    failed += tally.failed;
  }
  say(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}
