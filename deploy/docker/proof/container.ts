import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceName } from '@talkmesh/contracts';
import type { ImageStore } from './image-store.js';

const READY_MS = 120_000;
const POLL_MS = 500;
/** One group of ports per service, because all containers share one network here. */
const FIRST_PORT = 20_000;
const PORTS_PER_SERVICE = 10;

export interface Ports {
  readonly grpc: number;
  readonly admin: number;
  readonly http: number;
}

export const portsOf = (index: number): Ports => {
  const first = FIRST_PORT + index * PORTS_PER_SERVICE;
  return { grpc: first, admin: first + 1, http: first + 2 };
};

interface State {
  readonly Pid: number;
  readonly Running: boolean;
  readonly ExitCode: number;
}

/** A container of one service, run as strictly as Kubernetes' `restricted` profile asks: no capabilities, nothing can be written. */
export class ServiceContainer {
  readonly #store: ImageStore;
  readonly #service: ServiceName;
  readonly ports: Ports;

  private constructor(store: ImageStore, service: ServiceName, ports: Ports) {
    this.#store = store;
    this.#service = service;
    this.ports = ports;
  }

  static async start(
    store: ImageStore,
    service: ServiceName,
    ports: Ports,
    env: Readonly<Record<string, string>>,
  ): Promise<ServiceContainer> {
    const settings = {
      ...env,
      TALKMESH_GRPC_HOST: '127.0.0.1',
      TALKMESH_GRPC_PORT: String(ports.grpc),
      TALKMESH_ADMIN_HOST: '127.0.0.1',
      TALKMESH_ADMIN_PORT: String(ports.admin),
      TALKMESH_HTTP_PORT: String(ports.http),
    };
    await store.podman([
      ...['run', '--detach', '--name', service, '--network', 'host', ...store.limits],
      ...['--read-only', '--read-only-tmpfs=false', '--cap-drop', 'all', '--security-opt', 'no-new-privileges'],
      ...['--memory', '1g', '--pids-limit', '200'],
      ...Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
      store.nameOf(service),
    ]);
    return new ServiceContainer(store, service, ports);
  }

  /** Waits until the image's own health check passes with `/readyz`. @throws Error with the log when it does not */
  async ready(): Promise<void> {
    for (const end = Date.now() + READY_MS; Date.now() < end; await sleep(POLL_MS)) {
      if (!(await this.state()).Running) break;
      const ready = this.exec(['node', '/app/healthcheck.mjs', 'readyz']);
      if (
        await ready.then(
          () => true,
          () => false,
        )
      )
        return;
    }
    throw new Error(`${this.#service} is not ready:\n${await this.log()}`);
  }

  /** The health check as the image declares it. @throws Error when it fails */
  async healthcheck(): Promise<void> {
    await this.#store.podman(['healthcheck', 'run', this.#service]);
  }

  exec(command: readonly string[]): Promise<string> {
    return this.#store.podman(['exec', this.#service, ...command]);
  }

  log(): Promise<string> {
    return this.#store.podman(['logs', this.#service]);
  }

  async state(): Promise<State> {
    return JSON.parse(await this.#store.podman(['inspect', '--format', '{{json .State}}', this.#service])) as State;
  }

  /** User, memory and command line of the service's process, read from outside the container. */
  async process(): Promise<{ readonly uid: number; readonly residentKib: number; readonly command: string }> {
    const { Pid: pid } = await this.state();
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return {
      uid: Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]),
      residentKib: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]),
      command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim(),
    };
  }

  /** SIGTERM, as a container platform ends it. @returns the exit code */
  async stop(): Promise<number> {
    await this.#store.podman(['stop', '--time', '30', this.#service]);
    return (await this.state()).ExitCode;
  }

  async remove(): Promise<void> {
    await this.#store.podman(['rm', '--force', '--time', '0', '--ignore', this.#service]);
  }
}
