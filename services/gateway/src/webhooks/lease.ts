import { randomUUID } from 'node:crypto';
import { MeshError } from '@talkmesh/contracts';
import type { KvBucket, Logger } from '@talkmesh/service-kit';
import { z } from 'zod';

const position = z.object({ created: z.string(), sequence: z.number().int().nonnegative() });
const state = z.object({
  /** Instance id of the gateway that has the lease; empty: it was given back. */
  holder: z.string(),
  /** Another one after NATS lost the record, and with it everything in the bucket. */
  epoch: z.string(),
  /** Events up to here were accepted, or need no report. */
  accepted: position,
});
type LeaseRecord = z.infer<typeof state>;
type Position = z.infer<typeof position>;

export interface LeaseOptions {
  readonly bucket: Pick<KvBucket, 'get' | 'create' | 'update'>;
  readonly key: string;
  readonly holder: string;
  /** A lease that was not renewed for this long may be taken. */
  readonly leaseMs: number;
  readonly log: Logger;
  /** The position of a lease that is made because there is none. */
  readonly from: () => Position;
  /** From now on this gateway has the lease. */
  readonly onGained: (epoch: string, accepted: Position) => void;
  /** It has it no longer: another gateway has, or will. */
  readonly onLost: () => void;
  /** Another gateway has the lease. */
  readonly onOther: (epoch: string) => void;
}

/**
 * Which gateway sends: a record in NATS that its holder renews. No clocks of two machines are compared: others take a record that they
 * have seen unchanged for `leaseMs`.
 */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #timer: NodeJS.Timeout;
  #work: Promise<unknown> = Promise.resolve();
  /** What this gateway wrote last; undefined: it has no lease. */
  #held: { readonly record: LeaseRecord; readonly revision: number } | undefined;
  #renewedAtMs = 0;
  #accepted: Position | undefined;
  /** The record of another gateway, or that there is none (revision 0), and since when. */
  #seen: { readonly revision: number; readonly sinceMs: number } | undefined;
  #isCheckQueued = false;
  #stopped = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.check(), options.leaseMs / 3);
    void this.#inOrder(() => this.#tick(true));
  }

  /** Whether this gateway has the lease and no other can have taken it. A quarter of the time is left for what is under way. */
  get isHeld(): boolean {
    return this.#held !== undefined && performance.now() - this.#renewedAtMs < this.#options.leaseMs * 0.75;
  }

  /** Notes that events up to here need no report; it is written with the next renewal. */
  pass(accepted: Position): void {
    this.#accepted = accepted;
  }

  /** Writes that events up to here were accepted. @throws MeshError: the lease is lost, or NATS does not answer */
  save(accepted: Position): Promise<void> {
    this.pass(accepted);
    return this.#inOrder(() => this.#renew());
  }

  /** Looks at once, as after a reconnect. */
  check(): void {
    // Where NATS is slow to answer, looks do not pile up.
    if (this.#isCheckQueued) return;
    this.#isCheckQueued = true;
    void this.#inOrder(() => {
      this.#isCheckQueued = false;
      return this.#tick(false);
    });
  }

  /** Gives the lease back, so that another gateway takes it at once. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopped = true;
    await this.#inOrder(async () => {
      const { bucket, key } = this.#options;
      if (this.#held === undefined) return;
      const { record, revision } = this.#held;
      this.#held = undefined;
      await bucket.update(key, { ...record, holder: '', accepted: this.#accepted ?? record.accepted }, revision);
    }).catch((err: unknown) =>
      this.#options.log.debug({ err }, 'the lease of webhooks was not given back; it expires'),
    );
  }

  #inOrder<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#work.then(task);
    this.#work = done.catch(() => undefined);
    return done;
  }

  async #tick(isFirst: boolean): Promise<void> {
    if (this.#stopped) return;
    try {
      if (this.#held === undefined) await this.#look(isFirst);
      else await this.#renew();
    } catch (err) {
      this.#options.log.debug({ err }, 'the lease of webhooks could not be read or renewed');
    }
  }

  async #renew(): Promise<void> {
    const { bucket, key } = this.#options;
    if (this.#held === undefined) throw new MeshError('CANCELLED', 'another gateway sends webhooks now');
    const { record, revision } = this.#held;
    const startedAtMs = performance.now();
    const next = { ...record, accepted: this.#accepted ?? record.accepted };
    try {
      this.#held = { record: next, revision: await bucket.update(key, next, revision) };
      this.#renewedAtMs = startedAtMs;
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.reason === 'SESSION_EXISTS') {
        this.#lose();
        // Another gateway has it, or NATS has restarted: then this one, which still knows what waits, takes it first.
        await this.#look(true);
      } else if (!this.isHeld) this.#lose();
      throw error;
    }
  }

  #lose(): void {
    this.#held = undefined;
    this.#seen = undefined;
    this.#options.onLost();
  }

  /** @param takesMissing whether a record that is not there is made at once */
  async #look(takesMissing: boolean): Promise<void> {
    const { bucket, key, holder, leaseMs, from, onOther } = this.#options;
    const startedAtMs = performance.now();
    const found = await bucket.get(key);
    // Not the time of the question: the holder may have renewed its lease before NATS answered.
    const nowMs = performance.now();
    const revision = found?.revision ?? 0;
    if (this.#seen?.revision !== revision) this.#seen = { revision, sinceMs: nowMs };
    const isOver = nowMs - this.#seen.sinceMs >= leaseMs;
    if (found === undefined) {
      if (takesMissing || isOver) await this.#take({ holder, epoch: randomUUID(), accepted: from() }, 0, startedAtMs);
      return;
    }
    const record = state.parse(found.value);
    const isFree = record.holder === '' || record.holder === holder || isOver;
    if (isFree) await this.#take({ ...record, holder }, revision, startedAtMs);
    else onOther(record.epoch);
  }

  async #take(record: LeaseRecord, revision: number, startedAtMs: number): Promise<void> {
    const { bucket, key, onGained } = this.#options;
    try {
      const taken = revision === 0 ? await bucket.create(key, record) : await bucket.update(key, record, revision);
      this.#held = { record, revision: taken };
      this.#renewedAtMs = startedAtMs;
      this.#accepted = record.accepted;
    } catch (thrown) {
      if (MeshError.from(thrown).reason !== 'SESSION_EXISTS') throw thrown;
      return;
    }
    onGained(record.epoch, record.accepted);
  }
}
