import { MeshError, type StageCause, type WorkerRecord } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { type ClientSecurity, callUnary, closeClient, connectClient, watchHealth } from '@talkmesh/service-kit';

/** Identity and address of a worker. */
export type WorkerPlace = Pick<WorkerRecord, 'service' | 'instanceId' | 'grpcAddress'>;

/** `connecting`: not known yet. `suspect`: its health stream broke, which proves nothing. `cut-off`: it answers but has lost NATS. */
export type WorkerHealth = 'connecting' | 'up' | 'suspect' | 'cut-off' | 'draining' | 'lost';

export interface WorkerMonitorOptions {
  readonly place: WorkerPlace;
  readonly peerSecurity: ClientSecurity;
  readonly onChange: (state: WorkerHealth, cause: StageCause | undefined) => void;
  /** The health stream broke although the worker is alive. */
  readonly onFlap: () => void;
}

type Described = { readonly instanceId: string; readonly state: string };

/** Time in which a live worker answers Describe even under load, milliseconds. */
const PROBE_DEADLINE_MS = 1000;
const BACK_OFF_MS = [50, 200, 500, 1000];
const PROBE_INTERVAL_MS = 1000;
/** The host refuses connections, so the process has exited. Other errors (time-outs, names that do not resolve) prove nothing. */
const NO_LISTENER = /ECONNREFUSED|ECONNRESET/;

/**
 * Monitors one worker by its own health stream. A broken stream proves nothing, so Describe on a new connection decides: refused or
 * answered by another instance means `lost`; no answer means `suspect` until the worker is also missing from the registry.
 */
export class WorkerMonitor {
  readonly place: WorkerPlace;
  readonly #options: WorkerMonitorOptions;
  #state: WorkerHealth = 'connecting';
  #cancel: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #breaks = 0;
  #stopped = false;
  /** The last status from the stream; it is kept because answers to Describe may arrive out of order. */
  #serving = false;
  /** Number of the current stream; callbacks of older ones are ignored. */
  #stream = 0;

  constructor(options: WorkerMonitorOptions) {
    this.#options = options;
    this.place = options.place;
    this.#follow();
  }

  get state(): WorkerHealth {
    return this.#state;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#cancel();
  }

  /** Reports that the worker has been missing from the registry for too long; it is lost unless it answers. */
  markUnregistered(): void {
    if (this.#state !== 'up' && this.#state !== 'cut-off') this.#become('lost', 'unregistered');
  }

  #follow(): void {
    this.#stream += 1;
    const streamNumber = this.#stream;
    const current = (work: () => void) => (): void => {
      if (!this.#stopped && this.#stream === streamNumber) work();
    };
    const listener = {
      onStatus: (serving: boolean) =>
        current(() => {
          this.#serving = serving;
          void this.#identify(streamNumber);
        })(),
      onEnd: (error: MeshError) => current(() => void this.#onBreak(error))(),
    };
    const { cancel } = watchHealth(this.place.grpcAddress, listener, this.#options.peerSecurity);
    this.#cancel = cancel;
  }

  /** Asks which instance answers at the address, and why it does not serve: the health status has neither. */
  async #identify(stream: number): Promise<void> {
    const described = await this.#describe().catch(() => undefined);
    if (this.#stopped || this.#stream !== stream) return;
    if (described === undefined) {
      // A busy worker answers late, and its status is sent only once.
      this.#timer = setTimeout(() => void this.#identify(stream), PROBE_INTERVAL_MS);
      return;
    }
    this.#breaks = 0;
    this.#update(described);
  }

  #update({ instanceId, state }: Described): void {
    if (instanceId !== this.place.instanceId) {
      this.#become('lost', 'died');
      this.stop();
    } else if (state === 'WORKER_STATE_DRAINING') this.#become('draining');
    else if (state === 'WORKER_STATE_READY') this.#become(this.#serving ? 'up' : 'cut-off');
  }

  async #onBreak(error: MeshError): Promise<void> {
    if (this.#state !== 'lost') this.#become('suspect');
    const outcome = await this.#describe().catch((thrown: unknown) => MeshError.from(thrown));
    if (this.#stopped) return;
    if (!(outcome instanceof MeshError)) {
      if (outcome.instanceId === this.place.instanceId) this.#options.onFlap();
      this.#serving = true;
      this.#update(outcome);
    } else if (NO_LISTENER.test(outcome.message) || (NO_LISTENER.test(error.message) && outcome.reason === 'PEER_LOST'))
      this.#become('lost', 'died');
    if (this.#stopped) return;
    const pauseMs = BACK_OFF_MS[Math.min(this.#breaks, BACK_OFF_MS.length - 1)] ?? PROBE_INTERVAL_MS;
    this.#breaks += 1;
    this.#timer = setTimeout(() => this.#follow(), this.#state === 'lost' ? PROBE_INTERVAL_MS : pauseMs);
  }

  async #describe(): Promise<Described> {
    const client = connectClient(v1.StageService, this.place.grpcAddress, this.#options.peerSecurity, {
      'grpc.use_local_subchannel_pool': 1,
    });
    try {
      return await callUnary<object, Described>(client, 'describe', {}, { deadlineMs: PROBE_DEADLINE_MS });
    } finally {
      closeClient(client);
    }
  }

  #become(state: WorkerHealth, cause?: StageCause): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#options.onChange(state, cause);
  }
}
