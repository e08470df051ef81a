/** A service of the mesh as a process, for tests: its log lines, its gRPC and its metrics. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { v1 } from '@talkmesh/contracts';
import { callUnary, closeClient, connectClient, waitUntil } from '@talkmesh/service-kit';

const SERVICES = fileURLToPath(new URL('../../../', import.meta.url));
const PATIENCE_MS = 60_000;

export class WorkerProcess implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;
  #stdout = '';
  stderr = '';

  constructor(service: 'score-model' | 'vae-decode', env: Readonly<Record<string, string>>) {
    const args = ['--import', 'tsx', '--conditions=source', `${SERVICES}${service}/src/main.ts`];
    this.#process = spawn(process.execPath, args, {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process.stdout?.on('data', (chunk: Buffer) => {
      this.#stdout += chunk.toString();
    });
    this.#process.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.#exited = once(this.#process, 'close');
  }

  get output(): string {
    return this.#stdout + this.stderr;
  }

  async ready(): Promise<{ grpcAddress: string; adminAddress: string }> {
    const line = (): string | undefined => this.#stdout.split('\n').find((text) => text.includes('"msg":"ready"'));
    await waitUntil(() => line() !== undefined || this.#process.exitCode !== null, PATIENCE_MS);
    const found = line();
    if (found === undefined) throw new Error(`not ready: ${this.output}`);
    return JSON.parse(found) as { grpcAddress: string; adminAddress: string };
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

  async exit(): Promise<number | string | null> {
    await this.#exited;
    return this.#process.exitCode ?? this.#process.signalCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill('SIGKILL');
    await this.#exited;
  }
}
