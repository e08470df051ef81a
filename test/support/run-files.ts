import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Tally {
  readonly passed: number;
  /** A test that is skipped counts as failed, and a file that crashes, hangs or has no test as one failure. */
  readonly failed: number;
  readonly seconds: number;
  /** Of the file's process and of its children that ended before it; 0 if it crashed. */
  readonly cpuSeconds: number;
}

const TALLY_REPORTER = new URL('./tally-reporter.mjs', import.meta.url).href;
const LOWEST_PRIORITY = ['nice', '-n', '19'];
const IN_PACKAGE = /^((?:libs|services)\/[^/]+)\/src\/(.*)\.ts$/;

/** What node runs for a test file: its compiled JavaScript, if the build made it, else TypeScript. */
function commandOf(file: string): readonly string[] {
  const [, folder, name] = IN_PACKAGE.exec(file) ?? [];
  const loader = ['--import', import.meta.resolve('tsx')];
  if (folder === undefined) return [...loader, file];
  const compiled = `${folder}/dist/${name}.js`;
  // What is published or runs in a browser is tested as source, with all that it imports.
  return existsSync(compiled) ? [compiled] : [...loader, '--conditions=source', file];
}

export interface RunOptions {
  readonly timeoutMs: number;
  /** Takes only the processor time that nothing else wants. */
  readonly idle?: boolean;
}

/** Runs one test file in a process of its own. */
export async function runFile(
  file: string,
  { timeoutMs, idle = false }: RunOptions,
): Promise<Tally & { readonly report: string }> {
  const begin = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-test-'));
  const counts = join(folder, 'tally.json');
  const reporters = ['spec', 'stdout', TALLY_REPORTER, counts].map(
    (value, i) => `--test-reporter${i % 2 === 0 ? '' : '-destination'}=${value}`,
  );
  const flags = ['--enable-source-maps', '--disable-warning=ExperimentalWarning', ...reporters];
  const [command = '', ...args] = [...(idle ? LOWEST_PRIORITY : []), process.execPath, ...flags, ...commandOf(file)];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let report = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => {
      report += String(text);
    });
  const timer = setTimeout(() => {
    report += `\nended after ${Math.round(timeoutMs / 1000)} s\n`;
    child.kill('SIGKILL');
  }, timeoutMs);
  const code = await new Promise((resolve) => child.once('close', resolve).once('error', resolve));
  clearTimeout(timer);
  const text = await readFile(counts, 'utf8').catch(() => '');
  await rm(folder, { recursive: true });
  const counted: Pick<Tally, 'passed' | 'failed' | 'cpuSeconds'> =
    text === '' ? { passed: 0, failed: 1, cpuSeconds: 0 } : JSON.parse(text);
  const { passed, failed, cpuSeconds } = counted;
  const isBroken = failed === 0 && (code !== 0 || passed === 0);
  return { passed, failed: isBroken ? 1 : failed, seconds: (performance.now() - begin) / 1000, cpuSeconds, report };
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
