import {
  ResponderBuilder,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { MeshError, packageDefinition } from '@talkmesh/contracts';
import { HealthImplementation } from 'grpc-health-check';
import { CHANNEL_OPTIONS, type GrpcServiceImpl } from './grpc.js';
import type { Metrics } from './metrics.js';
import { waitAtMost } from './waiting.js';

/** Calls at once on one connection. */
const MAX_STREAMS = 1000;

const HEALTH_WATCH = '/grpc.health.v1.Health/Watch';

/** A process's gRPC server: its services, grpc.health.v1 with a status per service, and reflection. */
export class KitGrpcServer {
  readonly #server: Server;
  readonly #health: HealthImplementation;
  readonly #names: readonly string[];
  /** Health streams would never end by themselves. */
  readonly #watches = new Set<ServerInterceptingCallInterface>();

  constructor(services: readonly GrpcServiceImpl[], metrics: Metrics) {
    const interceptors = [measureCalls(metrics), this.#keepWatches()];
    this.#server = new Server({ ...CHANNEL_OPTIONS, 'grpc.max_concurrent_streams': MAX_STREAMS, interceptors });
    for (const { definition, implementation } of services) this.#server.addService(definition, implementation);
    this.#names = ['', ...services.map(({ definition }) => serviceName(definition))];
    this.#health = new HealthImplementation();
    this.#health.addToServer(this.#server);
    new ReflectionService(packageDefinition, { services: this.#names.slice(1) }).addToServer(this.#server);
    this.setServing(false);
  }

  /** @returns the port. @throws MeshError CONFIG_INVALID when the address cannot be bound. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(hostPort(host, port), ServerCredentials.createInsecure(), (cause, bound) => {
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

  /** Lets running calls finish, for at most `limitMs` and until `signal`; then cuts them. @returns whether all finished. */
  async close(limitMs: number, signal: AbortSignal): Promise<boolean> {
    const closed = new Promise<void>((resolve, reject) => {
      this.#server.tryShutdown((error) => (error ? reject(error) : resolve()));
    });
    for (const watch of this.#watches) watch.sendStatus({ code: status.UNAVAILABLE, details: 'the service has ended' });
    const outcome = await waitAtMost(closed, limitMs, signal);
    if (outcome === 'gave-up') this.#server.forceShutdown();
    return outcome === 'done';
  }

  #keepWatches(): ServerInterceptor {
    return ({ path }, call) => {
      if (path !== HEALTH_WATCH) return new ServerInterceptingCall(call);
      this.#watches.add(call);
      const forget = (): boolean => this.#watches.delete(call);
      return new ServerInterceptingCall(call, {
        start: (next) => next({ onCancel: forget }),
        sendStatus: (outcome, next) => {
          forget();
          next(outcome);
        },
      });
    };
  }
}

/** talkmesh_rpc_seconds of every call that got a status, streams included. */
function measureCalls(metrics: Metrics): ServerInterceptor {
  const seconds = metrics.histogram('talkmesh_rpc_seconds', 'Time to the status of a gRPC call', ['method', 'code']);
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
