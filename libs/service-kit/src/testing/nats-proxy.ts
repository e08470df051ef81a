import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy between workers and NATS that can cut the connections of one worker. */
export class NatsProxy implements AsyncDisposable {
  readonly url: string;
  readonly #sockets = new Map<Socket, string>();
  readonly #cut = new Set<string>();
  readonly #close: () => Promise<void>;

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url;
    this.#close = close;
  }

  static async start(natsUrl: string): Promise<NatsProxy> {
    const upstream = new URL(natsUrl);
    let proxy: NatsProxy | undefined;
    const server = createServer((client) => {
      const nats = connect(Number(upstream.port), upstream.hostname);
      if (proxy !== undefined) proxy.#join(client, nats);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    proxy = new NatsProxy(
      `nats://127.0.0.1:${port}`,
      () => new Promise((resolve) => void server.close(() => resolve())),
    );
    return proxy;
  }

  /** Cuts a worker off; its attempts to connect again fail until `heal`. */
  cut(instanceId: string): void {
    this.#cut.add(instanceId);
    for (const [socket, name] of this.#sockets) if (name === instanceId) socket.destroy();
  }

  heal(instanceId: string): void {
    this.#cut.delete(instanceId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets.keys()) socket.destroy();
    await this.#close();
  }

  #join(client: Socket, nats: Socket): void {
    this.#sockets.set(client, '');
    const end = (): void => {
      this.#sockets.delete(client);
      client.destroy();
      nats.destroy();
    };
    for (const socket of [client, nats]) socket.on('error', end).on('close', end);
    nats.pipe(client);
    client.on('data', (data: Buffer) => {
      // The first line a client sends is CONNECT {"name": "<instance>", ...}.
      const name =
        this.#sockets.get(client) || (/^CONNECT .*?"name":"([^"]+)"/.exec(data.toString('latin1'))?.[1] ?? '');
      this.#sockets.set(client, name);
      if (this.#cut.has(name)) end();
      else nats.write(data);
    });
  }
}
