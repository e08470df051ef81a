/** The long-running programs of the node. */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Program, pathOf } from '../programs.js';

const LAST_LOG = 3000;
const STOP_MS = 3000;
const POLL_MS = 100;

export class Daemon {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #logFile: string;

  private constructor(name: string, child: ChildProcess, logFile: string) {
    this.name = name;
    this.#child = child;
    this.#logFile = logFile;
  }

  /** Starts a program whose output goes to `FOLDER/NAME.log`. @param folder its working directory */
  static start(program: Program, args: readonly string[], folder: string, env: NodeJS.ProcessEnv = {}): Daemon {
    const logFile = join(folder, `${program}.log`);
    const log = openSync(logFile, 'w');
    const child = spawn(pathOf(program), [...args], {
      cwd: folder,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env },
    });
    // A program that cannot be started is reported by `ready`.
    child.once('error', () => {});
    return new Daemon(program, child, logFile);
  }

  get log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  get isRunning(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Memory that it holds, in MiB. */
  get residentMib(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024);
  }

  /** Waits until `probe` is true. @throws Error with the last lines of its log when it ended or the time is over */
  async ready(probe: () => Promise<boolean>, timeoutMs = 120_000): Promise<void> {
    for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(POLL_MS)) {
      if (!this.isRunning) throw new Error(`${this.name} ended:\n${this.log.slice(-LAST_LOG)}`);
      if (await probe().catch(() => false)) return;
    }
    throw new Error(`${this.name} is not ready after ${timeoutMs / 1000} s:\n${this.log.slice(-LAST_LOG)}`);
  }

  /** SIGTERM, then SIGKILL. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  }
}
