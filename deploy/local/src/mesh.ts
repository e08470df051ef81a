import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MeshError, OPEN_ORDER, type ServiceName } from '@talkmesh/contracts';
import { envName } from '@talkmesh/service-kit';
import { buildPackages } from './build.js';
import type { ManagedServiceOptions, ServiceSpec } from './managed-service.js';
import { type LocalNats, startNats } from './nats.js';
import { recordingEnv } from './recording-key.js';
import { parseReplicas, type Replicas } from './replicas.js';
import { readyLine, Supervisor } from './supervisor.js';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Consumers start before producers; the gateway starts last, when it has workers to find. */
const START_ORDER: readonly ServiceName[] = [...OPEN_ORDER, 'gateway'];
/** Sessions that run when the mesh is stopped may continue for this long, milliseconds. */
const DRAIN_DEADLINE_MS = 500;
const MAX_PORTS_TRIED = 20;
/** It loads OpenTelemetry when OTEL_EXPORTER_OTLP_ENDPOINT is set, and nothing otherwise. */
const TRACING = join(ROOT, 'libs/service-kit/dist/telemetry/preload.js');
const MAX_START_DEADLINE_MS = 24 * 3_600_000;
/** Longest time for the gateway to find the ready workers, and the interval at which it is polled, milliseconds. */
const DISCOVERY_DEADLINE_MS = 20_000;
const DISCOVERY_POLL_MS = 50;

export interface MeshOptions {
  /** Model folder; TALKMESH_MODEL or the nano model by default. */
  readonly model?: string;
  /** Number of processes per worker service, 1 by default. It overrides TALKMESH_REPLICAS (`score-model=2,vae-decode=2`). */
  readonly replicas?: Replicas;
  /** Back-off before restarts of a crashed service, milliseconds; the last value is used for all further crashes. */
  readonly restartMs?: readonly number[];
  /** Additional environment variables of single services. */
  readonly env?: Partial<Record<ServiceName, NodeJS.ProcessEnv>>;
  /** Suppresses progress lines and warnings. */
  readonly quiet?: boolean;
  /** Receives progress and warnings, one line each; writes to stderr by default. */
  readonly say?: (line: string) => void;
  /** First HTTP port to try; 0 (the default) takes any free port. */
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
  /** Address of the gateway's public gRPC endpoint. */
  readonly grpcAddress: string;
  readonly apiKey: string;
  readonly natsUrl: string;
  /** TALKMESH_NATS_* variables with which another program can connect to this mesh as one of its services. */
  natsEnvOf(service: ServiceName): Readonly<NodeJS.ProcessEnv>;
  /** File with the secret with which the gateway calls the workers. */
  readonly grpcSecretFile: string;
  readonly services: readonly MeshService[];
  readonly logFolder: string;
  /** Resolves when the mesh can no longer work: a service failed for good, or NATS exited. */
  readonly failed: Promise<MeshError>;
  stop(): Promise<void>;
  /** Kills all processes with SIGKILL. */
  kill(): void;
  /** Deletes the logs; call it after `stop`. A folder that the user chose with TALKMESH_LOG_DIR is kept. */
  removeLogs(): Promise<void>;
}

/** The folder of `--model`, else that of TALKMESH_MODEL, else the nano model's. */
export function modelFolder(chosen?: string, env: NodeJS.ProcessEnv = process.env): string {
  return resolve(chosen || env['TALKMESH_MODEL'] || join(ROOT, 'models/nano'));
}

/** Starts NATS and the six services as real processes on this machine. @throws MeshError with what to do */
export async function startMesh(options: MeshOptions = {}): Promise<Mesh> {
  const print = options.say ?? ((line: string) => void process.stderr.write(`${line}\n`));
  const say = options.quiet ? () => {} : print;
  let begin = performance.now();
  const { compiled } = await buildPackages();
  if (compiled > 0) say(readyLine('compiled code', performance.now() - begin));
  begin = performance.now();
  const nats = await startNats(process.env, say);
  say(readyLine('nats-server', performance.now() - begin));
  const secret = await GrpcSecret.create();
  try {
    return await startServices(nats, secret, options, say);
  } catch (error) {
    secret.remove();
    await nats.stop();
    throw error;
  }
}

/** The secret with which the gateway calls the workers of this mesh, new for each run, in a file that only this user can read. */
class GrpcSecret {
  readonly file: string;
  readonly remove: () => void;

  private constructor(folder: string) {
    this.file = join(folder, 'secret');
    this.remove = () => {
      process.removeListener('exit', this.remove);
      rmSync(folder, { recursive: true, force: true });
    };
    process.once('exit', this.remove);
  }

  static async create(): Promise<GrpcSecret> {
    const secret = new GrpcSecret(await mkdtemp(join(tmpdir(), 'talkmesh-secret-')));
    await writeFile(secret.file, randomBytes(32).toString('hex'), { mode: 0o600 });
    return secret;
  }
}

async function startServices(
  nats: LocalNats,
  secret: GrpcSecret,
  options: MeshOptions,
  say: (line: string) => void,
): Promise<Mesh> {
  const logFolder = await makeLogFolder();
  const apiKey = randomBytes(24).toString('hex');
  const common = { ...commonEnv(modelFolder(options.model)), ...(await recordingEnv(process.env)) };
  const gateway = {
    // The name stays the same from run to run: recordings of an earlier one can be listed, webhooks name their owner.
    TALKMESH_API_KEYS: `demo:${apiKey}`,
    TALKMESH_TOKEN_SECRET: randomBytes(32).toString('hex'),
    TALKMESH_HTTP_PORT: String(options.httpPort ? await freePort(options.httpPort) : 0),
  };
  const replicas = { ...parseReplicas(process.env['TALKMESH_REPLICAS'] ?? ''), ...options.replicas };
  const specs = START_ORDER.flatMap((name): ServiceSpec[] => {
    const env = {
      ...common,
      ...nats.envOf(name),
      TALKMESH_GRPC_SECRET_FILE: secret.file,
      ...(name === 'gateway' && gateway),
      OTEL_SERVICE_NAME: name,
      ...options.env?.[name],
    };
    const entry = join(ROOT, 'services', name, 'dist/main.js');
    return Array.from({ length: name === 'gateway' ? 1 : (replicas[name] ?? 1) }, (_, index) => {
      const label = index === 0 ? name : `${name}-${index + 1}`;
      return { name, label, entry, preload: TRACING, env, logFile: join(logFolder, `${label}.log`) };
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
    ...startDeadline(process.env),
    ...(options.restartMs !== undefined && { backoffMs: options.restartMs }),
  });
  void nats.lost.then((why) => fail(new MeshError('NATS_UNAVAILABLE', why)));
  await startUnlessAborted(supervisor, options.signal);
  await waitForGateway(supervisor, options.signal);
  return describe(supervisor, nats, secret, { apiKey, logFolder, failed });
}

/** @throws MeshError CONFIG_INVALID */
export function startDeadline(env: NodeJS.ProcessEnv): Pick<ManagedServiceOptions, 'readyDeadlineMs'> {
  const text = env['TALKMESH_START_DEADLINE_MS'];
  if (!text) return {};
  const readyDeadlineMs = Number(text);
  if (Number.isInteger(readyDeadlineMs) && readyDeadlineMs > 0 && readyDeadlineMs <= MAX_START_DEADLINE_MS)
    return { readyDeadlineMs };
  throw new MeshError(
    'CONFIG_INVALID',
    `TALKMESH_START_DEADLINE_MS must be 1 to ${MAX_START_DEADLINE_MS} milliseconds, not ${text}`,
  );
}

async function makeLogFolder(): Promise<string> {
  const named = process.env['TALKMESH_LOG_DIR'];
  if (!named) return mkdtemp(join(tmpdir(), 'talkmesh-log-'));
  await mkdir(named, { recursive: true });
  return resolve(named);
}

/** Waits until the gateway has found the workers, so that sessions can be opened. @throws MeshError NO_WORKER naming what it did not find */
async function waitForGateway(supervisor: Supervisor, signal: AbortSignal | undefined): Promise<void> {
  const admin = supervisor.services.find(({ spec }) => spec.name === 'gateway')?.facts?.adminAddress;
  let missing: readonly string[] = [];
  let why: string | undefined;
  for (
    const end = performance.now() + DISCOVERY_DEADLINE_MS;
    performance.now() < end && !signal?.aborted;
    await sleep(DISCOVERY_POLL_MS)
  ) {
    // A failed request is retried, because the gateway itself may be restarting after a crash.
    const answer = await fetch(`http://${admin}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    const said = (await answer?.json().catch(() => undefined)) ?? {};
    ({ missing = [], why } = said as { missing?: string[]; why?: string });
  }
  await supervisor.stop();
  signal?.throwIfAborted();
  throw new MeshError(
    'NO_WORKER',
    `the gateway did not find ${missing.join(', ') || 'its workers'}; ${why ?? 'read the logs of these services'}`,
  );
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

function describe(
  supervisor: Supervisor,
  nats: LocalNats,
  secret: GrpcSecret,
  rest: Pick<Mesh, 'apiKey' | 'logFolder' | 'failed'>,
): Mesh {
  const gateway = supervisor.services.find((service) => service.spec.name === 'gateway')?.facts;
  if (gateway?.httpAddress === undefined)
    throw new MeshError('INTERNAL', 'the ready line of the gateway has no HTTP address');
  return {
    ...rest,
    httpUrl: `http://${gateway.httpAddress.replace(/^https?:\/\//, '')}`,
    grpcAddress: gateway.grpcAddress,
    natsUrl: nats.url,
    natsEnvOf(service) {
      const env = supervisor.services.find(({ spec }) => spec.name === service)?.spec.env ?? {};
      return Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith(envName('nats'))));
    },
    grpcSecretFile: secret.file,
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
        secret.remove();
        await nats.stop();
      }
    },
    kill() {
      supervisor.kill();
      secret.remove();
      void nats.stop();
    },
    async removeLogs() {
      if (!process.env['TALKMESH_LOG_DIR']) await rm(rest.logFolder, { recursive: true, force: true });
    },
  };
}

/** Environment of every service. The user's variables override the defaults, except those that must differ between processes. */
function commonEnv(model: string): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, TALKMESH_HTTP_PORT: _http, TALKMESH_API_KEYS: _keys, ...inherited } = process.env;
  return {
    TALKMESH_LOG_LEVEL: 'info',
    TALKMESH_DRAIN_DEADLINE_MS: String(DRAIN_DEADLINE_MS),
    ...inherited,
    TALKMESH_MODEL: model,
    TALKMESH_GRPC_HOST: '127.0.0.1',
    TALKMESH_GRPC_PORT: '0',
    TALKMESH_ADMIN_PORT: '0',
    TALKMESH_INSTANCE_ID: '',
    TALKMESH_LOG_PRETTY: 'false',
    TALKMESH_PARENT_PID: String(process.pid),
  };
}

/** @returns the first free port from `first` on, or 0 (any port) when the next ones are all taken */
async function freePort(first: number): Promise<number> {
  for (let port = first; port < first + MAX_PORTS_TRIED && port < 65_536; port++) if (await isFree(port)) return port;
  return 0;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
