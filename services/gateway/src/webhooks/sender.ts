import { setTimeout as sleep } from 'node:timers/promises';
import { decodedEvents, MeshError, type MeshEvent, parseSubject } from '@talkmesh/contracts';
import {
  BEGINNING,
  type Bus,
  type FollowedMessage,
  type KvBucket,
  type Logger,
  type StreamPosition,
  type Subscription,
  waitAtMost,
} from '@talkmesh/service-kit';
import type { DropReason, WebhookLimits } from './bounds.js';
import { Deliveries, type Outcome } from './deliveries.js';
import { type Delivery, keyOf, orderOf, readDelivery, steadyNowMs } from './delivery.js';
import { Lease } from './lease.js';

/** A report to one receiver. */
export type Report = Pick<Delivery, 'id' | 'endpoint' | 'body'>;

export interface SenderOptions {
  readonly bus: Pick<Bus, 'follow' | 'deleteRetained' | 'onReconnect'>;
  readonly bucket: KvBucket;
  readonly instanceId: string;
  readonly leaseMs: number;
  readonly limits: WebhookLimits;
  readonly retryMs: readonly number[];
  readonly maxAgeMs: number;
  /** What waits for a receiver that has been out of the file for this long is dropped. */
  readonly removedMs: number;
  /** Where events begin that this deployment reports, when it has reported none before. */
  readonly from: StreamPosition;
  /** Whether any receiver wants events of this type. */
  readonly wants: (type: string) => boolean;
  /** The reports of an event. @throws MeshError SESSION_NOT_FOUND, NATS_UNAVAILABLE */
  readonly reportsOf: (event: MeshEvent) => Promise<Report[]>;
  readonly hasEndpoint: (endpoint: string) => boolean;
  readonly attempt: (report: Report, signal: AbortSignal) => Promise<number>;
  readonly onOutcome: (outcome: Outcome, reason?: DropReason) => void;
  /** How many deliveries wait; 0 where another gateway sends. */
  readonly onWaiting: (count: number) => void;
  readonly log: Logger;
}

/** The time in which this gateway has the lease. */
interface Term {
  readonly epoch: string;
  /** When NATS was found to have restarted, performance.now(); undefined: it was not. */
  readonly restartedAtMs: number | undefined;
  readonly deliveries: Deliveries;
  events?: Subscription;
}

const LEASE_KEY = 'sender';
const FINISH_MS = 3_000;
const AGAIN_MS = 1_000;
/** After a restart of NATS the records of sessions come back with the first sweep of the reaper, and webhooks with the next look of those who knew them. */
const RESTORED_MS = 15_000;

/**
 * Accepts events as reports and sends them, while this gateway has the lease. What was accepted waits in NATS, and what NATS loses is
 * written again from memory; so reports survive this gateway, or a restart of NATS, but not both at once.
 */
export class WebhookSender {
  readonly #options: SenderOptions;
  readonly #lease: Lease;
  readonly #reconnects: Subscription;
  readonly #timer: NodeJS.Timeout;
  /** Since when receivers that something waits for are not in the file, performance.now(). */
  readonly #missing = new Map<string, number>();
  /** Writes of one record happen one after the other. */
  readonly #writes = new Map<string, Promise<void>>();
  #term: Term | undefined;
  #epoch: string | undefined;
  /** What waited when the last term ended, for the case that NATS has lost it. */
  #left: { readonly epoch: string; readonly deliveries: readonly Delivery[] } | undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
    const { bucket, instanceId: holder, leaseMs, log, bus } = options;
    this.#lease = new Lease({
      ...{ bucket, key: LEASE_KEY, holder, leaseMs, log },
      from: () => (this.#epoch === undefined ? options.from : BEGINNING),
      onGained: (epoch, accepted) => void this.#begin(epoch, accepted),
      onLost: () => this.#end(),
      onOther: (epoch) => void this.#followOther(epoch),
    });
    this.#reconnects = bus.onReconnect(() => this.#lease.check());
    this.#timer = setInterval(() => this.#dropRemoved(), Math.min(AGAIN_MS, options.removedMs));
    this.#timer.unref();
  }

  /** Sends no more; another gateway goes on with what waits. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#reconnects.unsubscribe();
    this.#term?.events?.unsubscribe();
    await this.#term?.deliveries.finish(FINISH_MS);
    await waitAtMost(Promise.all(this.#writes.values()), FINISH_MS);
    this.#end();
    await waitAtMost(this.#lease.stop(), FINISH_MS);
    // It may have gained the lease while it waited.
    this.#end();
  }

  async #begin(epoch: string, accepted: StreamPosition): Promise<void> {
    const { bus, bucket, log, limits, retryMs, maxAgeMs, attempt, hasEndpoint } = this.#options;
    const deliveries = new Deliveries({
      ...{ log, limits, retryMs, maxAgeMs, attempt },
      mayAttempt: ({ endpoint }) => this.#lease.isHeld && hasEndpoint(endpoint),
      onRepeat: (delivery) => this.#write(term, delivery, () => bucket.put(keyOf(delivery), delivery)),
      onOver: (delivery, outcome, reason) => {
        this.#options.onOutcome(outcome, reason);
        this.#options.onWaiting(deliveries.count);
        this.#write(term, delivery, () => bucket.erase(keyOf(delivery)));
      },
    });
    const isNew = accepted.created === BEGINNING.created;
    const hasRestarted = isNew && this.#epoch !== undefined && this.#epoch !== epoch;
    const term: Term = { epoch, restartedAtMs: hasRestarted ? performance.now() : undefined, deliveries };
    [this.#term, this.#epoch] = [term, epoch];
    await this.#untilDone(term, async () => {
      await this.#restore(epoch);
      await this.#load(term);
    });
    if (this.#term !== term) return;
    log.info({ waiting: deliveries.count }, 'this gateway sends the webhooks now');
    term.events = bus.follow('event', accepted, (messages) => this.#accept(term, messages));
    if (!hasRestarted) return;
    await sleep(RESTORED_MS, undefined, { ref: false });
    await this.#untilDone(term, () => this.#load(term));
  }

  #end(): void {
    const term = this.#term;
    if (term === undefined) return;
    this.#term = undefined;
    term.events?.unsubscribe();
    this.#left = { epoch: term.epoch, deliveries: term.deliveries.stop() };
    this.#options.onWaiting(0);
  }

  async #followOther(epoch: string): Promise<void> {
    this.#epoch = epoch;
    try {
      await this.#restore(epoch);
    } catch (err) {
      this.#options.log.debug({ err }, 'webhooks could not be restored yet');
    }
  }

  /** Writes what waited in an earlier term again when NATS has lost it since. */
  async #restore(epoch: string): Promise<void> {
    const left = this.#left;
    if (left !== undefined && left.epoch !== epoch && left.deliveries.length > 0) {
      await Promise.all(left.deliveries.map((delivery) => this.#create(delivery)));
      this.#options.log.warn({ webhooks: left.deliveries.length }, 'webhooks were missing from NATS and were restored');
    }
    if (this.#left === left) this.#left = undefined;
  }

  async #load(term: Term): Promise<void> {
    const found = (await this.#options.bucket.scan()).flatMap(({ value }) => readDelivery(value) ?? []);
    if (this.#term !== term) return;
    const { deliveries } = term;
    found.sort((a, b) => (a.order < b.order ? -1 : 1));
    for (const delivery of found) {
      if (deliveries.has(delivery)) continue;
      deliveries.reserve(delivery);
      deliveries.send(delivery);
    }
    this.#options.onWaiting(deliveries.count);
  }

  /** Keeps the reports of these events in NATS, then lets them be sent. */
  async #accept(term: Term, messages: readonly FollowedMessage[]): Promise<void> {
    const found: Delivery[] = [];
    const ended: string[] = [];
    for (const { payload, subject, position } of messages) {
      const [event] = decodedEvents(payload);
      if (event === undefined || parseSubject(subject)?.sessionId !== event.sessionId) continue;
      const { sessionId, type } = event;
      if (type === 'session.ended') ended.push(sessionId);
      if (!this.#options.wants(type)) continue;
      const state = { sessionId, order: orderOf(position), acceptedAtMs: steadyNowMs(), attempts: 0, dueAtMs: 0 };
      for (const report of await this.#reportsOf(term, event)) found.push({ ...report, ...state });
    }
    const last = messages.at(-1);
    if (this.#term !== term || last === undefined) return;
    const fitting = found.filter((delivery) => this.#fits(term, delivery));
    if (fitting.length === 0) this.#lease.pass(last.position);
    else await this.#keep(term, fitting, last.position);
    for (const sessionId of ended) this.#deleteEvents(sessionId);
  }

  /** Reserves the place of a delivery that is new and not too much. */
  #fits({ deliveries }: Term, delivery: Delivery): boolean {
    if (deliveries.has(delivery)) return false;
    const reason = deliveries.refusal(delivery);
    if (reason === undefined) {
      deliveries.reserve(delivery);
      return true;
    }
    this.#options.onOutcome('dropped', reason);
    this.#options.log.warn({ webhook: delivery.id, reason }, 'a webhook was dropped, because too much waits');
    return false;
  }

  async #keep(term: Term, fitting: readonly Delivery[], position: StreamPosition): Promise<void> {
    const { deliveries } = term;
    try {
      await Promise.all(fitting.map((delivery) => this.#create(delivery)));
      await this.#lease.save(position);
    } catch (error) {
      for (const delivery of fitting) deliveries.release(delivery);
      throw error;
    }
    if (this.#term !== term) return;
    for (const delivery of fitting) deliveries.send(delivery);
    this.#options.onWaiting(deliveries.count);
  }

  async #reportsOf({ restartedAtMs }: Term, event: MeshEvent): Promise<Report[]> {
    const { log, onOutcome, reportsOf } = this.#options;
    try {
      return await reportsOf(event);
    } catch (thrown) {
      const error = MeshError.from(thrown);
      const mayReturn = restartedAtMs !== undefined && performance.now() - restartedAtMs < RESTORED_MS;
      if (error.reason !== 'SESSION_NOT_FOUND' || mayReturn) throw error;
      onOutcome('dropped', 'unknown-session');
      log.warn({ err: error, sessionId: event.sessionId }, 'a webhook was dropped: its session is unknown');
      return [];
    }
  }

  /** Nothing needs the events of an ended session any more. */
  #deleteEvents(sessionId: string): void {
    this.#options.bus.deleteRetained(sessionId, ['event']).catch((err: unknown) => {
      this.#options.log.warn({ err, sessionId }, 'events of an ended session could not be deleted; they expire');
    });
  }

  /** Drops what waits for receivers that are gone from the file. For a while it may only be another gateway whose file is newer. */
  #dropRemoved(): void {
    const { hasEndpoint, removedMs, log } = this.#options;
    const nowMs = performance.now();
    const waited = this.#term?.deliveries.endpoints ?? [];
    const missing = new Set(waited.filter((endpoint) => !hasEndpoint(endpoint)));
    for (const endpoint of this.#missing.keys()) if (!missing.has(endpoint)) this.#missing.delete(endpoint);
    for (const endpoint of missing) {
      const sinceMs = this.#missing.get(endpoint) ?? nowMs;
      this.#missing.set(endpoint, sinceMs);
      if (nowMs - sinceMs < removedMs) continue;
      log.warn({ endpoint }, 'webhooks were dropped, because their receiver is no longer in the file');
      this.#term?.deliveries.drop(endpoint, 'removed');
    }
  }

  async #create(delivery: Delivery): Promise<void> {
    try {
      await this.#options.bucket.create(keyOf(delivery), delivery);
    } catch (thrown) {
      // It was accepted already.
      if (MeshError.from(thrown).reason !== 'SESSION_EXISTS') throw thrown;
    }
  }

  /** Writes what became of a delivery, and again while NATS does not answer and the term lasts. */
  #write(term: Term, delivery: Delivery, write: () => Promise<unknown>): void {
    const key = keyOf(delivery);
    const before = this.#writes.get(key) ?? Promise.resolve();
    const done = before
      .then(() => this.#untilDone(term, write))
      .finally(() => {
        if (this.#writes.get(key) === done) this.#writes.delete(key);
      });
    this.#writes.set(key, done);
  }

  /** Never rejects. */
  async #untilDone(term: Term, task: () => Promise<unknown>): Promise<void> {
    while (this.#term === term) {
      try {
        await task();
        return;
      } catch (err) {
        this.#options.log.debug({ err }, 'NATS does not answer to the webhooks; this gateway tries again');
        await sleep(AGAIN_MS, undefined, { ref: false });
      }
    }
  }
}
