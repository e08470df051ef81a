import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MeshError } from '@talkmesh/contracts';
import { hostPort } from '../grpc/grpc-server.js';
import type { Metrics } from '../metrics.js';

export interface Readiness {
  readonly ready: boolean;
  /** Explanation for an operator: state, NATS connection, what the service waits for. */
  readonly details: Readonly<Record<string, unknown>>;
}

/**
 * HTTP server for probes and monitoring, GET only. `/livez`: the event loop runs. `/readyz`: the service accepts sessions. `/metrics`:
 * Prometheus. It has no authentication, so no answer contains a secret.
 */
export class AdminServer {
  readonly #server: Server;

  constructor(metrics: Metrics, readiness: () => Promise<Readiness>) {
    this.#server = createServer({
      requestTimeout: 5000,
      headersTimeout: 5000,
      maxHeaderSize: 8192,
      keepAliveTimeout: 5000,
    });
    this.#server.on('request', (request, response) => {
      respond(request, response, metrics, readiness).catch((thrown: unknown) => {
        response.writeHead(500).end(`${thrown instanceof Error ? thrown.message : thrown}\n`);
      });
    });
  }

  /** @returns `host:port`. @throws MeshError CONFIG_INVALID when the address cannot be bound. */
  listen(host: string, port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause) => {
        const message = `the admin HTTP server cannot listen on ${hostPort(host, port)} (${cause.message}): set TALKMESH_ADMIN_HOST, TALKMESH_ADMIN_PORT`;
        reject(new MeshError('CONFIG_INVALID', message, { cause }));
      });
      this.#server.listen(port, host, () => resolve(hostPort(host, (this.#server.address() as AddressInfo).port)));
    });
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
  }
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  metrics: Metrics,
  readiness: () => Promise<Readiness>,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  const path = request.url?.split('?')[0];
  if (path === '/livez') response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
  else if (path === '/readyz') {
    const { ready, details } = await readiness();
    response
      .writeHead(ready ? 200 : 503, { 'content-type': 'application/json' })
      .end(`${JSON.stringify({ ready, ...details })}\n`);
  } else if (path === '/metrics') {
    const text = await metrics.registry.metrics();
    response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text);
  } else response.writeHead(404, { 'content-type': 'text/plain' }).end('/livez /readyz /metrics\n');
}
