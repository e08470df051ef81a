import { buildPackages } from '../../deploy/local/src/build.js';
import { runFile, runFiles, type Tally } from './run-files.js';

const FILE_TIMEOUT_MS = 15 * 60_000;
/** More failed files than this are not noise, so they do not run again. */
const MAX_RERUN_FILES = 6;
/** So many of the slowest files are listed at the end. */
const SLOWEST = 12;

export interface TestGroup {
  readonly name: string;
  /** In the order in which they start. */
  readonly files: readonly string[];
  readonly atATime: number;
  /** Takes only the processor time that nothing else wants. */
  readonly idle?: boolean;
}

export interface TestRun {
  /** Installs what the tests need. */
  readonly prepare: () => Promise<unknown>;
  /** Groups of one entry run side by side, entries one after the other. */
  readonly phases: readonly (readonly TestGroup[])[];
  readonly say: (line: string) => void;
  readonly fileTimeoutMs?: number;
}

/**
 * Runs test files and prints `N passed, N failed` as the last line. A file that fails runs once more, alone. The line before the last
 * says how many files needed that: a test that only passes on its second run is a defect of the test or of the code.
 */
export async function runTests({ prepare, phases, say, fileTimeoutMs = FILE_TIMEOUT_MS }: TestRun): Promise<void> {
  const minutes: string[] = [];
  async function phase(name: string, work: () => Promise<unknown>): Promise<void> {
    const begin = performance.now();
    await work();
    minutes.push(`${name} ${((performance.now() - begin) / 60_000).toFixed(1)}`);
  }
  const tallies = new Map<string, Tally>();
  const run = async (file: string, idle = false): Promise<void> => {
    const { report, ...tally } = await runFile(file, { timeoutMs: fileTimeoutMs, idle });
    tallies.set(file, tally);
    const [seconds, cpuSeconds] = [tally.seconds, tally.cpuSeconds].map(Math.round);
    say(`\n${file}: ${seconds} s, ${cpuSeconds} s of processor time\n${report}`);
  };
  await phase('tools', prepare);
  // Tests run as the compiled JavaScript that ships: it starts several times faster than TypeScript.
  await phase('build', () => buildPackages({ tests: true }));
  for (const groups of phases)
    await phase(groups.map(({ name }) => name).join(' and '), () =>
      Promise.all(groups.map(({ files, atATime, idle }) => runFiles(files, atATime, (file) => run(file, idle)))),
    );
  const failedFiles = [...tallies].filter(([, { failed }]) => failed > 0).map(([file]) => file);
  const reruns = failedFiles.length <= MAX_RERUN_FILES ? failedFiles : [];
  if (reruns.length > 0) say(`\nonce more, alone: ${reruns.join(', ')}`);
  for (const file of reruns) await run(file);

  const sum = (of: (tally: Tally) => number): number =>
    [...tallies.values()].reduce((total, tally) => total + of(tally), 0);
  const most = (name: string, of: (tally: Tally) => number): void => {
    const first = [...tallies].sort(([, a], [, b]) => of(b) - of(a)).slice(0, SLOWEST);
    say(`\n${name}: ${first.map(([file, tally]) => `${file} ${Math.round(of(tally))} s`).join(', ')}`);
  };
  most('slowest files', ({ seconds }) => seconds);
  most('most processor time', ({ cpuSeconds }) => cpuSeconds);
  const [together, cpu] = [performance.now() / 60_000, sum(({ cpuSeconds }) => cpuSeconds) / 60];
  say(`\nminutes: ${minutes.join(', ')}; together ${together.toFixed(1)}, of processor time ${cpu.toFixed(1)}`);
  say(`\nfiles that ran a second time: ${reruns.length}${reruns.length > 0 ? ` (${reruns.join(', ')})` : ''}`);
  const [passed, failed] = [sum((tally) => tally.passed), sum((tally) => tally.failed)];
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
  say(`${passed} passed, ${failed} failed`);
}

/** The files of which the path contains one of the program's arguments; all, if it has none. */
export function chosenFiles(files: readonly string[]): string[] {
  const filter = process.argv.slice(2);
  return files.filter((file) => filter.length === 0 || filter.some((part) => file.includes(part)));
}
