import { setTimeout as sleep } from 'node:timers/promises';
import type { MeshError } from '@talkmesh/contracts';
import { ManagedService, type ManagedServiceOptions, type ServiceSpec } from './managed-service.js';

export interface SupervisorOptions extends ManagedServiceOptions {
  /** Receives progress and warnings of the services, one line each. */
  readonly say: (line: string) => void;
  /** Number of services that may start at the same time. */
  readonly parallel: number;
  /** Called when a service fails for good after all services were ready. */
  readonly onFailed: (error: MeshError) => void;
}

const STOP_GRACE_MS = 10_000;
/** The last service in the order, the gateway, ends its sessions on the workers, so it is stopped this much earlier. */
const GATEWAY_HEAD_START_MS = 3000;
const NAME_WIDTH = 17;

/** Starts services in order, keeps them running, stops them in reverse order and leaves no process behind. */
export class Supervisor {
  readonly services: readonly ManagedService[];
  readonly #options: SupervisorOptions;
  #stopped: Promise<void> | undefined;
  #isUp = false;

  constructor(specs: readonly ServiceSpec[], options: SupervisorOptions) {
    this.#options = options;
    this.services = specs.map((spec) => new ManagedService(spec, options));
  }

  /** Resolves when all services are ready. When one fails, the others are stopped first. @throws MeshError of the service that failed */
  async start(): Promise<void> {
    const queue = [...this.services];
    const startNext = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined && !this.#stopped; next = queue.shift())
        await this.#start(next);
    };
    try {
      await Promise.all(Array.from({ length: this.#options.parallel }, startNext));
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#isUp = true;
  }

  /** Idempotent: further callers wait for the first stop. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /** Kills all services and the processes they started with SIGKILL. */
  kill(): void {
    for (const service of this.services) service.kill();
  }

  async #start(service: ManagedService): Promise<void> {
    const begin = performance.now();
    const { say, onFailed } = this.#options;
    const name = service.spec.label ?? service.spec.name;
    service.on('notice', (text) => say(`  ${name.padEnd(NAME_WIDTH)} ${text}`));
    service.on('failed', (error) => {
      if (this.#isUp) onFailed(error);
    });
    await service.start();
    say(readyLine(name, performance.now() - begin));
  }

  async #stop(): Promise<void> {
    const [gateway, ...others] = [...this.services].reverse();
    const gatewayStopped = gateway?.stop(STOP_GRACE_MS);
    await Promise.race([gatewayStopped, sleep(GATEWAY_HEAD_START_MS)]);
    await Promise.all([gatewayStopped, ...others.map((service) => service.stop(STOP_GRACE_MS))]);
  }
}

export function readyLine(name: string, tookMs: number): string {
  return `  ${name.padEnd(NAME_WIDTH)} ready  ${(tookMs / 1000).toFixed(1)} s`;
}
