import type { ServiceName, Stream } from '@talkmesh/contracts';
import { type Bus, NatsBus } from '../bus/bus.js';
import { connectNats } from '../bus/nats-connection.js';
import { type BaseConfig, defineConfig } from '../config.js';
import { PLAIN_CLIENT } from '../grpc/security.js';
import { createLogger, type Logger } from '../logging.js';
import { createMetrics } from '../metrics.js';
import { completeConfig, type ServiceContext } from '../process/context.js';

export interface TestContext<C> extends ServiceContext<C>, AsyncDisposable {
  readonly bus: NatsBus;
  /** Aborts `signal`, as the start of a drain does. */
  drain(): void;
  /** Creates the JetStream streams that retain messages, as `runService` does. */
  retain(): Promise<void>;
}

/**
 * Creates a ServiceContext without `runService`: silent log, metrics of its own, a real connection to `natsUrl`. A test plays the peers of
 * its service with contexts of other names, so that the pipeline table is enforced in tests too.
 * @param logTo receives the log, of every level; without it nothing is logged
 */
export async function createTestContext<C extends object = object>(
  name: ServiceName,
  config: (C & Partial<BaseConfig>) | undefined,
  natsUrl: string,
  logTo?: (line: string) => void,
): Promise<TestContext<C & BaseConfig>> {
  const base = defineConfig({})({ TALKMESH_NATS_URL: natsUrl });
  const complete = completeConfig(name, { ...base, ...config } as C & BaseConfig);
  const log = testLog(name, complete.instanceId, logTo);
  const metrics = createMetrics({ defaults: false });
  const abort = new AbortController();
  const nc = await connectNats(name, complete, log, abort.signal);
  const { instanceId, natsReplicas: replicas } = complete;
  const bus = new NatsBus({ nc, service: name, instanceId, log, metrics, replicas });
  const drain = () => abort.abort(new DOMException('the service is draining', 'AbortError'));
  return {
    name,
    config: complete,
    log,
    metrics,
    bus,
    peerSecurity: PLAIN_CLIENT,
    signal: abort.signal,
    drain,
    retain: () => bus.retain(),
    async [Symbol.asyncDispose]() {
      drain();
      await nc.close();
    },
  };
}

function testLog(service: ServiceName, instanceId: string, write?: (line: string) => void): Logger {
  const level = write === undefined ? 'silent' : 'trace';
  return createLogger({ service, instanceId, level, pretty: false }, { write: write ?? (() => undefined) });
}

/** Subscribes to a stream of a session. @returns a list that grows with the messages that arrive */
export function collect<T>(
  bus: Pick<Bus, 'subscribe'>,
  stream: Stream,
  sessionId: string,
  decode: (payload: Uint8Array) => T,
): T[] {
  const messages: T[] = [];
  bus.subscribe(stream, sessionId, (payload) => void messages.push(decode(payload)));
  return messages;
}
