import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readWebhook, type WebhookMessage } from '@talkmesh/client/server';

export interface ReceivedWebhook {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A secret as Standard Webhooks writes them. */
export const webhookSecret = (fill: number): string => `whsec_${Buffer.alloc(32, fill).toString('base64')}`;

/** A program that receives webhooks, and the file that names it to gateways. */
export class WebhookReceiver implements AsyncDisposable {
  readonly file: string;
  received: ReceivedWebhook[] = [];
  /** The answer to a request; `hang`: none. */
  answer: (webhook: ReceivedWebhook) => number | 'hang' = () => 200;
  readonly #server: Server;
  readonly #folder = mkdtempSync(join(tmpdir(), 'talkmesh-webhooks-'));

  private constructor() {
    this.file = join(this.#folder, 'webhooks.json');
    this.#server = createServer(async (request, response) => {
      let body = '';
      for await (const part of request) body += String(part);
      const webhook = { path: request.url ?? '', headers: request.headers, body };
      const status = this.answer(webhook);
      this.received.push(webhook);
      if (status === 'hang') return;
      response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end('x'.repeat(100_000));
    });
  }

  static async start(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver();
    await new Promise<void>((resolve) => void receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  /** @param path begins with a slash */
  url(path = '/hook'): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  /** Writes the file of TALKMESH_WEBHOOKS_FILE. */
  write(endpoints: unknown): void {
    writeFileSync(this.file, JSON.stringify(endpoints));
    chmodSync(this.file, 0o600);
  }

  /** What came to a path, with checked signatures. */
  messages(secret: string, path = '/hook'): WebhookMessage[] {
    const there = this.received.filter((one) => one.path === path);
    return there.map(({ headers, body }) => readWebhook(secret, headers, body));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
