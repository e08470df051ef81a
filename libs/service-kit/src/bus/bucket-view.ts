import {
  type ConsumerMessages,
  DeliverPolicy,
  type JsMsg,
  jetstream,
  jetstreamManager,
  type StreamInfo,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { BucketName } from '@talkmesh/contracts';

export interface KvEntryOf<T> {
  readonly key: string;
  readonly value: T;
  /** Pass it to `update` to replace exactly this version. */
  readonly revision: number;
}

const REQUEST_TIMEOUT_MS = 2000;
/** How long the next entry may take while some are still to come. */
const STALL_MS = 1000;

/** A view that cannot become complete any more; a new one can. */
export class StaleViewError extends Error {
  override readonly name = 'StaleViewError';
}

/**
 * The entries of a bucket, kept by one consumer that receives every change, so that reading them again costs one short request however
 * many there are. `read` does not trust the consumer: it compares what has arrived with the state of the stream.
 */
export class BucketView {
  readonly #nc: NatsConnection;
  readonly #stream: string;
  readonly #prefix: string;
  /** By key, in the order of their revisions. */
  readonly #entries = new Map<string, KvEntryOf<unknown>>();
  readonly #waiting = new Set<() => void>();
  #messages: ConsumerMessages | undefined;
  /** When the stream was created, as the server tells it: after a restart of the server another one has its name. */
  #created = '';
  /** Revision of the entry that arrived last. */
  #position = 0;
  /** How often revisions were missing between two entries: they were replaced before they could be delivered. */
  #gaps = 0;

  private constructor(nc: NatsConnection, bucket: BucketName) {
    this.#nc = nc;
    this.#stream = `KV_${bucket}`;
    this.#prefix = `$KV.${bucket}.`;
  }

  /** @throws the errors of JetStream, such as StreamNotFoundError */
  static async open(nc: NatsConnection, bucket: BucketName): Promise<BucketView> {
    const view = new BucketView(nc, bucket);
    await view.#start();
    return view;
  }

  async #start(): Promise<void> {
    this.#created = (await this.#info()).created;
    const { consumers } = jetstream(this.#nc, { timeout: REQUEST_TIMEOUT_MS, checkAPI: false });
    const consumer = await consumers.getPushConsumer(this.#stream, {
      deliver_policy: DeliverPolicy.LastPerSubject,
      filter_subjects: `${this.#prefix}>`,
    });
    this.#messages = await consumer.consume({ callback: (message) => this.#take(message) });
  }

  /**
   * All entries as they were at a moment after the call, in the order of their revisions. Their values are shared: do not change them.
   * @throws StaleViewError; the errors of JetStream
   */
  async read(): Promise<KvEntryOf<unknown>[]> {
    for (;;) {
      const gaps = this.#gaps;
      const { created, state } = await this.#info();
      if (created !== this.#created) throw new StaleViewError(`${this.#stream} was created again`);
      if (state.messages > 0) await this.#reach(state.last_seq);
      // What replaced a missing revision is older than a state that is asked for after the gap was seen.
      if (gaps !== this.#gaps) continue;
      this.#expire(state.messages > 0 ? state.first_seq : state.last_seq + 1);
      return [...this.#entries.values()];
    }
  }

  stop(): void {
    void this.#messages?.close();
  }

  async #info(): Promise<StreamInfo> {
    const manager = await jetstreamManager(this.#nc, { timeout: REQUEST_TIMEOUT_MS, checkAPI: false });
    return manager.streams.info(this.#stream);
  }

  #take(message: JsMsg): void {
    const { seq } = message;
    const key = message.subject.slice(this.#prefix.length);
    if (seq > this.#position + 1) this.#gaps += 1;
    this.#position = seq;
    this.#entries.delete(key);
    const operation = message.headers?.get('KV-Operation') ?? '';
    if (operation === '') this.#entries.set(key, { key, value: message.json(), revision: seq });
    for (const check of this.#waiting) check();
  }

  /** Waits until the entry with this revision, or a later one, has arrived. */
  #reach(revision: number): Promise<void> {
    if (this.#position >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      let position = this.#position;
      const end = (): void => {
        clearInterval(timer);
        this.#waiting.delete(check);
      };
      const check = (): void => {
        if (this.#position < revision) return;
        end();
        resolve();
      };
      const timer = setInterval(() => {
        const isStalled = this.#position === position;
        position = this.#position;
        if (!isStalled) return;
        end();
        reject(new StaleViewError(`the entries of ${this.#stream} did not arrive in time`));
      }, STALL_MS);
      this.#waiting.add(check);
    });
  }

  /** The stream loses its oldest entries when their time is over, and the consumer does not tell it. */
  #expire(first: number): void {
    for (const [key, { revision }] of this.#entries) {
      if (revision >= first) return;
      this.#entries.delete(key);
    }
  }
}
