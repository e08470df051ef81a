import { MeshError, type MeshEvent, type SessionRecord } from '@talkmesh/contracts';
import type { Logger, Metrics } from '@talkmesh/service-kit';
import { Deliveries } from './deliveries.js';
import { type Endpoint, readEndpoints, type WebhookEventType } from './endpoints.js';
import { OutboundRequests } from './outbound-request.js';
import { signedHeaders } from './signature.js';

export interface WebhooksOptions {
  /** Empty: no webhooks. */
  readonly webhooksFile: string;
  readonly webhookNetworks: readonly string[];
  /** Owner of a session. @throws MeshError SESSION_NOT_FOUND */
  readonly ownerOf: (sessionId: string) => Promise<string>;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly reloadMs?: number;
  readonly retryMs?: readonly number[];
}

/** What a receiver reads: the type again, the time, and the event as every other subscriber gets it. */
interface Message {
  readonly type: WebhookEventType;
  readonly timestamp: string;
  readonly data: object;
}

const RELOAD_MS = 5_000;

/** Reports sessions and turns to the programs that own them (Standard Webhooks). Each event reaches one gateway, which delivers it. */
export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #requests: OutboundRequests;
  readonly #deliveries: Deliveries;
  readonly #timer: NodeJS.Timeout;
  #endpoints: readonly Endpoint[];
  #known: string;

  /** The file was checked with the configuration. */
  constructor(options: WebhooksOptions) {
    const { log, metrics, retryMs, webhooksFile, webhookNetworks, reloadMs = RELOAD_MS } = options;
    this.#options = options;
    const read = readEndpoints(webhooksFile);
    this.#endpoints = read.endpoints;
    this.#known = JSON.stringify(read);
    this.#requests = new OutboundRequests(webhookNetworks);
    const outcomes = metrics.counter('talkmesh_webhooks_total', 'Webhooks by what became of them', ['outcome']);
    this.#deliveries = new Deliveries({
      log,
      onOutcome: (outcome) => outcomes.inc({ outcome }),
      ...(retryMs !== undefined && { retryMs }),
    });
    this.#timer = setInterval(() => this.#reload(), reloadMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#deliveries.stop();
  }

  onOpened({ id, owner, avatar, provider, createdAtMs }: SessionRecord): void {
    const data = { sessionId: id, avatar, provider, createdAtMs };
    this.#report(owner, id, 'session.started', { type: 'session.started', timestamp: iso(createdAtMs), data });
  }

  onEvent(event: MeshEvent): void {
    const { type, sessionId } = event;
    if (!this.#endpoints.some(({ events }) => (events as readonly string[]).includes(type))) return;
    const message: Message = { type: type as WebhookEventType, timestamp: iso(event.atMs), data: event };
    this.#options.ownerOf(sessionId).then(
      (owner) => this.#report(owner, sessionId, event.id, message),
      (thrown: unknown) => {
        this.#options.log.warn(
          { err: MeshError.from(thrown), sessionId },
          'a webhook was dropped: its session is unknown',
        );
      },
    );
  }

  #report(owner: string, sessionId: string, eventId: string, message: Message): void {
    const body = JSON.stringify(message);
    const id = `${sessionId}.${eventId}`;
    for (const { url, secrets, events, owner: of } of this.#endpoints) {
      if (of !== owner || !events.includes(message.type)) continue;
      this.#deliveries.add({
        id,
        queue: `${sessionId} ${url}`,
        attempt: () => this.#requests.post(url, signedHeaders({ id, body, secrets }, Date.now()), body),
      });
    }
  }

  /** While the file is not valid, the last valid one stays in force. */
  #reload(): void {
    const { webhooksFile, log } = this.#options;
    if (webhooksFile === '') return;
    const read = readEndpoints(webhooksFile);
    const known = JSON.stringify(read);
    if (known === this.#known) return;
    this.#known = known;
    if (read.problems.length > 0) {
      log.error(
        { problems: read.problems },
        'the changed file of webhooks is not valid; the former one stays in force',
      );
      return;
    }
    this.#endpoints = read.endpoints;
    log.info({ endpoints: read.endpoints.length }, 'webhooks were read again');
  }
}

const iso = (ms: number): string => new Date(ms).toISOString();
