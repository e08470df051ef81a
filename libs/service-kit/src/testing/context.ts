import type { ServiceName } from '@talkmesh/contracts';
import { NatsBus } from '../bus.js';
import { type BaseConfig, defineConfig } from '../config.js';
import { completeConfig, type ServiceContext } from '../context.js';
import { createLogger } from '../logging.js';
import { createMetrics } from '../metrics.js';
import { connectNats } from '../nats-connection.js';

export interface TestContext<C> extends ServiceContext<C>, AsyncDisposable {
  /** Aborts `signal`, as the begin of a drain does. */
  drain(): void;
  /** Makes the streams that retain, as runService does. */
  retain(): Promise<void>;
}

/**
 * A ServiceContext outside of runService: silent log, own metrics, a real connection to `natsUrl`. Peers of the service under test are
 * contexts with other names, so the pipeline table holds in tests too.
 */
export async function createTestContext<C extends object = object>(
  name: ServiceName,
  config: (C & Partial<BaseConfig>) | undefined,
  natsUrl: string,
): Promise<TestContext<C & BaseConfig>> {
  const base = defineConfig({})({ TALKMESH_NATS_URL: natsUrl });
  const complete = completeConfig(name, { ...base, ...config } as C & BaseConfig);
  const log = createLogger({ service: name, instanceId: complete.instanceId, level: 'silent', pretty: false });
  const metrics = createMetrics({ defaults: false });
  const abort = new AbortController();
  const nc = await connectNats(complete, log, abort.signal);
  const bus = new NatsBus({ nc, service: name, instanceId: complete.instanceId, log, metrics });
  const drain = () => abort.abort(new DOMException('the service is draining', 'AbortError'));
  return {
    name,
    config: complete,
    log,
    metrics,
    bus,
    signal: abort.signal,
    drain,
    retain: () => bus.retain(),
    async [Symbol.asyncDispose]() {
      drain();
      await nc.close();
    },
  };
}
