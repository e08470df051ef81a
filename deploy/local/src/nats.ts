import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MeshError } from '@talkmesh/contracts';
import { killGroup } from './process-group.js';
import { findProgram, isExecutable } from './tools.js';

const START_BUDGET_MS = 15_000;
const REACH_BUDGET_MS = 3000;
const STOP_BUDGET_MS = 5000;
const INSTALL = 'apt-get install -y --no-install-recommends nats-server';
const WATCHDOG = fileURLToPath(new URL('./watchdog.mjs', import.meta.url));

/** The NATS server of a local mesh: one that was given, or one of its own. */
export interface LocalNats {
  readonly url: string;
  /** Environment with which services connect. */
  readonly env: Readonly<Record<string, string>>;
  /** Settles when a server of our own ended without being told to. */
  readonly lost: Promise<string>;
  stop(): Promise<void>;
}

/**
 * TALKMESH_NATS_URL when it is set; else a nats-server of PATH or of the distribution's package, on a random loopback port with
 * JetStream and a password of its own.
 * @throws MeshError NATS_UNAVAILABLE, TOOL_MISSING: both say what to do
 */
export async function startNats(
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
  find: typeof findProgram = findProgram,
): Promise<LocalNats> {
  const given = env['TALKMESH_NATS_URL'];
  if (given) return useGiven(given, env);
  const program = findServer(env, find) ?? (await install(env, say, find));
  return OwnNats.start(program);
}

async function useGiven(url: string, env: NodeJS.ProcessEnv): Promise<LocalNats> {
  const [first = ''] = url.split(',');
  if (!URL.canParse(first))
    throw new MeshError('NATS_UNAVAILABLE', `TALKMESH_NATS_URL=${first} is not nats://host:port`);
  const { hostname, port } = new URL(first);
  if (!(await reaches(hostname, Number(port || 4222))))
    throw new MeshError(
      'NATS_UNAVAILABLE',
      `no NATS server answers at TALKMESH_NATS_URL=${first}; start it, or unset the variable`,
    );
  const names = ['TALKMESH_NATS_URL', 'TALKMESH_NATS_USER', 'TALKMESH_NATS_PASSWORD_FILE'];
  const passed = names.flatMap((name) => (env[name] ? [[name, env[name]] as const] : []));
  return { url, env: Object.fromEntries(passed), lost: new Promise(() => {}), stop: async () => {} };
}

function reaches(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: REACH_BUDGET_MS });
    const answer = (reached: boolean) => () => {
      socket.destroy();
      resolve(reached);
    };
    socket.once('connect', answer(true)).once('timeout', answer(false)).once('error', answer(false));
  });
}

function findServer(env: NodeJS.ProcessEnv, find: typeof findProgram): string | undefined {
  const named = env['TALKMESH_NATS_SERVER'];
  if (!named) return find('nats-server', env);
  if (isExecutable(named)) return named;
  throw new MeshError('TOOL_MISSING', `TALKMESH_NATS_SERVER=${named} is not a program`);
}

async function install(env: NodeJS.ProcessEnv, say: (line: string) => void, find: typeof findProgram): Promise<string> {
  const missing = 'talkmesh needs nats-server (or a running one: TALKMESH_NATS_URL=nats://host:port)';
  if (find('apt-get', env) === undefined)
    throw new MeshError('TOOL_MISSING', `${missing}; get it from https://nats.io and put it on PATH`);
  if (process.getuid?.() !== 0) throw new MeshError('TOOL_MISSING', `${missing}; run: sudo ${INSTALL}`);
  say('  nats-server       installing the package of this distribution');
  const output = (await run('apt-get update', env)) + (await run(INSTALL, env));
  const program = find('nats-server', env);
  if (program !== undefined) return program;
  throw new MeshError('TOOL_MISSING', `${output.slice(-2000)}\n${missing}; this failed: ${INSTALL}`);
}

function run(command: string, env: NodeJS.ProcessEnv): Promise<string> {
  const [program = '', ...args] = command.split(' ');
  return new Promise((resolve) => {
    let output = '';
    const quiet = { ...env, DEBIAN_FRONTEND: 'noninteractive' };
    const child = spawn(program, args, { env: quiet, stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (part: Buffer): void => {
      output = (output + part.toString()).slice(-16_384);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => resolve(`${program}: ${error.message}`));
    child.once('close', () => resolve(output));
  });
}

class OwnNats implements LocalNats {
  readonly #watchdog: ChildProcess;
  readonly #ended: Promise<string>;
  readonly #user: Readonly<Record<string, string>>;
  #stopping = false;
  url = '';

  private constructor(watchdog: ChildProcess, user: Readonly<Record<string, string>>) {
    this.#watchdog = watchdog;
    this.#user = user;
    let complaint = '';
    watchdog.stderr?.on('data', (part: Buffer) => {
      complaint = (complaint + part.toString()).slice(-4096);
    });
    this.#ended = new Promise((resolve) => {
      watchdog.once('exit', (code) => resolve(`nats-server ended with code ${code}: ${complaint.slice(-1000)}`));
      watchdog.once('error', (error) => resolve(error.message));
    });
  }

  static async start(program: string): Promise<OwnNats> {
    const folder = await mkdtemp(join(tmpdir(), 'talkmesh-nats-'));
    const [config, passwordFile] = [join(folder, 'nats.conf'), join(folder, 'password')];
    const password = randomBytes(24).toString('hex');
    await writeFile(passwordFile, password, { mode: 0o600 });
    await writeFile(config, configText(folder, password), { mode: 0o600 });
    const args = [WATCHDOG, folder, program, '-c', config];
    // The pipe on stdin is the lifeline: when this process is gone, however it went, it closes and the watchdog ends the server.
    const watchdog = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'pipe'], detached: true });
    const user = { TALKMESH_NATS_USER: 'talkmesh', TALKMESH_NATS_PASSWORD_FILE: passwordFile };
    const nats = new OwnNats(watchdog, user);
    try {
      nats.url = await nats.#waitForPort(folder);
    } catch (error) {
      await nats.stop();
      throw error;
    }
    return nats;
  }

  get env(): Readonly<Record<string, string>> {
    return { ...this.#user, TALKMESH_NATS_URL: this.url };
  }

  get lost(): Promise<string> {
    return this.#ended.then((why) => (this.#stopping ? new Promise<string>(() => {}) : why));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#watchdog.stdin?.end();
    const giveUp = new AbortController();
    const late = sleep(STOP_BUDGET_MS, 'late', { signal: giveUp.signal }).catch(() => 'ended');
    if ((await Promise.race([this.#ended, late])) === 'late') killGroup(this.#watchdog);
    giveUp.abort();
  }

  async #waitForPort(folder: string): Promise<string> {
    let ended: string | undefined;
    void this.#ended.then((why) => {
      ended = why;
    });
    for (const until = Date.now() + START_BUDGET_MS; Date.now() < until && ended === undefined; await sleep(20)) {
      const name = (await readdir(folder)).find((file) => file.endsWith('.ports'));
      const url = name === undefined ? undefined : portOf(await readFile(join(folder, name), 'utf8'));
      if (url !== undefined) return url;
    }
    throw new MeshError('NATS_UNAVAILABLE', ended ?? `nats-server did not start within ${START_BUDGET_MS / 1000} s`);
  }
}

function portOf(json: string): string | undefined {
  try {
    return (JSON.parse(json) as { nats?: string[] }).nats?.[0];
  } catch {
    return undefined;
  }
}

const configText = (folder: string, password: string): string => `
host: "127.0.0.1"
port: -1
ports_file_dir: ${JSON.stringify(folder)}
jetstream { store_dir: ${JSON.stringify(join(folder, 'jetstream'))} }
authorization { user: "talkmesh", password: "${password}" }
max_pending: 64MB
`;
