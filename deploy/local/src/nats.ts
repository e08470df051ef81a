import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MeshError, type ServiceName } from '@talkmesh/contracts';
import { envName, type NatsUserFiles, writeNatsUsers } from '@talkmesh/service-kit';
import { killGroup } from './process-group.js';
import { findOrInstall } from './system-package.js';
import { type findProgram, isExecutable } from './tools.js';

const ANY_PORT = -1;
const START_DEADLINE_MS = 15_000;
const CONNECT_DEADLINE_MS = 3000;
const STOP_DEADLINE_MS = 5000;
const WATCHDOG = fileURLToPath(new URL('./watchdog.mjs', import.meta.url));

/** The NATS server of a local mesh: an existing one, or one that the mesh started. */
export interface LocalNats {
  readonly url: string;
  /** Environment variables with which a service connects: its own user, with the permissions of the pipeline table. */
  envOf(service: ServiceName): Readonly<Record<string, string>>;
  /** Resolves with the reason when a server that the mesh started exits before `stop` and cannot be started again. */
  readonly lost: Promise<string>;
  stop(): Promise<void>;
}

/**
 * Uses the server of TALKMESH_NATS_URL when that is set. Otherwise starts the nats-server on PATH, or of the distribution's package,
 * with JetStream, a random loopback port, and one user with a random password per service.
 * @throws MeshError NATS_UNAVAILABLE, TOOL_MISSING; the message says what to do
 */
export async function startNats(
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
  find?: typeof findProgram,
): Promise<LocalNats> {
  const url = env['TALKMESH_NATS_URL'];
  if (url) return useExisting(url, env);
  const program = namedServer(env) ?? (await findOrInstall(NATS_SERVER, env, say, find));
  return OwnNats.start(program, say);
}

async function useExisting(url: string, env: NodeJS.ProcessEnv): Promise<LocalNats> {
  const [first = ''] = url.split(',');
  if (!URL.canParse(first))
    throw new MeshError('NATS_UNAVAILABLE', `TALKMESH_NATS_URL=${first} must have the form nats://host:port`);
  const { hostname, port } = new URL(first);
  if (!(await canConnect(hostname, Number(port || 4222))))
    throw new MeshError(
      'NATS_UNAVAILABLE',
      `no NATS server answers at TALKMESH_NATS_URL=${first}; start it, or unset the variable`,
    );
  const passed = Object.entries(env).filter(([name, value]) => name.startsWith(envName('nats')) && value !== '');
  const given = Object.fromEntries(passed) as Record<string, string>;
  return { url, envOf: () => given, lost: new Promise(() => {}), stop: async () => {} };
}

function canConnect(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_DEADLINE_MS });
    const finish = (reached: boolean) => () => {
      socket.destroy();
      resolve(reached);
    };
    socket.once('connect', finish(true)).once('timeout', finish(false)).once('error', finish(false));
  });
}

function namedServer(env: NodeJS.ProcessEnv): string | undefined {
  const named = env['TALKMESH_NATS_SERVER'];
  if (!named) return undefined;
  if (isExecutable(named)) return named;
  throw new MeshError(
    'TOOL_MISSING',
    `TALKMESH_NATS_SERVER=${named} is not an executable file; correct it or unset the variable`,
  );
}

const NATS_SERVER = {
  program: 'nats-server',
  missing: 'talkmesh needs the program nats-server (or a running server: TALKMESH_NATS_URL=nats://host:port)',
  elsewhere: 'download it from https://nats.io and put it on PATH',
};

class OwnNats implements LocalNats {
  readonly #watchdog: ChildProcess;
  readonly #ended: Promise<string>;
  readonly #users: NatsUserFiles;
  #stopping = false;
  url = '';

  private constructor(watchdog: ChildProcess, users: NatsUserFiles, say: (line: string) => void) {
    this.#watchdog = watchdog;
    this.#users = users;
    let stderrText = '';
    watchdog.stderr?.on('data', (part: Buffer) => {
      const text = part.toString();
      stderrText = (stderrText + text).slice(-4096);
      if (text.includes('watchdog:')) say('  nats-server       ended and is started again; sessions continue');
    });
    this.#ended = new Promise((resolve) => {
      watchdog.once('exit', (code) => resolve(`nats-server ended with code ${code}: ${stderrText.slice(-1000)}`));
      watchdog.once('error', (error) => resolve(error.message));
    });
  }

  static async start(program: string, say: (line: string) => void): Promise<OwnNats> {
    const folder = await mkdtemp(join(tmpdir(), 'talkmesh-nats-'));
    const config = join(folder, 'nats.conf');
    const users = await writeNatsUsers(folder);
    const writeConfig = (port: number): Promise<void> =>
      writeFile(config, configText(folder, port) + users.serverConfig, { mode: 0o600 });
    await writeConfig(ANY_PORT);
    const args = [WATCHDOG, folder, program, '-c', config];
    // The pipe on stdin closes when this process exits, even by SIGKILL; the watchdog then stops the server.
    const watchdog = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'pipe'], detached: true });
    const nats = new OwnNats(watchdog, users, say);
    try {
      nats.url = await nats.#waitForPort(folder);
      // A server that the watchdog starts again must be where the services look for it.
      await writeConfig(Number(new URL(nats.url).port));
    } catch (error) {
      await nats.stop();
      throw error;
    }
    return nats;
  }

  envOf(service: ServiceName): Readonly<Record<string, string>> {
    const { natsUser, natsPasswordFile } = this.#users.settingsOf(service);
    return {
      TALKMESH_NATS_URL: this.url,
      TALKMESH_NATS_USER: natsUser,
      TALKMESH_NATS_PASSWORD_FILE: natsPasswordFile,
    };
  }

  get lost(): Promise<string> {
    return this.#ended.then((why) => (this.#stopping ? new Promise<string>(() => {}) : why));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#watchdog.stdin?.end();
    const deadlineAbort = new AbortController();
    const deadline = sleep(STOP_DEADLINE_MS, 'late', { signal: deadlineAbort.signal }).catch(() => 'ended');
    if ((await Promise.race([this.#ended, deadline])) === 'late') killGroup(this.#watchdog);
    deadlineAbort.abort();
  }

  async #waitForPort(folder: string): Promise<string> {
    let ended: string | undefined;
    void this.#ended.then((why) => {
      ended = why;
    });
    for (
      const until = performance.now() + START_DEADLINE_MS;
      performance.now() < until && ended === undefined;
      await sleep(20)
    ) {
      const name = (await readdir(folder)).find((file) => file.endsWith('.ports'));
      const url = name === undefined ? undefined : portOf(await readFile(join(folder, name), 'utf8'));
      if (url !== undefined) return url;
    }
    throw new MeshError('NATS_UNAVAILABLE', ended ?? `nats-server did not start within ${START_DEADLINE_MS / 1000} s`);
  }
}

function portOf(json: string): string | undefined {
  try {
    return (JSON.parse(json) as { nats?: string[] }).nats?.[0];
  } catch {
    return undefined;
  }
}

const configText = (folder: string, port: number): string => `
host: "127.0.0.1"
port: ${port}
ports_file_dir: ${JSON.stringify(folder)}
jetstream { store_dir: ${JSON.stringify(join(folder, 'jetstream'))} }
max_pending: 64MB
`;
