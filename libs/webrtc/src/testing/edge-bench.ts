import { readFile } from 'node:fs/promises';
import { Client } from '@grpc/grpc-js';
import { v1 } from '@talkmesh/contracts/protos';
import { callUnary, connectClient } from '@talkmesh/service-kit';
import { createTestContext, type NatsServer, ServiceProcess, startNatsServer } from '@talkmesh/service-kit/testing';

export type Neighbour = Awaited<ReturnType<typeof createTestContext>>;

const DEADLINE_MS = 20_000;

/** NATS and a service at the edge of the mesh as a process; tests stand in for its neighbours on the bus. */
export class EdgeBench implements AsyncDisposable {
  readonly nats: NatsServer;
  readonly service: ServiceProcess;
  readonly stage: InstanceType<typeof v1.StageService>;
  readonly signalling: InstanceType<typeof v1.SignallingService>;
  readonly #clients: Client[] = [];
  readonly #neighbours: readonly Neighbour[];

  protected constructor(nats: NatsServer, service: ServiceProcess, neighbours: readonly Neighbour[]) {
    this.nats = nats;
    this.service = service;
    this.#neighbours = neighbours;
    this.stage = this.client(v1.StageService);
    this.signalling = this.client(v1.SignallingService);
  }

  protected static async startParts(
    main: URL,
    env: Record<string, string>,
    neighbours: readonly Parameters<typeof createTestContext>[0][],
  ): Promise<[NatsServer, ServiceProcess, Neighbour[]]> {
    const nats = await startNatsServer();
    const settings = { TALKMESH_NATS_URL: nats.url, TALKMESH_RTC_ADVERTISE: '127.0.0.1', ...env };
    const service = await ServiceProcess.start(main, settings);
    const contexts = neighbours.map((name) => createTestContext(name, undefined, nats.url));
    return [nats, service, await Promise.all(contexts)];
  }

  protected client<T extends Client>(type: Parameters<typeof connectClient<T>>[0]): T {
    const client = connectClient<T>(type, this.service.grpcAddress ?? '');
    this.#clients.push(client);
    return client;
  }

  call<Res>(client: Client, method: string, request: object): Promise<Res> {
    return callUnary<object, Res>(client, method, request, { deadlineMs: DEADLINE_MS });
  }

  /** A child process of the service, found by its parent: 0 is that of WebRTC, 1 that of the LiveKit rooms. */
  async childPid(index = 0): Promise<number> {
    const children = await readFile(`/proc/${this.service.pid}/task/${this.service.pid}/children`, 'utf8');
    return Number(children.trim().split(' ')[index]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // StageService has an RPC named Close, which hides the client's own `close`.
    for (const client of this.#clients) Client.prototype.close.call(client);
    for (const part of [...this.#neighbours, this.service, this.nats]) await part[Symbol.asyncDispose]();
  }
}
