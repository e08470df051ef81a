import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type NatsUserFiles, writeNatsUsers } from '../bus/nats-users.js';

const START_BUDGET_MS = 15_000;
const CONFIG_FILE = 'nats.conf';

/** A real nats-server with JetStream on a free port of the loopback interface, with its data in a temporary folder. */
export interface NatsServer extends AsyncDisposable {
  readonly url: string;
  /** The user of a service; undefined without `users`. */
  readonly users: NatsUserFiles | undefined;
  readonly pid: number;
  /** Ends the server with SIGKILL: connections break as at a crash. */
  kill(): Promise<void>;
  /** Replaces the additional configuration; it counts from the next start on. */
  configure(config: string): Promise<void>;
  /** Starts the server once more on the same port. What JetStream held in memory is lost. */
  start(): Promise<void>;
}

export interface NatsServerOptions {
  /** Environment in which TALKMESH_NATS_SERVER names the program to run. Default: `nats-server` from PATH. */
  readonly env?: NodeJS.ProcessEnv;
  /** Additional configuration in the syntax of nats-server: users, permissions, limits. */
  readonly config?: string;
  /** Creates one user per service, with the permissions of the pipeline table. */
  readonly users?: boolean;
}

export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const env = options.env ?? process.env;
  const folder = await mkdtemp(join(tmpdir(), 'talkmesh-nats-'));
  const users = options.users ? await writeNatsUsers(folder) : undefined;
  await writeFile(join(folder, CONFIG_FILE), `${options.config ?? ''}\n${users?.serverConfig ?? ''}`, { mode: 0o600 });
  const server = new SpawnedNatsServer(env['TALKMESH_NATS_SERVER'] || 'nats-server', folder, users);
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
  readonly users: NatsUserFiles | undefined;
  url = '';

  constructor(program: string, folder: string, users: NatsUserFiles | undefined) {
    this.#program = program;
    this.#folder = folder;
    this.users = users;
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
        ended ??= `nats-server exited with ${code ?? signal}: ${this.#stderr.slice(-1000)}`;
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

  configure(config: string): Promise<void> {
    return writeFile(join(this.#folder, CONFIG_FILE), config, { mode: 0o600 });
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
