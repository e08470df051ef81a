import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_BUDGET_MS = 15_000;
const CONFIG_FILE = 'nats.conf';

/** A real nats-server with JetStream on a free port of the loopback, its data in a temporary folder. */
export interface NatsServer extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** SIGKILL: connections break as when a machine dies. */
  kill(): Promise<void>;
  /** Starts it again on the same port. What JetStream held in memory is gone. */
  start(): Promise<void>;
}

export interface NatsServerOptions {
  /** Environment with TALKMESH_NATS_SERVER, the program to run; `nats-server` from PATH when not set. */
  readonly env?: NodeJS.ProcessEnv;
  /** More of its configuration, in nats-server's own syntax: users, permissions, limits. */
  readonly config?: string;
}

export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const env = options.env ?? process.env;
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-nats-'));
  await writeFile(join(folder, CONFIG_FILE), options.config ?? '');
  const server = new SpawnedNatsServer(env['TALKMESH_NATS_SERVER'] || 'nats-server', folder);
  try {
    await server.start();
  } catch (thrown) {
    await server[Symbol.asyncDispose]();
    throw thrown;
  }
  return server;
}

class SpawnedNatsServer implements NatsServer {
  readonly #program: string;
  readonly #folder: string;
  #process: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #stderr = '';
  url = '';

  constructor(program: string, folder: string) {
    this.#program = program;
    this.#folder = folder;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  async start(): Promise<void> {
    const port = this.url === '' ? '-1' : new URL(this.url).port;
    const args = [
      '-c',
      join(this.#folder, CONFIG_FILE),
      '-a',
      '127.0.0.1',
      '-p',
      port,
      '-js',
      '-sd',
      join(this.#folder, 'js'),
      '--ports_file_dir',
      this.#folder,
    ];
    const child = spawn(this.#program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process = child;
    const killWithUs = () => child.kill('SIGKILL');
    process.once('exit', killWithUs);
    child.once('exit', () => process.removeListener('exit', killWithUs));
    let ended: string | undefined;
    this.#exited = new Promise((resolve) => {
      child.once('error', (cause) => {
        ended = `${this.#program} cannot be started (${cause.message}): install nats-server or set TALKMESH_NATS_SERVER`;
        resolve(undefined);
      });
      child.once('exit', (code, signal) => {
        ended ??= `nats-server ended with ${code ?? signal}: ${this.#stderr.slice(-1000)}`;
        resolve(undefined);
      });
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-65_536);
    });
    const until = Date.now() + START_BUDGET_MS;
    while (ended === undefined) {
      const url = await this.#readPortsFile(child.pid);
      if (url !== undefined) {
        this.url = url;
        return;
      }
      if (Date.now() > until)
        throw new Error(`nats-server wrote no ports file within ${START_BUDGET_MS} ms: ${this.#stderr}`);
      await sleep(20);
    }
    throw new Error(ended);
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end('SIGTERM');
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#process?.kill(signal);
    const timer = setTimeout(() => this.#process?.kill('SIGKILL'), 5000);
    await this.#exited;
    clearTimeout(timer);
    this.#process = undefined;
  }

  async #readPortsFile(pid: number | undefined): Promise<string | undefined> {
    const name = (await readdir(this.#folder)).find((file) => file.endsWith(`_${pid}.ports`));
    if (name === undefined) return undefined;
    try {
      const { nats } = JSON.parse(await readFile(join(this.#folder, name), 'utf8')) as { nats?: string[] };
      return nats?.[0];
    } catch {
      return undefined;
    }
  }
}
