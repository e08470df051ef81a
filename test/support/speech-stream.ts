import { setTimeout as sleep } from 'node:timers/promises';
import { Metadata } from '@grpc/grpc-js';
import type { v1 } from '@talkmesh/contracts/protos';
import { fromServiceError } from '@talkmesh/service-kit';

type Ingest = InstanceType<typeof v1.AudioIngest>;
type Upload = Pick<ReturnType<Ingest['StreamAudio']>, 'write' | 'end'>;

export interface SpeechStreamOptions {
  readonly ingest: Ingest;
  readonly sessionId: string;
  readonly token: string;
  /** Repeated from the beginning until `finish`. */
  readonly words: Int16Array;
  /** Sending speed relative to playing speed. */
  readonly speed: number;
  /** Ends after this many samples. */
  readonly samples?: number;
}

const RATE_HZ = 24_000;
/** Not a multiple of the mesh's 20 ms, so that a remainder is left at a seam and must not be lost. */
const BLOCK_SAMPLES = 2300;
const RETRY_MS = 50;

/** One turn sent as a language model sends it. When the session moves, the rest goes to the next worker in a stream of its own. */
export class SpeechStream {
  /** Number of gRPC streams used. */
  streams = 0;
  /** Resolves when all of it was received. Rejects with the mesh's MeshError. */
  readonly over: Promise<void>;
  readonly #options: SpeechStreamOptions;
  readonly #startMs = performance.now();
  /** Samples that the mesh has acknowledged. */
  #received = 0;
  #finishing = false;

  constructor(options: SpeechStreamOptions) {
    this.#options = options;
    this.over = this.#run();
    this.over.catch(() => undefined);
  }

  /** Ends the turn as soon as allowed. @returns the speech that was sent. @throws MeshError of the mesh */
  async finish(): Promise<Int16Array> {
    this.#finishing = true;
    await this.over;
    return this.#samples(0, this.#received);
  }

  async #run(): Promise<void> {
    const { samples = Number.POSITIVE_INFINITY } = this.#options;
    for (let done = false; !done && this.#received < samples; ) {
      this.streams += 1;
      const stream = await this.#stream(this.#received);
      this.#received += stream.received;
      done = stream.done;
      if (!done) await sleep(RETRY_MS);
    }
  }

  /** Runs one stream, until it is finished or its worker ends it because the session moves. */
  #stream(from: number): Promise<{ received: number; done: boolean }> {
    const { ingest, sessionId, token } = this.#options;
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    return new Promise((resolve, reject) => {
      const answered = new AbortController();
      const upload = ingest.StreamAudio(metadata, (error, answer) => {
        answered.abort();
        const failure = error === null ? undefined : fromServiceError(error);
        const received = failure?.metadata['samples_received'];
        if (failure === undefined) resolve({ received: Number(answer?.samples), done: true });
        else if (received !== undefined) resolve({ received: Number(received), done: false });
        else reject(failure);
      });
      upload.on('error', () => undefined);
      upload.write({ sessionId, sampleRateHz: RATE_HZ, channels: 1 });
      void this.#send(upload, from, answered.signal);
    });
  }

  async #send(upload: Upload, from: number, answered: AbortSignal): Promise<void> {
    const { speed, samples = Number.POSITIVE_INFINITY } = this.#options;
    for (let at = from; at < samples && !answered.aborted; at += BLOCK_SAMPLES) {
      const dueMs = this.#startMs + (at * 1000) / (RATE_HZ * speed);
      await sleep(Math.max(0, dueMs - performance.now()));
      upload.write({ pcm: Buffer.from(this.#samples(at, Math.min(at + BLOCK_SAMPLES, samples)).buffer) });
      if (this.#finishing) break;
    }
    upload.end();
  }

  #samples(from: number, to: number): Int16Array {
    const { words } = this.#options;
    return Int16Array.from({ length: to - from }, (_, i) => words[(from + i) % words.length] ?? 0);
  }
}
