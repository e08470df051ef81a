import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { MeshError } from '@talkmesh/contracts';
import { killGroup } from './process-group.js';

export interface ServiceSpec {
  readonly name: string;
  /** Distinguishes replicas of one service; the service's name by default. */
  readonly label?: string;
  /** Absolute path of the JavaScript file that is started. */
  readonly entry: string;
  /** Absolute path of a module that is imported before it. */
  readonly preload?: string;
  readonly env: NodeJS.ProcessEnv;
  readonly logFile: string;
}

/** Fields of the service's `ready` log line. */
export interface ReadyFacts {
  readonly grpcAddress: string;
  readonly instanceId: string;
  /** Address that serves `/readyz`. */
  readonly adminAddress?: string;
  readonly httpAddress?: string;
}

export interface ManagedServiceOptions {
  /** Longest time until the first `ready` line, milliseconds. */
  readonly readyDeadlineMs?: number;
  /** Back-off before a restart after the first, second, ... crash in a row, milliseconds; the last value is used for all further crashes. */
  readonly backoffMs?: readonly number[];
}

/** The configuration or the model is invalid, so a restart cannot help (EX_CONFIG of sysexits.h). */
const EXIT_CONFIG = 78;
const READY_DEADLINE_MS = 60_000;
const BACKOFF_MS = [500, 1000, 2000, 5000, 10_000];
/** A service that ran this long before a crash begins again with the shortest back-off. */
const STABLE_MS = 60_000;
const LAST_LINES = 12;

interface Events {
  ready: [ReadyFacts];
  /** Warnings and errors in the service's log, its stderr output, and changes of its process. */
  notice: [string];
  /** The service failed for good and is not restarted. */
  failed: [MeshError];
  /** `stop` or `kill` was called. */
  stopped: [];
}

/** Runs a service as a child process in its own process group: waits for its `ready` line, writes its log, restarts it after a crash. */
export class ManagedService extends EventEmitter<Events> {
  readonly spec: ServiceSpec;
  readonly #options: Required<ManagedServiceOptions>;
  #child: ChildProcess | undefined;
  #ready: ReadyFacts | undefined;
  #log: WriteStream;
  #lastLines: string[] = [];
  /** A restarted service keeps its ports, because other services know its addresses. */
  #ports: NodeJS.ProcessEnv = {};
  #crashes = 0;
  #startedAtMs = 0;
  #restart: NodeJS.Timeout | undefined;
  #readyTimer: NodeJS.Timeout | undefined;
  #stopping = false;
  #everReady = false;

  constructor(spec: ServiceSpec, options: ManagedServiceOptions = {}) {
    super();
    this.spec = spec;
    this.#options = { readyDeadlineMs: READY_DEADLINE_MS, backoffMs: BACKOFF_MS, ...options };
    this.#log = createWriteStream(spec.logFile, { flags: 'a' });
    this.#log.on('error', () => {});
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Undefined while it is not running or not ready. */
  get facts(): ReadyFacts | undefined {
    return this.#ready;
  }

  /** Resolves when the service is ready for the first time. @throws MeshError INTERNAL or CONFIG_INVALID with its last output */
  start(): Promise<ReadyFacts> {
    return new Promise((resolve, reject) => {
      this.once('ready', resolve);
      this.once('failed', reject);
      this.once('stopped', () => reject(new MeshError('CANCELLED', `${this.spec.name} was stopped while it started`)));
      this.#spawn();
    });
  }

  /** Sends SIGTERM, and SIGKILL to the whole group when the service has not exited after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#beginStop();
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const timer = setTimeout(() => killGroup(child), graceMs);
      await exited;
      clearTimeout(timer);
    }
    // Native child processes of the service may still run.
    if (child !== undefined) killGroup(child);
    this.#log.end();
  }

  kill(): void {
    this.#beginStop();
    if (this.#child !== undefined) killGroup(this.#child);
  }

  #beginStop(): void {
    this.#stopping = true;
    clearTimeout(this.#restart);
    clearTimeout(this.#readyTimer);
    this.emit('stopped');
  }

  #spawn(): void {
    this.#startedAtMs = performance.now();
    const env = { ...this.spec.env, ...this.#ports };
    const { preload, entry } = this.spec;
    const imports = preload === undefined ? [] : ['--import', preload];
    const args = ['--enable-source-maps', '--disable-warning=ExperimentalWarning', ...imports, entry];
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#child = child;
    createInterface({ input: child.stdout }).on('line', (line) => this.#onLine(line));
    createInterface({ input: child.stderr }).on('line', (line) => this.#onStderr(line));
    child.once('error', (error) => this.#fail(`cannot be started: ${error.message}`));
    child.once('close', (code, signal) => this.#onExit(code, signal));
    this.#readyTimer = setTimeout(() => {
      this.#fail(
        `is not ready after ${this.#options.readyDeadlineMs / 1000} s; a large model may need more (TALKMESH_START_DEADLINE_MS)`,
      );
      killGroup(child);
    }, this.#options.readyDeadlineMs);
  }

  #onLine(line: string): void {
    this.#log.write(`${line}\n`);
    const entry = parseLine(line);
    if (entry === undefined) this.#remember(line);
    else if (entry.msg === 'ready' && entry.grpcAddress !== undefined) this.#onReady(entry as unknown as ReadyFacts);
    else if (['warn', 'error', 'fatal'].includes(entry.level ?? '')) this.#onWarning(entry);
  }

  #onWarning(entry: LogLine): void {
    const why = entry.err?.message ?? entry.reason;
    const text = why === undefined || entry.msg?.includes(why) ? `${entry.msg}` : `${entry.msg}: ${why}`;
    this.#remember(text);
    this.emit('notice', `${entry.level} ${text}`);
  }

  #onStderr(line: string): void {
    this.#log.write(`${line}\n`);
    this.#remember(line);
    if (this.#everReady) this.emit('notice', line);
  }

  #onReady(facts: ReadyFacts): void {
    clearTimeout(this.#readyTimer);
    this.#ready = facts;
    this.#ports = { TALKMESH_GRPC_PORT: portOf(facts.grpcAddress) };
    if (facts.httpAddress !== undefined) this.#ports['TALKMESH_HTTP_PORT'] = portOf(facts.httpAddress);
    if (this.#everReady) this.emit('notice', 'is ready again');
    this.#everReady = true;
    this.emit('ready', facts);
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    clearTimeout(this.#readyTimer);
    this.#ready = undefined;
    if (this.#stopping) return;
    if (this.#child !== undefined) killGroup(this.#child);
    const how = code === null ? `was ended by ${signal}` : `ended with code ${code}`;
    if (!this.#everReady || code === EXIT_CONFIG) {
      this.#fail(how);
      return;
    }
    if (performance.now() - this.#startedAtMs > STABLE_MS) this.#crashes = 0;
    const { backoffMs } = this.#options;
    const wait = backoffMs[Math.min(this.#crashes, backoffMs.length - 1)] ?? 0;
    this.#crashes += 1;
    this.emit('notice', `${how}; starting it again in ${wait / 1000} s (log: ${this.spec.logFile})`);
    this.#restart = setTimeout(() => this.#spawn(), wait);
  }

  #fail(how: string): void {
    if (this.#stopping) return;
    this.#stopping = true;
    const output = this.#lastLines.length === 0 ? '' : `; its last output:\n  ${this.#lastLines.join('\n  ')}`;
    const reason = this.#child?.exitCode === EXIT_CONFIG ? 'CONFIG_INVALID' : 'INTERNAL';
    this.emit('failed', new MeshError(reason, `${this.spec.name} ${how}${output}`));
  }

  #remember(line: string): void {
    // Stack traces stay in the log; the line before them names the error.
    if (/^\s+at |^\s*$/.test(line)) return;
    this.#lastLines = [...this.#lastLines, line].slice(-LAST_LINES);
  }
}

const portOf = (address: string): string => address.slice(address.lastIndexOf(':') + 1);

interface LogLine {
  readonly msg?: string;
  readonly level?: string;
  readonly reason?: string;
  readonly err?: { readonly message?: string };
  readonly grpcAddress?: string;
}

function parseLine(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return undefined;
  }
}
