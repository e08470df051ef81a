import { type Client, type ClientReadableStream, makeClientConstructor, type ServiceDefinition } from '@grpc/grpc-js';
import type { MeshError } from '@talkmesh/contracts';
import { service as health } from 'grpc-health-check';
import { type ClientConstructor, closeClient, connectClient, fromServiceError } from '../grpc/grpc.js';
import type { ClientSecurity } from '../grpc/security.js';

/** A connection without answers counts as lost after the sum of both, milliseconds. */
const KEEPALIVE = { 'grpc.keepalive_time_ms': 3000, 'grpc.keepalive_timeout_ms': 2000 } as const;

type HealthClient = Client & {
  watch(request: { service: string }): ClientReadableStream<{ status: string }>;
};
const HealthClient = makeClientConstructor(
  health as unknown as ServiceDefinition,
  'Health',
) as unknown as ClientConstructor<HealthClient>;

export interface HealthListener {
  /** Reports the status of the server: once at the start and after every change. */
  onStatus(serving: boolean): void;
  /** The stream has failed; no further status follows. PEER_LOST: the connection is lost or could not be established. */
  onEnd(error: MeshError): void;
}

/**
 * Watches a server with one long-lived `grpc.health.v1.Health/Watch` on a connection of its own. The exit of the process is detected
 * within milliseconds, an unreachable machine within the keepalive. @returns `cancel`, which ends the watch without calling the listener
 */
export function watchHealth(address: string, listener: HealthListener, security?: ClientSecurity): { cancel(): void } {
  const client = connectClient(HealthClient, address, security, {
    ...KEEPALIVE,
    'grpc.use_local_subchannel_pool': 1,
  });
  let ended = false;
  const end = (afterwards: () => void): void => {
    if (ended) return;
    ended = true;
    closeClient(client);
    afterwards();
  };
  const stream = client.watch({ service: '' });
  stream.on('data', ({ status }) => {
    if (!ended) listener.onStatus(status === 'SERVING');
  });
  stream.on('error', (error) => end(() => listener.onEnd(fromServiceError(error))));
  stream.on('end', () => undefined);
  return {
    cancel: () =>
      end(() => {
        stream.cancel();
      }),
  };
}
