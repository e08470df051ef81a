import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const START_MS = 30_000;

/** A service running as in production: its main.ts in a process of its own. */
export class ServiceProcess implements AsyncDisposable {
  readonly grpcAddress: string;
  readonly adminAddress: string;
  readonly #process: ChildProcess;
  readonly #log: string[];

  /** @param env settings on top of this process's environment. @throws Error with the log when it does not get ready */
  static async start(main: URL, env: Record<string, string>): Promise<ServiceProcess> {
    const args = ['--import', 'tsx', '--conditions=source', fileURLToPath(main)];
    const child = spawn(process.execPath, args, {
      env: { ...process.env, TALKMESH_PARENT_PID: String(process.pid), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log: string[] = [];
    child.stderr.on('data', (data: Buffer) => log.push(data.toString()));
    const ready = new Promise<Record<string, unknown>>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`not ready within ${START_MS} ms:\n${log.join('\n')}`)),
        START_MS,
      );
      child.once('exit', (code, signal) => reject(new Error(`ended with ${code ?? signal}:\n${log.join('\n')}`)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        log.push(line);
        const entry = JSON.parse(line) as Record<string, unknown>;
        if (entry['msg'] !== 'ready') return;
        clearTimeout(timer);
        resolve(entry);
      });
    });
    const { grpcAddress, adminAddress } = await ready.catch((error: unknown) => {
      child.kill('SIGKILL');
      throw error;
    });
    return new ServiceProcess(child, String(grpcAddress), String(adminAddress), log);
  }

  private constructor(child: ChildProcess, grpcAddress: string, adminAddress: string, log: string[]) {
    this.#process = child;
    this.grpcAddress = grpcAddress;
    this.adminAddress = adminAddress;
    this.#log = log;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Everything it printed. */
  get log(): string {
    return this.#log.join('\n');
  }

  /** Sends SIGTERM and waits for the end. @returns exit code and signal */
  async terminate(): Promise<[number | null, NodeJS.Signals | null]> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null)
      return [this.#process.exitCode, this.#process.signalCode];
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    return (await exit) as [number | null, NodeJS.Signals | null];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const kill = setTimeout(() => this.#process.kill('SIGKILL'), 30_000);
    await this.terminate();
    clearTimeout(kill);
  }
}
