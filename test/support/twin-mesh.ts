import { randomBytes } from 'node:crypto';
import { OPEN_ORDER, type ServiceName, type WorkerName } from '@talkmesh/contracts';
import { NatsProxy, type NatsServer, ServiceProcess, startNatsServer } from '@talkmesh/service-kit/testing';
import { type Mesh, modelFolder, startMesh } from '../../deploy/local/src/mesh.js';

export const DRAIN_DEADLINE_MS = 30_000;
const TOKEN_SECRET = randomBytes(32).toString('hex');

const userOf = ({ users }: NatsServer, service: ServiceName): NodeJS.ProcessEnv => {
  const settings = users?.settingsOf(service);
  return { TALKMESH_NATS_USER: settings?.natsUser, TALKMESH_NATS_PASSWORD_FILE: settings?.natsPasswordFile };
};

/** A mesh with two workers of every kind, each of which can be cut off from NATS. */
export class TwinMesh implements AsyncDisposable {
  readonly nats: NatsServer;
  readonly proxy: NatsProxy;
  readonly mesh: Mesh;
  readonly #said: string[];

  private constructor(nats: NatsServer, proxy: NatsProxy, mesh: Mesh, said: string[]) {
    this.nats = nats;
    this.proxy = proxy;
    this.mesh = mesh;
    this.#said = said;
  }

  /** @param gateway additional environment of the gateway */
  static async start(gateway: NodeJS.ProcessEnv): Promise<TwinMesh> {
    const nats = await startNatsServer({ users: true });
    const proxy = await NatsProxy.start(nats.url);
    const said: string[] = [];
    const worker = { TALKMESH_NATS_URL: proxy.url, TALKMESH_DRAIN_DEADLINE_MS: String(DRAIN_DEADLINE_MS) };
    const ofEach = <T>(make: (name: WorkerName) => T) =>
      Object.fromEntries(OPEN_ORDER.map((name) => [name, make(name)]));
    process.env['TALKMESH_NATS_URL'] = nats.url;
    try {
      const replicas: Record<WorkerName, number> = ofEach(() => 2) as Record<WorkerName, number>;
      const env: Partial<Record<ServiceName, NodeJS.ProcessEnv>> = {
        ...ofEach((name) => ({ ...worker, ...userOf(nats, name) })),
        gateway: { ...userOf(nats, 'gateway'), ...gateway, TALKMESH_TOKEN_SECRET: TOKEN_SECRET },
      };
      const mesh = await startMesh({ say: (line) => void said.push(line), replicas, restartMs: [200], env });
      return new TwinMesh(nats, proxy, mesh, said);
    } catch (error) {
      await proxy[Symbol.asyncDispose]();
      await nats[Symbol.asyncDispose]();
      throw error;
    } finally {
      delete process.env['TALKMESH_NATS_URL'];
    }
  }

  /** Starts a second gateway. @param env its additional environment */
  secondGateway(env: Record<string, string>): Promise<ServiceProcess> {
    const own = { TALKMESH_API_KEYS: this.mesh.apiKey, TALKMESH_TOKEN_SECRET: TOKEN_SECRET, TALKMESH_HTTP_PORT: '0' };
    const main = new URL('../../services/gateway/dist/main.js', import.meta.url);
    return ServiceProcess.start(main, {
      ...this.mesh.natsEnvOf('gateway'),
      TALKMESH_GRPC_SECRET_FILE: this.mesh.grpcSecretFile,
      TALKMESH_MODEL: modelFolder(),
      ...own,
      ...env,
    });
  }

  /** How processes of a service ended so far, as the supervisor logged it. */
  endings(service: WorkerName): string[] {
    return this.#said.flatMap((line) => {
      const [name = '', how] = line.trim().split(/\s+(ended with code \d+|was ended by \w+)/);
      return how !== undefined && (name === service || name === `${service}-2`) ? [how] : [];
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mesh.stop();
    await this.proxy[Symbol.asyncDispose]();
    await this.nats[Symbol.asyncDispose]();
  }
}
