/** Starts a service as run.test.ts sees it: a process, its log lines, its addresses. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '../waiting.js';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const PATIENCE_MS = 30_000;

export interface LogLine {
  readonly msg: string;
  readonly level: string;
  readonly [field: string]: unknown;
}

export class ServiceUnderTest implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly lines: LogLine[] = [];
  stderr = '';
  readonly #exited: Promise<unknown>;

  constructor(env: Record<string, string>, nodeArgs: readonly string[] = []) {
    const args = ['--import', 'tsx', '--conditions=source', ...nodeArgs, MAIN];
    this.process = spawn(process.execPath, args, {
      // biome-ignore lint/style/noProcessEnv: a test's child needs PATH and nothing else
      env: { PATH: process.env['PATH'], TALKMESH_DRAIN_DEADLINE_MS: '10000', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let rest = '';
    this.process.stdout?.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) this.lines.push(JSON.parse(part) as LogLine);
    });
    this.process.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.#exited = once(this.process, 'close');
  }

  line(msg: string): LogLine | undefined {
    return this.lines.find((line) => line.msg === msg);
  }

  async waitForLine(msg: string): Promise<LogLine> {
    await waitUntil(() => this.line(msg) !== undefined || this.process.exitCode !== null, PATIENCE_MS);
    const line = this.line(msg);
    if (line === undefined) throw new Error(`no line "${msg}" in ${JSON.stringify(this.lines)} ${this.stderr}`);
    return line;
  }

  async ready(): Promise<{ grpcAddress: string; adminAddress: string; instanceId: string }> {
    return (await this.waitForLine('ready')) as never;
  }

  signal(name: NodeJS.Signals): void {
    this.process.kill(name);
  }

  /** Exit code; the name of the signal when one killed it. */
  async exit(): Promise<number | string | null> {
    await this.#exited;
    return this.process.exitCode ?? this.process.signalCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill('SIGKILL');
    await this.#exited;
  }
}
