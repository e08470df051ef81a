import {
  ResponderBuilder,
  Server,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { MeshError } from '@talkmesh/contracts';
import { packageDefinition } from '@talkmesh/contracts/protos';
import { HealthImplementation } from 'grpc-health-check';
import type { Metrics } from '../metrics.js';
import { waitAtMost } from '../waiting.js';
import { CHANNEL_OPTIONS, type GrpcServiceImpl } from './grpc.js';
import { guardCalls, withReceiveLimits } from './guard.js';
import { OPEN_SERVER, type ServerSecurity } from './security.js';

/** Most concurrent calls on one connection. */
const MAX_STREAMS = 1000;
/** A connection without calls is closed after this time; clients open it again for the next call. */
const MAX_IDLE_MS = 300_000;

/**
 * Each message and enumeration of a package definition carries the same descriptors of all files, and reflection decodes those of each:
 * one is enough, and a server starts sooner.
 */
const REFLECTED = Object.fromEntries(
  Object.entries(packageDefinition)
    .filter(([, definition]) => 'fileDescriptorProtos' in definition)
    .slice(0, 1),
);

const HEALTH_WATCH = '/grpc.health.v1.Health/Watch';

/** The gRPC server of a process: its services, grpc.health.v1 with a status per service, and reflection. */
export class KitGrpcServer {
  readonly #server: Server;
  readonly #health: HealthImplementation;
  readonly #names: readonly string[];
  /** Open Health/Watch streams. They never end on their own and would hold up a shutdown, so `close` ends them. */
  readonly #watches = new Set<ServerInterceptingCallInterface>();

  readonly #security: ServerSecurity;

  constructor(services: readonly GrpcServiceImpl[], metrics: Metrics, security: ServerSecurity = OPEN_SERVER) {
    this.#security = security;
    const interceptors = [measureCalls(metrics), guardCalls(security), this.#trackWatches()];
    this.#server = new Server({
      ...CHANNEL_OPTIONS,
      'grpc.max_concurrent_streams': MAX_STREAMS,
      'grpc.max_connection_idle_ms': MAX_IDLE_MS,
      interceptors,
    });
    for (const { definition, implementation } of services)
      this.#server.addService(withReceiveLimits(definition), implementation);
    this.#names = ['', ...services.map(({ definition }) => serviceName(definition))];
    this.#health = new HealthImplementation();
    this.#health.addToServer(this.#server);
    new ReflectionService(REFLECTED, { services: this.#names.slice(1) }).addToServer(this.#server);
    this.setServing(false);
  }

  /** @returns the port. @throws MeshError CONFIG_INVALID when the address cannot be bound. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(hostPort(host, port), this.#security.credentials, (cause, bound) => {
        if (cause === null) resolve(bound);
        else
          reject(
            new MeshError(
              'CONFIG_INVALID',
              `gRPC cannot listen on ${hostPort(host, port)} (${cause.message}): set TALKMESH_GRPC_HOST, TALKMESH_GRPC_PORT`,
              { cause },
            ),
          );
      });
    });
  }

  setServing(serving: boolean): void {
    for (const name of this.#names) this.#health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
  }

  /** Lets running calls finish until `limitMs` have passed or `signal` is aborted, then cuts them. @returns whether all finished */
  async close(limitMs: number, signal: AbortSignal): Promise<boolean> {
    const closed = new Promise<void>((resolve, reject) => {
      this.#server.tryShutdown((error) => (error ? reject(error) : resolve()));
    });
    for (const watch of this.#watches)
      watch.sendStatus({ code: status.UNAVAILABLE, details: 'the service is shutting down' });
    const outcome = await waitAtMost(closed, limitMs, signal);
    if (outcome === 'gave-up') this.#server.forceShutdown();
    return outcome === 'done';
  }

  #trackWatches(): ServerInterceptor {
    return ({ path }, call) => {
      if (path !== HEALTH_WATCH) return new ServerInterceptingCall(call);
      this.#watches.add(call);
      const untrack = (): boolean => this.#watches.delete(call);
      return new ServerInterceptingCall(call, {
        start: (next) => next({ onCancel: untrack }),
        sendStatus: (outcome, next) => {
          untrack();
          next(outcome);
        },
      });
    };
  }
}

/** Records talkmesh_rpc_seconds for every call that ends with a status, streams included. */
function measureCalls(metrics: Metrics): ServerInterceptor {
  const seconds = metrics.histogram('talkmesh_rpc_seconds', 'Duration of a gRPC call until its status', [
    'method',
    'code',
  ]);
  return (method, call) => {
    const end = seconds.startTimer({ method: method.path });
    const responder = new ResponderBuilder().withSendStatus((outcome, next) => {
      end({ code: status[outcome.code ?? status.UNKNOWN] });
      next(outcome);
    });
    return new ServerInterceptingCall(call, responder.build());
  };
}

function serviceName(definition: GrpcServiceImpl['definition']): string {
  const path = Object.values(definition)[0]?.path ?? '';
  return path.split('/')[1] ?? '';
}

/** `host:port`, with brackets around an IPv6 address. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
