import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { v1 } from '@talkmesh/contracts/protos';
import { callUnary, closeClient, connectClient } from '../grpc/grpc.js';
import { waitUntil } from '../waiting.js';
import { flagsOf } from './modules.js';

const PATIENCE_MS = 60_000;

export interface LogLine {
  readonly msg: string;
  readonly level: string;
  readonly [field: string]: unknown;
}

/** A service as in production: its main.ts, or the compiled main.js, in a process of its own with no environment but PATH and `env`. */
export class ServiceProcess implements AsyncDisposable {
  readonly lines: LogLine[] = [];
  stderr = '';
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;

  constructor(main: URL, env: NodeJS.ProcessEnv, nodeFlags: readonly string[] = []) {
    const path = fileURLToPath(main);
    const { PATH } = process.env;
    const child = spawn(process.execPath, [...flagsOf(main), ...nodeFlags, path], {
      env: { PATH, TALKMESH_PARENT_PID: String(process.pid), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    createInterface({ input: child.stdout }).on('line', (line) => this.lines.push(JSON.parse(line) as LogLine));
    child.stderr.on('data', (data: Buffer) => {
      this.stderr += data.toString();
    });
    this.#exited = once(child, 'close');
    this.#process = child;
  }

  /** Resolves when the service is ready. @throws Error with the log when it ends, or is not ready within a minute */
  static async start(main: URL, env: NodeJS.ProcessEnv): Promise<ServiceProcess> {
    const service = new ServiceProcess(main, env);
    try {
      await service.ready();
      return service;
    } catch (error) {
      await service[Symbol.asyncDispose]();
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Address of its gRPC server; undefined until it is ready. */
  get grpcAddress(): string | undefined {
    return this.line('ready')?.['grpcAddress'] as string | undefined;
  }

  /** Everything the process printed so far. */
  get log(): string {
    return `${this.lines.map((line) => JSON.stringify(line)).join('\n')}\n${this.stderr}`;
  }

  line(msg: string): LogLine | undefined {
    return this.lines.find((line) => line.msg === msg);
  }

  async waitForLine(msg: string): Promise<LogLine> {
    await waitUntil(() => this.line(msg) !== undefined || this.#process.exitCode !== null, PATIENCE_MS);
    const line = this.line(msg);
    if (line === undefined) throw new Error(`no line "${msg}": ${this.log}`);
    return line;
  }

  async ready(): Promise<{ grpcAddress: string; adminAddress: string; instanceId: string }> {
    return (await this.waitForLine('ready')) as never;
  }

  /** Calls StageService. */
  async call<Res>(method: string, request: object = {}): Promise<Res> {
    const client = connectClient(v1.StageService, (await this.ready()).grpcAddress);
    try {
      return await callUnary<object, Res>(client, method, request, { deadlineMs: PATIENCE_MS });
    } finally {
      closeClient(client);
    }
  }

  /** Value of one sample of /metrics, e.g. `talkmesh_chunks_total{outcome="ok"}`; 0 when there is none. */
  async metric(sample: string): Promise<number> {
    const { adminAddress } = await this.ready();
    const text = await (await fetch(`http://${adminAddress}/metrics`)).text();
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${sample} `));
    return line === undefined ? 0 : Number(line.slice(sample.length + 1));
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** The exit code, or the name of the signal that ended the process. */
  async exit(): Promise<number | string | null> {
    await this.#exited;
    return this.#process.exitCode ?? this.#process.signalCode;
  }

  /** Ends the process as an orchestrator does: SIGTERM, and SIGKILL when it has not exited within 30 s. */
  async terminate(): Promise<number | string | null> {
    const kill = setTimeout(() => this.signal('SIGKILL'), 30_000);
    this.signal('SIGTERM');
    try {
      return await this.exit();
    } finally {
      clearTimeout(kill);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal('SIGKILL');
    await this.#exited;
  }
}
