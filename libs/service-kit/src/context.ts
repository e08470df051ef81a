import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { ServiceName } from '@talkmesh/contracts';
import type { Readiness } from './admin-http.js';
import type { Bus } from './bus.js';
import type { BaseConfig } from './config.js';
import type { GrpcServiceImpl } from './grpc.js';
import type { Logger } from './logging.js';
import type { Metrics } from './metrics.js';
import type { WorkerHandlers } from './worker.js';

/** What the kit gives a service: everything that touches the outside. */
export interface ServiceContext<C> {
  readonly name: ServiceName;
  readonly config: C;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly bus: Bus;
  /** Aborted when draining begins: end streams that have no session of their own, start nothing new. Sessions go on. */
  readonly signal: AbortSignal;
}

/** What a service gives back once it can work. */
export interface RunningService {
  readonly grpc: readonly GrpcServiceImpl[];
  /** Present for the five workers: the kit then serves StageService and keeps the registry. */
  readonly worker?: WorkerHandlers;
  /** More facts for the `ready` line, e.g. `{ httpAddress }`. */
  readonly ready?: Readonly<Record<string, unknown>>;
  /** What `/readyz` says besides: whether what this service needs of others is there. Asked with every request, once it is READY. */
  readiness?(): Promise<Readiness>;
  /** Called after the sessions are gone or the drain deadline passed, with what is left of it, milliseconds. */
  drain?(deadlineMs: number): Promise<void>;
  /** Called last, after gRPC is closed; NATS is still there. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ServiceDefinitionOf<C extends BaseConfig> {
  readonly name: ServiceName;
  /** @throws MeshError CONFIG_INVALID: exit code 78. */
  parseConfig(env: NodeJS.ProcessEnv): C;
  start(context: ServiceContext<C>): Promise<RunningService>;
}

const WILDCARDS = new Set(['0.0.0.0', '::', '[::]']);

/** Fills in what depends on the service and the machine: instanceId and advertiseHost. */
export function completeConfig<C extends BaseConfig>(name: ServiceName, config: C): C {
  const instanceId = config.instanceId || `${name}-${randomBytes(4).toString('hex')}`;
  const advertiseHost = config.advertiseHost || (WILDCARDS.has(config.grpcHost) ? hostname() : config.grpcHost);
  return { ...config, instanceId, advertiseHost };
}
