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

export interface Lane {
  /** In the order in which they start. */
  readonly files: readonly string[];
  /** So many of this lane at a time. */
  readonly concurrency: number;
}

/**
 * Runs the files of all lanes, at most `concurrency` at a time altogether; a lane takes a free place before those behind it. Reports are
 * passed on file by file.
 */
export async function runLanes(
  lanes: readonly Lane[],
  concurrency: number,
  runOne: (file: string) => Promise<void>,
): Promise<void> {
  const waiting = lanes.map(({ files }) => [...files]);
  const running = lanes.map(() => 0);
  const worker = async (): Promise<void> => {
    for (;;) {
      const lane = lanes.findIndex((one, i) => (waiting[i]?.length ?? 0) > 0 && (running[i] ?? 0) < one.concurrency);
      const file = waiting[lane]?.shift();
      // A lane that is full has a worker of its own for each of its places, so what waits there is not left.
      if (file === undefined) return;
      running[lane] = (running[lane] ?? 0) + 1;
      await runOne(file);
      running[lane] = (running[lane] ?? 0) - 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}
