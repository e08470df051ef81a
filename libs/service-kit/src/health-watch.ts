import { type Client, type ClientReadableStream, makeClientConstructor, type ServiceDefinition } from '@grpc/grpc-js';
import type { MeshError } from '@talkmesh/contracts';
import { service as health } from 'grpc-health-check';
import { type ClientConstructor, closeClient, connectClient, fromServiceError } from './grpc.js';

/** Silence on the connection is noticed within the sum of both, milliseconds. */
const KEEPALIVE = { 'grpc.keepalive_time_ms': 3000, 'grpc.keepalive_timeout_ms': 2000 } as const;

type HealthClient = Client & {
  watch(request: { service: string }): ClientReadableStream<{ status: string }>;
};
const HealthClient = makeClientConstructor(
  health as unknown as ServiceDefinition,
  'Health',
) as unknown as ClientConstructor<HealthClient>;

export interface HealthListener {
  /** What the server says of itself: at once, and whenever it changes. */
  onStatus(serving: boolean): void;
  /** The stream broke: nothing more comes. PEER_LOST when the connection is gone or could not be made. */
  onEnd(error: MeshError): void;
}

/**
 * One long-lived `grpc.health.v1.Health/Watch` on a connection of its own: a process that dies ends it within milliseconds, a
 * machine that falls silent within the keepalive. @returns what ends it without a word
 */
export function watchHealth(address: string, listener: HealthListener): { cancel(): void } {
  const client = connectClient(HealthClient, address, undefined, {
    ...KEEPALIVE,
    'grpc.use_local_subchannel_pool': 1,
  });
  let over = false;
  const end = (tell: () => void): void => {
    if (over) return;
    over = true;
    closeClient(client);
    tell();
  };
  const stream = client.watch({ service: '' });
  stream.on('data', ({ status }) => {
    if (!over) listener.onStatus(status === 'SERVING');
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
