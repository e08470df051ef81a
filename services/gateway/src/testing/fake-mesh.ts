import { Server, ServerCredentials } from '@grpc/grpc-js';
import { OPEN_ORDER, type WorkerName } from '@talkmesh/contracts';
import type { RunningService } from '@talkmesh/service-kit';
import { createTestContext, type NatsServer, startNatsServer, type TestContext } from '@talkmesh/service-kit/testing';
import { type Config, parseConfig } from '../config.js';
import { startGateway } from '../service.js';
import { FakeWorker, type FakeWorkerOptions } from './fake-worker.js';
import { writeModelFolder } from './model-folder.js';

export const API_KEY = 'key-of-the-test-0123456789';
export const TOKEN_SECRET = 'a secret of the test, thirty-two bytes or more';

export interface Gateway extends AsyncDisposable {
  /** http://host:port */
  readonly url: string;
  readonly grpcAddress: string;
  readonly context: TestContext<Config>;
  /** The result of its `/readyz`. */
  readiness(): ReturnType<NonNullable<RunningService['readiness']>>;
}

export interface Answer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/** Real NATS, a real gateway on real sockets, one fake worker of each kind. */
export class FakeMesh implements AsyncDisposable {
  readonly nats: NatsServer;
  readonly modelFolder: string;
  readonly workers: Record<WorkerName, FakeWorker>;
  readonly gateway: Gateway;
  readonly #disposables: AsyncDisposable[];

  private constructor(
    nats: NatsServer,
    modelFolder: string,
    workers: Record<WorkerName, FakeWorker>,
    gateway: Gateway,
    disposables: AsyncDisposable[],
  ) {
    this.nats = nats;
    this.modelFolder = modelFolder;
    this.workers = workers;
    this.gateway = gateway;
    this.#disposables = disposables;
  }

  /** @param logTo receives the log of the gateway, of every level */
  static async start(env: Record<string, string> = {}, logTo?: (line: string) => void): Promise<FakeMesh> {
    const [nats, folder] = await Promise.all([startNatsServer(), writeModelFolder()]);
    const started = await Promise.all(OPEN_ORDER.map((service) => FakeWorker.start({ service, natsUrl: nats.url })));
    const workers = Object.fromEntries(started.map((worker) => [worker.record.service, worker])) as Record<
      WorkerName,
      FakeWorker
    >;
    const gateway = await startTestGateway(nats.url, folder.path, env, logTo);
    return new FakeMesh(nats, folder.path, workers, gateway, [gateway, ...started, nats, folder]);
  }

  async addWorker(options: Omit<FakeWorkerOptions, 'natsUrl'>): Promise<FakeWorker> {
    const worker = await FakeWorker.start({ ...options, natsUrl: this.nats.url });
    this.#disposables.splice(1, 0, worker);
    return worker;
  }

  async addGateway(env: Record<string, string> = {}): Promise<Gateway> {
    const gateway = await startTestGateway(this.nats.url, this.modelFolder, env);
    this.#disposables.unshift(gateway);
    return gateway;
  }

  /** Sends a request with the API key or the given bearer; bodies are converted from and to JSON. */
  async call<T = Record<string, unknown>>(
    method: string,
    path: string,
    options: {
      body?: unknown;
      type?: string;
      bearer?: string | undefined;
      headers?: Record<string, string>;
      gateway?: Gateway;
    } = {},
  ): Promise<Answer<T>> {
    const bearer = 'bearer' in options ? options.bearer : API_KEY;
    const headers: Record<string, string> = { ...options.headers };
    if (bearer !== undefined) headers['authorization'] = `Bearer ${bearer}`;
    if (options.body !== undefined) headers['content-type'] = options.type ?? 'application/json';
    const body =
      options.body === undefined
        ? {}
        : { body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) };
    const response = await fetch(`${(options.gateway ?? this.gateway).url}${path}`, { method, headers, ...body });
    const text = await response.text();
    const json = /json/.test(response.headers.get('content-type') ?? '') && text !== '';
    return { status: response.status, headers: response.headers, body: (json ? JSON.parse(text) : text) as T };
  }

  /** Creates a session and returns its id and token. */
  async session(body: object = {}): Promise<{ session: string; token: string }> {
    const answer = await this.call<{ session: { id: string }; token: string; detail?: string }>(
      'POST',
      '/v1/sessions',
      {
        body: { avatar: 'ada', ...body },
      },
    );
    if (answer.status !== 201) throw new Error(`no session: ${answer.status} ${answer.body.detail}`);
    return { session: answer.body.session.id, token: answer.body.token };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const disposable of this.#disposables) await disposable[Symbol.asyncDispose]();
  }
}

async function startTestGateway(
  natsUrl: string,
  model: string,
  env: Record<string, string>,
  logTo?: (line: string) => void,
): Promise<Gateway> {
  const config = parseConfig({
    TALKMESH_MODEL: model,
    TALKMESH_HTTP_PORT: '0',
    TALKMESH_API_KEYS: API_KEY,
    TALKMESH_TOKEN_SECRET: TOKEN_SECRET,
    TALKMESH_SWEEP_MS: '60000',
    TALKMESH_PLACEMENT_WAIT_MS: '150',
    ...env,
  });
  const { natsUrl: _, ...own } = config;
  const context = await createTestContext('gateway', { ...own, natsUrl }, natsUrl, logTo);
  await context.retain();
  const running = await startGateway(context).catch(async (error: unknown) => {
    await context[Symbol.asyncDispose]();
    throw error;
  });
  const server = new Server();
  for (const { definition, implementation } of running.grpc) server.addService(definition, implementation);
  const port = await bind(server);
  return {
    url: String(running.ready?.['httpAddress']),
    grpcAddress: `127.0.0.1:${port}`,
    context,
    readiness: async () => running.readiness?.() ?? { ready: true, details: {} },
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
      await (running satisfies RunningService)[Symbol.asyncDispose]();
      await context[Symbol.asyncDispose]();
    },
  };
}

function bind(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}

/** The parts of a browser's offer that the gateway checks. */
export function offer(...kinds: ('audio' | 'video')[]): string {
  const codecs = { audio: 'opus/48000/2', video: 'VP8/90000' };
  const media = kinds.flatMap((kind) => [
    `m=${kind} 9 UDP/TLS/RTP/SAVPF 96`,
    'c=IN IP4 0.0.0.0',
    'a=rtcp-mux',
    `a=rtpmap:96 ${codecs[kind]}`,
  ]);
  const session = [
    'v=0',
    'o=- 1 2 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=ice-ufrag:abcd',
    'a=ice-pwd:abcdefghijklmnopqrstuvwx',
    `a=fingerprint:sha-256 ${'AB:'.repeat(31)}AB`,
  ];
  return `${[...session, ...media].join('\r\n')}\r\n`;
}
