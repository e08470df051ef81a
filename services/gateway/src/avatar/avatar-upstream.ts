import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { MeshError } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { fromServiceError, type PeerConnection } from '@talkmesh/service-kit';
import type { Sessions } from '../sessions.js';
import type { WorkerDirectory } from '../worker-directory.js';

type Connect = (typeof v1.AvatarService)['service']['Connect'];
type Request = Parameters<Connect['requestSerialize']>[0];
type Response = ReturnType<Connect['responseDeserialize']>;
type Call = ClientDuplexStream<Request, Response>;
export type Ready = NonNullable<Response['ready']>;
export type Frame = NonNullable<Response['frame']>;
export type Finished = NonNullable<Response['finished']>;
export type Video = NonNullable<NonNullable<Request['attach']>['video']>;

export interface UpstreamOptions {
  readonly sessions: Pick<Sessions, 'addressOf'>;
  readonly directory: Pick<WorkerDirectory, 'connect'>;
  readonly sessionId: string;
  readonly format: { readonly sampleRateHz: number; readonly channels: number; readonly video: Video };
  readonly maxSessionMs: number;
  /** Utterances begun so far. */
  readonly utterances: () => number;
  readonly onReady: (ready: Ready) => void;
  readonly onStarted: (utterance: number) => void;
  readonly onFinished: (finished: Finished) => void;
  readonly onCleared: () => void;
  readonly onFrame: (frame: Frame) => void;
  /** The worker takes more, after `send` has returned false. */
  readonly onDrain: () => void;
  /** It is over; SESSION_ENDED when the session is. */
  readonly onEnd: (error: MeshError) => void;
}

/** How long a worker is looked for that takes the stream, such as while the session moves, milliseconds. */
const ATTACH_MS = 30_000;
const RETRY_MS = 300;
/** The worker is lost, or has not opened the session yet. */
const MAY_PASS = new Set(['PEER_LOST', 'NO_WORKER', 'SESSION_NOT_FOUND', 'NATS_UNAVAILABLE', 'DRAINING']);

/** The gateway's end of AvatarService.Connect: one call after the other, each over a connection of its own, wherever the session is placed. */
export class AvatarUpstream {
  readonly #options: UpstreamOptions;
  readonly #closed = new AbortController();
  #peer: PeerConnection | undefined;
  #call: Call | undefined;
  #isReady = false;
  #isPaused = false;
  /** Since when no worker has the stream. */
  #lostAtMs = performance.now();

  constructor(options: UpstreamOptions) {
    this.#options = options;
    void this.#connect();
  }

  /** Whether a worker has the stream. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Only while a worker has the stream. @returns false when the caller should wait for `onDrain` */
  send(request: Request): boolean {
    return this.#call?.write(request) ?? false;
  }

  /** The worker is held back frame by frame. */
  pause(): void {
    this.#isPaused = true;
    this.#call?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#call?.resume();
  }

  /** @param onPurpose false: the program vanished, and may come back */
  close(onPurpose: boolean): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    const [call, peer] = [this.#call, this.#peer];
    if (onPurpose) {
      call?.write({ leave: {} });
      call?.end();
    } else call?.cancel();
    // Running calls still finish.
    peer?.close();
  }

  async #connect(): Promise<void> {
    const { sessions, directory, sessionId, format, maxSessionMs, utterances } = this.#options;
    try {
      const address = await sessions.addressOf(sessionId, 'webrtc-egress').catch((thrown: unknown) => {
        const error = MeshError.from(thrown);
        if (error.reason !== 'SESSION_NOT_FOUND') throw error;
        throw new MeshError('SESSION_ENDED', 'the session has ended; start a new one', { cause: error });
      });
      if (this.#closed.signal.aborted) return;
      const peer = directory.connect(address);
      const call: Call = peer.client(v1.AvatarService).connect({ deadline: Date.now() + maxSessionMs });
      this.#peer = peer;
      this.#call = call;
      call.on('data', (response: Response) => this.#receive(response));
      call.on('drain', () => this.#options.onDrain());
      call.on('error', (error) => void this.#lost(peer, fromServiceError(error)));
      call.on('status', () => peer.close());
      call.write({ attach: { sessionId, ...format, utterances: utterances() } });
      if (this.#isPaused) call.pause();
    } catch (thrown) {
      await this.#lost(undefined, MeshError.from(thrown));
    }
  }

  async #lost(peer: PeerConnection | undefined, error: MeshError): Promise<void> {
    peer?.close();
    if (this.#closed.signal.aborted) return;
    if (this.#isReady) {
      this.#lostAtMs = performance.now();
      this.#isReady = false;
    }
    this.#call = undefined;
    if (!MAY_PASS.has(error.reason) || performance.now() - this.#lostAtMs > ATTACH_MS) {
      this.close(false);
      this.#options.onEnd(error);
      return;
    }
    await sleep(RETRY_MS, undefined, { signal: this.#closed.signal }).catch(() => undefined);
    if (!this.#closed.signal.aborted) await this.#connect();
  }

  #receive({ ready, started, finished, cleared, frame }: Response): void {
    if (this.#closed.signal.aborted) return;
    if (frame) this.#options.onFrame(frame);
    else if (started) this.#options.onStarted(started.utterance);
    else if (finished) this.#options.onFinished(finished);
    else if (cleared) this.#options.onCleared();
    else if (ready) {
      this.#isReady = true;
      this.#options.onReady(ready);
    }
  }
}
