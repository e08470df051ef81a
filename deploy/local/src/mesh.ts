import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MeshError, OPEN_ORDER, type ServiceName } from '@talkmesh/contracts';
import type { ServiceSpec } from './managed-service.js';
import { type LocalNats, startNats } from './nats.js';
import { parseReplicas, type Replicas } from './replicas.js';
import { readyLine, Supervisor } from './supervisor.js';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Consumers before producers; the edge last, when there is something behind it. */
const START_ORDER: readonly ServiceName[] = [...OPEN_ORDER, 'gateway'];
/** A call that is running when the mesh is stopped gets this long, milliseconds. */
const DRAIN_DEADLINE_MS = 500;
const PORTS_TRIED = 20;
/** The gateway finds workers that are ready within this time, milliseconds, and is asked this often. */
const FOUND_MS = 20_000;
const FOUND_PAUSE_MS = 50;

export interface MeshOptions {
  /** Model folder; TALKMESH_MODEL or the nano model by default. */
  readonly model?: string;
  /** Processes of a service, 1 by default; TALKMESH_REPLICAS (`score-model=2,vae-decode=2`) sets them too. One gateway only. */
  readonly replicas?: Replicas;
  /** Waits before a crashed service starts again, milliseconds; the last one is for every further crash. */
  readonly restartMs?: readonly number[];
  /** More environment for single services. */
  readonly env?: Partial<Record<ServiceName, NodeJS.ProcessEnv>>;
  /** Says nothing but failures. */
  readonly quiet?: boolean;
  /** Progress and warnings, a line each; stderr by default. */
  readonly say?: (line: string) => void;
  /** First HTTP port tried; 0 (default): any free one. */
  readonly httpPort?: number;
  readonly signal?: AbortSignal;
}

export interface MeshService {
  readonly name: ServiceName;
  readonly pid: number;
  readonly instanceId: string;
  readonly grpcAddress: string;
}

export interface Mesh {
  readonly httpUrl: string;
  /** Public gRPC endpoint. */
  readonly grpcAddress: string;
  readonly apiKey: string;
  readonly natsUrl: string;
  /** TALKMESH_NATS_* with which a program of one's own connects. */
  readonly natsEnv: Readonly<Record<string, string>>;
  readonly services: readonly MeshService[];
  readonly logFolder: string;
  /** Settles when the mesh cannot go on: a service that does not come back, NATS gone. */
  readonly failed: Promise<MeshError>;
  stop(): Promise<void>;
  /** SIGKILL for everything, at once. */
  kill(): void;
  /** After `stop`, when nobody will want to read them. The user's own folder (TALKMESH_LOG_DIR) stays. */
  removeLogs(): Promise<void>;
}

/** The nano model unless TALKMESH_MODEL names another. */
export function modelFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env['TALKMESH_MODEL'] || join(ROOT, 'models/nano');
}

/** Starts NATS and the six services as real processes on this machine. @throws MeshError that says what to do */
export async function startMesh(options: MeshOptions = {}): Promise<Mesh> {
  const tell = options.say ?? ((line: string) => void process.stderr.write(`${line}\n`));
  const say = options.quiet ? () => {} : tell;
  const begin = performance.now();
  const nats = await startNats(process.env, say);
  say(readyLine('nats-server', performance.now() - begin));
  try {
    return await startServices(nats, options, say);
  } catch (error) {
    await nats.stop();
    throw error;
  }
}

async function startServices(nats: LocalNats, options: MeshOptions, say: (line: string) => void): Promise<Mesh> {
  const logFolder = await makeLogFolder();
  const apiKey = randomBytes(24).toString('hex');
  const common = commonEnv(nats, options.model ?? modelFolder());
  const gateway = {
    TALKMESH_API_KEYS: apiKey,
    TALKMESH_TOKEN_SECRET: randomBytes(32).toString('hex'),
    TALKMESH_HTTP_PORT: String(options.httpPort ? await freePort(options.httpPort) : 0),
  };
  const replicas = { ...parseReplicas(process.env['TALKMESH_REPLICAS'] ?? ''), ...options.replicas };
  const specs = START_ORDER.flatMap((name): ServiceSpec[] => {
    const env = { ...common, ...(name === 'gateway' && gateway), ...options.env?.[name] };
    const entry = join(ROOT, 'services', name, 'src/main.ts');
    return Array.from({ length: name === 'gateway' ? 1 : (replicas[name] ?? 1) }, (_, index) => {
      const label = index === 0 ? name : `${name}-${index + 1}`;
      return { name, label, entry, env, logFile: join(logFolder, `${label}.log`) };
    });
  });
  let fail: (error: MeshError) => void = () => {};
  const failed = new Promise<MeshError>((resolve) => {
    fail = resolve;
  });
  const supervisor = new Supervisor(specs, {
    say,
    parallel: Math.max(2, availableParallelism()),
    onFailed: fail,
    ...(options.restartMs !== undefined && { backoffMs: options.restartMs }),
  });
  void nats.lost.then((why) => fail(new MeshError('NATS_UNAVAILABLE', why)));
  await startUnlessAborted(supervisor, options.signal);
  await untilCallsCanBeOpened(supervisor, options.signal);
  return describe(supervisor, nats, { apiKey, logFolder, failed });
}

async function makeLogFolder(): Promise<string> {
  const named = process.env['TALKMESH_LOG_DIR'];
  if (!named) return mkdtemp(join(tmpdir(), 'talkmesh-log-'));
  await mkdir(named, { recursive: true });
  return resolve(named);
}

/** Every process is ready; now the gateway has to have found them. @throws MeshError NO_WORKER naming what it did not find */
async function untilCallsCanBeOpened(supervisor: Supervisor, signal: AbortSignal | undefined): Promise<void> {
  const admin = supervisor.services.find(({ spec }) => spec.name === 'gateway')?.facts?.adminAddress;
  let missing: readonly string[] = [];
  for (
    const end = performance.now() + FOUND_MS;
    performance.now() < end && !signal?.aborted;
    await sleep(FOUND_PAUSE_MS)
  ) {
    // The gateway itself may have crashed and be starting again: it is asked until it answers.
    const answer = await fetch(`http://${admin}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    ({ missing = [] } = ((await answer?.json().catch(() => undefined)) ?? {}) as { missing?: string[] });
  }
  await supervisor.stop();
  signal?.throwIfAborted();
  throw new MeshError('NO_WORKER', `the gateway did not find ${missing.join(', ') || 'its workers'}; look at the logs`);
}

async function startUnlessAborted(supervisor: Supervisor, signal: AbortSignal | undefined): Promise<void> {
  const stop = (): void => void supervisor.stop();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    signal?.throwIfAborted();
    await supervisor.start();
    signal?.throwIfAborted();
  } finally {
    signal?.removeEventListener('abort', stop);
    if (signal?.aborted) await supervisor.stop();
  }
}

function describe(supervisor: Supervisor, nats: LocalNats, rest: Pick<Mesh, 'apiKey' | 'logFolder' | 'failed'>): Mesh {
  const edge = supervisor.services.find((service) => service.spec.name === 'gateway')?.facts;
  if (edge?.httpAddress === undefined) throw new MeshError('INTERNAL', 'the gateway did not say its HTTP address');
  return {
    ...rest,
    httpUrl: `http://${edge.httpAddress.replace(/^https?:\/\//, '')}`,
    grpcAddress: edge.grpcAddress,
    natsUrl: nats.url,
    natsEnv: nats.env,
    get services() {
      return supervisor.services.map(({ spec, pid = 0, facts }) => ({
        name: spec.name as ServiceName,
        pid,
        instanceId: facts?.instanceId ?? '',
        grpcAddress: facts?.grpcAddress ?? '',
      }));
    },
    async stop() {
      try {
        await supervisor.stop();
      } finally {
        await nats.stop();
      }
    },
    kill() {
      supervisor.kill();
      void nats.stop();
    },
    async removeLogs() {
      if (!process.env['TALKMESH_LOG_DIR']) await rm(rest.logFolder, { recursive: true, force: true });
    },
  };
}

/** Settings of every service; what the user set in the environment comes first, except what belongs to one process. */
function commonEnv(nats: LocalNats, model: string): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, TALKMESH_HTTP_PORT: _http, TALKMESH_API_KEYS: _keys, ...inherited } = process.env;
  return {
    TALKMESH_LOG_LEVEL: 'info',
    TALKMESH_DRAIN_DEADLINE_MS: String(DRAIN_DEADLINE_MS),
    ...inherited,
    ...nats.env,
    TALKMESH_MODEL: model,
    TALKMESH_GRPC_HOST: '127.0.0.1',
    TALKMESH_GRPC_PORT: '0',
    TALKMESH_ADMIN_PORT: '0',
    TALKMESH_INSTANCE_ID: '',
    TALKMESH_LOG_PRETTY: 'false',
    TALKMESH_PARENT_PID: String(process.pid),
  };
}

/** The first free port of a few from `first` on, else 0. */
async function freePort(first: number): Promise<number> {
  for (let port = first; port < first + PORTS_TRIED && port < 65_536; port++) if (await isFree(port)) return port;
  return 0;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
