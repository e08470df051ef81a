import type { ClientWritableStream } from '@grpc/grpc-js';
import { MeshError } from '@talkmesh/contracts';
import type { v1 } from '@talkmesh/contracts/protos';
import { fromServiceError } from '@talkmesh/service-kit';

export interface InputAudioOptions {
  /** The audio-ingest that holds the session. */
  readonly client: () => Promise<InstanceType<typeof v1.AudioIngest>>;
  readonly sessionId: string;
  readonly maxSessionMs: number;
  readonly onError: (error: MeshError) => void;
}

type Upload = ClientWritableStream<{ sessionId: string; sampleRateHz: number; channels: number; pcm: Buffer }>;

interface Piece {
  readonly pcm: Buffer;
  readonly rateHz: number;
}

const BYTES_PER_SAMPLE = 2;
/** Audio in one message of StreamAudio, milliseconds. */
const PIECE_MS = 100;
/** Audio is passed on at most this long before its time. Voice detection runs beside the audio, so a burst would be over before its start is noticed. */
const LEAD_MS = 200;
/** More waiting audio is refused: a live microphone would be heard ever later, milliseconds. */
const MAX_WAITING_MS = 30_000;
/** After this pause the stream is ended, before audio-ingest gives up waiting for more. The next audio opens another one. */
const IDLE_MS = 4_000;

const msOf = ({ pcm, rateHz }: Piece): number => (pcm.length * 1000) / (BYTES_PER_SAMPLE * rateHz);

/** The user's audio on its way to audio-ingest, in real time: one StreamAudio call from the first sample to the end of a turn. */
export class InputAudio {
  readonly #options: InputAudioOptions;
  #upload: Upload | undefined;
  #isOpening = false;
  #isClosed = false;
  #waiting: Piece[] = [];
  #waitingMs = 0;
  /** When what was passed on ends, on the clock of `performance.now()`. */
  #passedUntilMs = 0;
  #endsTurn = false;
  #isFull = false;
  #paceTimer: NodeJS.Timeout | undefined;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(options: InputAudioOptions) {
    this.#options = options;
  }

  /** @param pcm PCM16 mono, of any length @throws MeshError AUDIO_TOO_LONG when too much waits */
  push(pcm: Buffer, rateHz: number): void {
    const ms = msOf({ pcm, rateHz });
    if (this.#waitingMs + ms > MAX_WAITING_MS)
      throw new MeshError(
        'AUDIO_TOO_LONG',
        `more than ${MAX_WAITING_MS / 1000} s of audio wait to be heard; send audio in real time, once the avatar is connected`,
      );
    const step = Math.round((rateHz * PIECE_MS) / 1000) * BYTES_PER_SAMPLE;
    for (let at = 0; at < pcm.length; at += step) this.#waiting.push({ pcm: pcm.subarray(at, at + step), rateHz });
    this.#waitingMs += ms;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => this.endTurn(), IDLE_MS);
    this.#pump();
  }

  /** Drops what was not passed on yet. */
  clear(): void {
    this.#waiting = [];
    this.#waitingMs = 0;
  }

  /** The user's turn is over after the audio so far. */
  endTurn(): void {
    clearTimeout(this.#idleTimer);
    if (this.#upload === undefined && this.#waiting.length === 0) return;
    this.#endsTurn = true;
    this.#pump();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#idleTimer);
    clearTimeout(this.#paceTimer);
    this.clear();
    this.#upload?.cancel();
  }

  #pump(): void {
    clearTimeout(this.#paceTimer);
    if (this.#isClosed || this.#isOpening) return;
    const [first] = this.#waiting;
    if (this.#upload === undefined && first !== undefined) {
      this.#isOpening = true;
      void this.#open(first.rateHz);
      return;
    }
    while (this.#upload !== undefined && this.#waiting.length > 0 && !this.#isFull) {
      const earlyMs = this.#passedUntilMs - performance.now() - LEAD_MS;
      if (earlyMs > 0) {
        this.#paceTimer = setTimeout(() => this.#pump(), earlyMs);
        return;
      }
      this.#pass(this.#upload, this.#waiting.shift() as Piece);
    }
    if (!this.#endsTurn || this.#waiting.length > 0) return;
    this.#endsTurn = false;
    this.#upload?.end();
    this.#upload = undefined;
  }

  #pass(upload: Upload, piece: Piece): void {
    const ms = msOf(piece);
    this.#waitingMs -= ms;
    this.#passedUntilMs = Math.max(performance.now(), this.#passedUntilMs) + ms;
    this.#isFull = !upload.write({ sessionId: '', sampleRateHz: 0, channels: 0, pcm: piece.pcm });
  }

  async #open(rateHz: number): Promise<void> {
    const { client, sessionId, maxSessionMs, onError } = this.#options;
    try {
      const audio = await client();
      this.#isOpening = false;
      if (this.#isClosed) return;
      const upload = audio.streamAudio({ deadline: Date.now() + maxSessionMs }, (error) => {
        if (this.#upload === upload) this.#upload = undefined;
        if (error !== null && !this.#isClosed) onError(fromServiceError(error));
      }) as Upload;
      upload.on('drain', () => {
        this.#isFull = false;
        this.#pump();
      });
      // The callback reports the failure.
      upload.on('error', () => undefined);
      this.#isFull = !upload.write({ sessionId, sampleRateHz: rateHz, channels: 1, pcm: Buffer.alloc(0) });
      this.#upload = upload;
      this.#pump();
    } catch (thrown) {
      this.#isOpening = false;
      this.clear();
      onError(MeshError.from(thrown));
    }
  }
}
