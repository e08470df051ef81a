import { type FrameMessage, MeshError } from '@talkmesh/contracts';
import type { SpeechReport } from './agent-messages.js';
import type { AgentSpeech } from './agent-speech.js';

/** What the program learns first. Utterances are numbered from 1. */
export interface SpeakerState {
  /** An earlier connection spoke here, so what follows is about its utterances. */
  readonly resumed: boolean;
  /** Begun so far. */
  readonly utterances: number;
  /** Those whose report is still to come. */
  readonly unfinished: readonly number[];
  /** Whether the last of them is not complete, and how much of it was received. */
  readonly isOpen: boolean;
  readonly openBytes: number;
}

export type SpeakerReport =
  | { readonly type: 'ready'; readonly state: SpeakerState }
  | { readonly type: 'started'; readonly utterance: number }
  /** Utterance 0 is the one that the worker before was speaking. */
  | {
      readonly type: 'finished';
      readonly utterance: number;
      readonly positionMs: number;
      readonly interrupted: boolean;
    }
  | { readonly type: 'cleared' };

/** A connection to the program. */
export interface SpeakerConnection {
  report(report: SpeakerReport): void;
  end(error: MeshError): void;
}

export interface SpeakerFormat {
  readonly rateHz: number;
  readonly channels: number;
}

export interface SpeakerOptions {
  readonly follow: (callbacks: {
    readonly report: (report: SpeechReport) => void;
    readonly warn: (stream: string, what: string) => void;
  }) => AgentSpeech;
  readonly warn: (utterance: string, what: string) => void;
  /** How long a connection that broke may stay away, milliseconds. */
  readonly graceMs: number;
  readonly onGone: () => void;
}

/** Reports that are kept while the program is away. It has few utterances then, because nothing new comes. */
const MAX_KEPT = 256;

/**
 * The speech of a program at the avatar socket, over one connection after the other. Utterances that were received go on being spoken while
 * it is away, and what it missed is told to the next connection.
 */
export class Speaker {
  readonly #options: SpeakerOptions;
  readonly #speech: AgentSpeech;
  #connection: SpeakerConnection | undefined;
  #format: SpeakerFormat | undefined;
  #utterances = 0;
  #openBytes = 0;
  #isOpen = false;
  readonly #unfinished = new Set<number>();
  #kept: SpeakerReport[] = [];
  #goneTimer: NodeJS.Timeout | undefined;

  constructor(options: SpeakerOptions) {
    this.#options = options;
    this.#speech = options.follow({ report: (report) => this.#report(report), warn: options.warn });
  }

  /**
   * A connection of the program; it replaces an older one. @param utterances begun at a worker before this one
   * @throws MeshError ARGUMENT_INVALID when it cannot continue the open utterance
   */
  attach(connection: SpeakerConnection, format: SpeakerFormat, utterances: number): void {
    const { rateHz, channels } = this.#format ?? format;
    if (this.#isOpen && (rateHz !== format.rateHz || channels !== format.channels))
      throw new MeshError(
        'ARGUMENT_INVALID',
        `utterance ${this.#utterances} is not complete and has ${rateHz} Hz and ${channels} channels; start with the same`,
      );
    const resumed = this.#format !== undefined;
    const older = this.#connection;
    clearTimeout(this.#goneTimer);
    this.#connection = connection;
    older?.end(new MeshError('SESSION_EXISTS', 'a newer connection speaks for this session'));
    this.#format = format;
    this.#utterances = Math.max(this.#utterances, utterances);
    // Utterance 0 is the one of the worker before, of which a new connection does not know.
    const missed = this.#kept.flatMap((report) =>
      report.type === 'finished' && report.utterance > 0 ? [report.utterance] : [],
    );
    const state = { utterances: this.#utterances, unfinished: [...missed, ...this.#unfinished] };
    connection.report({
      type: 'ready',
      state: { ...state, resumed, isOpen: this.#isOpen, openBytes: this.#openBytes },
    });
    for (const report of this.#kept.splice(0)) connection.report(report);
  }

  /** The program is gone. @param onPurpose the open utterance is complete; otherwise the connection broke, and may be replaced in time */
  detach(connection: SpeakerConnection, onPurpose: boolean): void {
    if (connection !== this.#connection) return;
    this.#connection = undefined;
    if (onPurpose) this.end();
    else this.#goneTimer = setTimeout(this.#options.onGone, this.#options.graceMs);
  }

  close(error: MeshError): void {
    clearTimeout(this.#goneTimer);
    this.#connection?.end(error);
    this.#connection = undefined;
  }

  /** @param bytes interleaved PCM16, cut anywhere @throws MeshError RATE_LIMITED when too many utterances wait */
  audio(bytes: Uint8Array): void {
    if (!this.#isOpen) this.#open();
    this.#openBytes += bytes.length;
    this.#speech.receive({ type: 'audio', stream: String(this.#utterances), bytes });
  }

  /** The utterance is complete. */
  end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#speech.receive({ type: 'closed', stream: String(this.#utterances), complete: true });
  }

  clear(): void {
    this.#isOpen = false;
    this.#speech.receive({ type: 'clear' });
  }

  /** Whether a frame speaks what was cleared. */
  isMuted(frame: Pick<FrameMessage, 'turn'>): boolean {
    return this.#speech.isMuted(frame);
  }

  #open(): void {
    const { rateHz, channels } = this.#format as SpeakerFormat;
    this.#speech.receive({ type: 'opened', stream: String(this.#utterances + 1), rateHz, channels });
    this.#isOpen = true;
    this.#utterances += 1;
    this.#unfinished.add(this.#utterances);
    this.#openBytes = 0;
  }

  #report(report: SpeechReport): void {
    if (report.type === 'cleared') this.#send(report);
    else if (report.type === 'started') this.#send({ type: 'started', utterance: Number(report.stream) });
    else {
      const utterance = Number(report.stream ?? 0);
      const { seconds, interrupted } = report;
      this.#unfinished.delete(utterance);
      // It counts as complete after a long pause; what comes then is another utterance. Of one that was cut the rest is dropped.
      if (utterance === this.#utterances && !interrupted) this.#isOpen = false;
      this.#send({ type: 'finished', utterance, positionMs: seconds * 1000, interrupted });
    }
  }

  #send(report: SpeakerReport): void {
    if (this.#connection !== undefined) this.#connection.report(report);
    else if (this.#kept.length < MAX_KEPT) this.#kept.push(report);
  }
}
