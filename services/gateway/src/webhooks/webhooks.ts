import type { MeshEvent } from '@talkmesh/contracts';
import type { Bus, KvBucket, Logger, Metrics, StreamPosition } from '@talkmesh/service-kit';
import { DEFAULT_LIMITS, DROP_REASONS, type WebhookLimits } from './bounds.js';
import { OUTCOMES, RETRY_MS } from './deliveries.js';
import { type Endpoint, endpointId, readEndpoints, type WebhookEventType } from './endpoints.js';
import { OutboundRequests } from './outbound-request.js';
import { type Report, WebhookSender } from './sender.js';
import { signedHeaders } from './signature.js';

/** What tests shorten; the defaults are in docs/webhooks.md. */
export interface WebhookTimes {
  readonly reloadMs: number;
  readonly leaseMs: number;
  readonly retryMs: readonly number[];
  readonly maxAgeMs: number;
  readonly removedMs: number;
}

export interface WebhooksOptions {
  readonly webhooksFile: string;
  readonly webhookNetworks: readonly string[];
  readonly bus: Pick<Bus, 'follow' | 'deleteRetained' | 'onReconnect'>;
  readonly bucket: KvBucket;
  /** The end of the events when this gateway began. */
  readonly from: StreamPosition;
  readonly instanceId: string;
  /** Owner of a session. @throws MeshError SESSION_NOT_FOUND */
  readonly ownerOf: (sessionId: string) => Promise<string>;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly limits?: WebhookLimits;
  readonly times?: Partial<WebhookTimes>;
}

/** What a receiver reads: the type again, the time, and the event as every other subscriber gets it. */
interface Message {
  readonly type: WebhookEventType;
  readonly timestamp: string;
  readonly data: MeshEvent;
}

/** Lifetime of a record in the bucket since its last change: longer than a delivery may wait, so that what is dropped for its age is counted. */
export const WEBHOOKS_TTL_MS = 2 * 3_600_000;
const TIMES: WebhookTimes = {
  reloadMs: 5_000,
  leaseMs: 6_000,
  retryMs: RETRY_MS,
  maxAgeMs: 3_600_000,
  removedMs: 60_000,
};

/** Reports sessions and turns to the programs that own them (Standard Webhooks). One of the gateways sends. */
export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #requests: OutboundRequests;
  readonly #sender: WebhookSender;
  readonly #timer: NodeJS.Timeout;
  #endpoints: ReadonlyMap<string, Endpoint> = new Map();
  #known: string;

  /** The file was checked with the configuration. */
  constructor(options: WebhooksOptions) {
    this.#options = options;
    const times = { ...TIMES, ...options.times };
    const read = readEndpoints(options.webhooksFile);
    this.#use(read.endpoints);
    this.#known = JSON.stringify(read);
    this.#requests = new OutboundRequests(options.webhookNetworks);
    const { metrics } = options;
    const help = 'Webhooks by what became of them, and why they were dropped';
    const outcomes = metrics.counter('talkmesh_webhooks_total', help, ['outcome', 'reason']);
    for (const outcome of OUTCOMES) if (outcome !== 'dropped') outcomes.inc({ outcome, reason: '' }, 0);
    for (const reason of DROP_REASONS) outcomes.inc({ outcome: 'dropped', reason }, 0);
    const waiting = metrics.gauge('talkmesh_webhooks_waiting', 'Webhooks that wait, in the gateway that sends them');
    this.#sender = new WebhookSender({
      ...options,
      ...times,
      limits: options.limits ?? DEFAULT_LIMITS,
      wants: (type) => [...this.#endpoints.values()].some(({ events }) => (events as readonly string[]).includes(type)),
      reportsOf: (event) => this.#reportsOf(event),
      hasEndpoint: (id) => this.#endpoints.has(id),
      attempt: (report, signal) => this.#attempt(report, signal),
      onOutcome: (outcome, reason) => outcomes.inc({ outcome, reason: reason ?? '' }),
      onWaiting: (count) => waiting.set(count),
    });
    this.#timer = setInterval(() => this.#reload(), times.reloadMs);
    this.#timer.unref();
  }

  /** Ends the attempts that are under way, and leaves the rest to another gateway. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sender.stop();
  }

  async #reportsOf(event: MeshEvent): Promise<Report[]> {
    const owner = await this.#options.ownerOf(event.sessionId);
    const type = event.type as WebhookEventType;
    const message: Message = { type, timestamp: new Date(event.atMs).toISOString(), data: event };
    const body = JSON.stringify(message);
    return [...this.#endpoints].flatMap(([endpoint, { owner: of, events }]) =>
      of === owner && events.includes(type) ? [{ id: `${event.sessionId}.${event.id}`, endpoint, body }] : [],
    );
  }

  async #attempt({ id, endpoint, body }: Report, signal: AbortSignal): Promise<number> {
    const { url, secrets } = this.#endpoints.get(endpoint) as Endpoint;
    return this.#requests.post(url, signedHeaders({ id, body, secrets }, Date.now()), body, signal);
  }

  /** Entries of one owner and address are one receiver. */
  #use(listed: readonly Endpoint[]): void {
    const endpoints = new Map<string, Endpoint>();
    for (const endpoint of listed) {
      const id = endpointId(endpoint);
      const { secrets = [], events = [] } = endpoints.get(id) ?? {};
      endpoints.set(id, {
        ...endpoint,
        secrets: [...new Set([...secrets, ...endpoint.secrets])],
        events: [...new Set([...events, ...endpoint.events])],
      });
    }
    this.#endpoints = endpoints;
  }

  /** While the file is not valid, the last valid one stays in force. */
  #reload(): void {
    const { webhooksFile, log } = this.#options;
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
    this.#use(read.endpoints);
    log.info({ endpoints: read.endpoints.length }, 'webhooks were read again');
  }
}
