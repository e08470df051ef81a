import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { ServiceName } from '@talkmesh/contracts';
import type { Bus } from '../bus/bus.js';
import type { BaseConfig } from '../config.js';
import type { GrpcServiceImpl } from '../grpc/grpc.js';
import type { ClientSecurity } from '../grpc/security.js';
import type { Logger } from '../logging.js';
import type { Metrics } from '../metrics.js';
import type { WorkerHandlers } from '../stage/worker.js';
import type { Readiness } from './admin-http.js';

/** What the kit passes to `start`: everything through which a service reaches the outside. */
export interface ServiceContext<C> {
  readonly name: ServiceName;
  readonly config: C;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly bus: Bus;
  /** For connections to the services that this one calls. */
  readonly peerSecurity: ClientSecurity;
  /** Aborted when draining begins: the service ends streams that belong to no session and starts nothing new. Sessions continue. */
  readonly signal: AbortSignal;
}

/** What `start` returns once the service can work. */
export interface RunningService {
  readonly grpc: readonly GrpcServiceImpl[];
  /** Present in the five worker services: the kit then serves StageService and keeps the worker's registry record. */
  readonly worker?: WorkerHandlers;
  /** Additional fields of the `ready` line, e.g. `{ httpAddress }`. */
  readonly ready?: Readonly<Record<string, unknown>>;
  /** Whether the other services that this one needs are available; part of `/readyz`. Called at every request while the state is READY. */
  readiness?(): Promise<Readiness>;
  /** Called when all sessions have ended or the drain deadline has passed. `deadlineMs`: the time left until that deadline. */
  drain?(deadlineMs: number): Promise<void>;
  /** Called last, when gRPC is closed and NATS is still connected. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ServiceDefinitionOf<C extends BaseConfig> {
  readonly name: ServiceName;
  /** @throws MeshError CONFIG_INVALID; the process then exits with code 78 */
  parseConfig(env: NodeJS.ProcessEnv): C;
  start(context: ServiceContext<C>): Promise<RunningService>;
}

const WILDCARDS = new Set(['0.0.0.0', '::', '[::]']);

/** Fills in the defaults that depend on the service and the machine: `instanceId` and `advertiseHost`. */
export function completeConfig<C extends BaseConfig>(name: ServiceName, config: C): C {
  const instanceId = config.instanceId || `${name}-${randomBytes(4).toString('hex')}`;
  const advertiseHost = config.advertiseHost || (WILDCARDS.has(config.grpcHost) ? hostname() : config.grpcHost);
  return { ...config, instanceId, advertiseHost };
}
