import { MeshError, type StageCause, v1, type WorkerRecord } from '@talkmesh/contracts';
import { callUnary, closeClient, connectClient, watchHealth } from '@talkmesh/service-kit';

/** Where a worker is and who it is. */
export type WorkerPlace = Pick<WorkerRecord, 'service' | 'instanceId' | 'grpcAddress'>;

/** `connecting`: not known yet. `suspect`: its stream broke, nothing is proven. `cut-off`: it answers but has lost NATS. */
export type WatchState = 'connecting' | 'up' | 'suspect' | 'cut-off' | 'draining' | 'lost';

export interface WatchedWorkerOptions {
  readonly place: WorkerPlace;
  readonly onChange: (state: WatchState, cause: StageCause | undefined) => void;
  /** The stream broke although the worker is there. */
  readonly onFlap: () => void;
}

type Described = { readonly instanceId: string; readonly state: string };

/** A worker that is there answers a Describe within this time, even when it is busy, milliseconds. */
const PROBE_MS = 1000;
const PAUSES_MS = [50, 200, 500, 1000];
const LOST_PAUSE_MS = 1000;
/** The machine is there and nobody listens: the process is gone. Everything else (silence, names that do not resolve) proves nothing. */
const NOBODY = /ECONNREFUSED|ECONNRESET/;

/**
 * Follows one worker by a health stream of its own. A broken stream alone means nothing: a Describe on a fresh connection decides.
 * Refused, or answered by another instance: `lost`. No answer: `suspect` until the registry has the last word (`unregistered`).
 */
export class WatchedWorker {
  readonly place: WorkerPlace;
  readonly #o: WatchedWorkerOptions;
  #state: WatchState = 'connecting';
  #cancel: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #breaks = 0;
  #stopped = false;
  /** What the stream said last: answers to a Describe may overtake each other. */
  #serving = false;
  /** Counts streams: what an older one still says is ignored. */
  #stream = 0;

  constructor(options: WatchedWorkerOptions) {
    this.#o = options;
    this.place = options.place;
    this.#follow();
  }

  get state(): WatchState {
    return this.#state;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#cancel();
  }

  /** The registry has not known it for long enough, and it does not answer. */
  unregistered(): void {
    if (this.#state !== 'up' && this.#state !== 'cut-off') this.#become('lost', 'unregistered');
  }

  #follow(): void {
    this.#stream += 1;
    const mine = this.#stream;
    const current = (work: () => void) => (): void => {
      if (!this.#stopped && this.#stream === mine) work();
    };
    const { cancel } = watchHealth(this.place.grpcAddress, {
      onStatus: (serving) =>
        current(() => {
          this.#serving = serving;
          void this.#identify(mine);
        })(),
      onEnd: (error) => current(() => void this.#broken(error))(),
    });
    this.#cancel = cancel;
  }

  /** The address may belong to a successor: only the same instance counts, and only it says why it does not serve. */
  async #identify(stream: number): Promise<void> {
    const described = await this.#describe().catch(() => undefined);
    if (described === undefined || this.#stopped || this.#stream !== stream) return;
    this.#breaks = 0;
    this.#judge(described);
  }

  #judge({ instanceId, state }: Described): void {
    if (instanceId !== this.place.instanceId) {
      this.#become('lost', 'died');
      this.stop();
    } else if (state === 'WORKER_STATE_DRAINING') this.#become('draining');
    else if (state === 'WORKER_STATE_READY') this.#become(this.#serving ? 'up' : 'cut-off');
  }

  async #broken(error: MeshError): Promise<void> {
    if (this.#state !== 'lost') this.#become('suspect');
    const outcome = await this.#describe().catch((thrown: unknown) => MeshError.from(thrown));
    if (this.#stopped) return;
    if (!(outcome instanceof MeshError)) {
      if (outcome.instanceId === this.place.instanceId) this.#o.onFlap();
      this.#serving = true;
      this.#judge(outcome);
    } else if (NOBODY.test(outcome.message) || (NOBODY.test(error.message) && outcome.reason === 'PEER_LOST'))
      this.#become('lost', 'died');
    if (this.#stopped) return;
    const pauseMs = PAUSES_MS[Math.min(this.#breaks, PAUSES_MS.length - 1)] ?? LOST_PAUSE_MS;
    this.#breaks += 1;
    this.#timer = setTimeout(() => this.#follow(), this.#state === 'lost' ? LOST_PAUSE_MS : pauseMs);
  }

  async #describe(): Promise<Described> {
    const client = connectClient(v1.StageService, this.place.grpcAddress, undefined, {
      'grpc.use_local_subchannel_pool': 1,
    });
    try {
      return await callUnary<object, Described>(client, 'describe', {}, { deadlineMs: PROBE_MS });
    } finally {
      closeClient(client);
    }
  }

  #become(state: WatchState, cause?: StageCause): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#o.onChange(state, cause);
  }
}
