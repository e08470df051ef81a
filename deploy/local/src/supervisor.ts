import { setTimeout as sleep } from 'node:timers/promises';
import type { MeshError } from '@talkmesh/contracts';
import { ManagedService, type ManagedServiceOptions, type ServiceSpec } from './managed-service.js';

export interface SupervisorOptions extends ManagedServiceOptions {
  /** One line: a service is ready, crashed, warns. */
  readonly say: (line: string) => void;
  /** Services that start at the same time. */
  readonly parallel: number;
  /** A service failed for good after the mesh was up. */
  readonly onFailed: (error: MeshError) => void;
}

const STOP_GRACE_MS = 10_000;
/** The last service (the edge) ends its sessions on the others, so it goes first. */
const EDGE_HEAD_START_MS = 3000;
const NAME_WIDTH = 17;

/** Starts services in order, keeps them running, stops them in reverse order and leaves no process behind. */
export class Supervisor {
  readonly services: readonly ManagedService[];
  readonly #options: SupervisorOptions;
  #stopped: Promise<void> | undefined;
  #up = false;

  constructor(specs: readonly ServiceSpec[], options: SupervisorOptions) {
    this.#options = options;
    this.services = specs.map((spec) => new ManagedService(spec, options));
  }

  /** Settles when all are ready. When one fails, the others are stopped first. @throws MeshError of the service that failed */
  async start(): Promise<void> {
    const waiting = [...this.services];
    const lane = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined && !this.#stopped; next = waiting.shift())
        await this.#start(next);
    };
    try {
      await Promise.all(Array.from({ length: this.#options.parallel }, lane));
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#up = true;
  }

  /** Safe to call again; the second caller waits with the first. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /** At once, with everything the services started. */
  kill(): void {
    for (const service of this.services) service.kill();
  }

  async #start(service: ManagedService): Promise<void> {
    const begin = performance.now();
    const { say, onFailed } = this.#options;
    const name = service.spec.label ?? service.spec.name;
    service.on('notice', (text) => say(`  ${name.padEnd(NAME_WIDTH)} ${text}`));
    service.on('failed', (error) => {
      if (this.#up) onFailed(error);
    });
    await service.start();
    say(readyLine(name, performance.now() - begin));
  }

  async #stop(): Promise<void> {
    const [edge, ...others] = [...this.services].reverse();
    const edgeGone = edge?.stop(STOP_GRACE_MS);
    await Promise.race([edgeGone, sleep(EDGE_HEAD_START_MS)]);
    await Promise.all([edgeGone, ...others.map((service) => service.stop(STOP_GRACE_MS))]);
  }
}

export function readyLine(name: string, tookMs: number): string {
  return `  ${name.padEnd(NAME_WIDTH)} ready  ${(tookMs / 1000).toFixed(1)} s`;
}
