import { run } from 'node:test';
import { spec } from 'node:test/reporters';

export interface Tally {
  readonly passed: number;
  /** A test that is skipped counts as failed, and a file that crashes as one failure. */
  readonly failed: number;
  readonly seconds: number;
}

/** Runs one test file in a process of its own. @returns its counts and what the `spec` reporter says */
export async function runFile(file: string, timeoutMs: number): Promise<Tally & { readonly report: string }> {
  const begin = performance.now();
  let [passed, failed] = [0, 0];
  const stream = run({ files: [file], concurrency: 1, timeout: timeoutMs });
  stream.on('test:pass', ({ name, details, skip, todo }) => {
    if (skip !== undefined || todo !== undefined) failed += 1;
    else if (details.type !== 'suite' && !name.endsWith(file)) passed += 1;
  });
  stream.on('test:fail', () => {
    failed += 1;
  });
  let report = '';
  for await (const text of stream.compose(new spec())) report += String(text);
  return { passed, failed, seconds: (performance.now() - begin) / 1000, report };
}

/** Runs the files in their order, so many at a time. */
export async function runFiles(
  files: readonly string[],
  concurrency: number,
  runOne: (file: string) => Promise<void>,
): Promise<void> {
  const waiting = [...files];
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await runOne(file);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}
