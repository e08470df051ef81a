import {
  type EventBody,
  type FrameMessage,
  MeshError,
  type PartFacts,
  RECORDING_BEAT_MS,
  RECORDING_LOSSES,
  type RecordingEnd,
  type RecordingFailure,
  type RecordingOutcome,
  SPEECH_RATE_HZ,
} from '@talkmesh/contracts';
import { type Logger, waitAtMost } from '@talkmesh/service-kit';
import type { Badge } from '../badge.js';
import type { CallerVoice } from './caller-voice.js';
import type { Encoder } from './encoder.js';
import type { PartFile } from './part-file.js';

export interface RecorderOptions {
  readonly facts: Omit<PartFacts, 'startedAtMs'>;
  readonly file: PartFile;
  /** Longest playing time and largest size of this part. */
  readonly maxMs: number;
  readonly maxBytes: number;
  readonly encoder: () => Pick<Encoder, 'output' | 'exited' | 'unwritten' | 'write' | 'end' | 'kill'>;
  /** Undefined: the pictures have one already. */
  readonly badge: Badge | undefined;
  /** Undefined: only the avatar is recorded. */
  readonly voice: CallerVoice | undefined;
  /** Completes the closed part and removes its state. @returns its size, bytes */
  readonly complete: (facts: PartFacts, outcome: RecordingOutcome) => Promise<number>;
  readonly log: Logger;
  /** Called once, when no more is recorded. */
  readonly onEnd: (end: Outcome, seconds: number, bytes: number) => void;
  readonly beatMs?: number;
}

export type Outcome = RecordingEnd | RecordingFailure;
type Tell = (body: EventBody) => void;

/** So much of uncompressed frames, and at least so many seconds, may wait for the encoder; more ends the recording, because a call never waits for it. */
const MAX_UNWRITTEN_BYTES = 32 * 2 ** 20;
const MIN_UNWRITTEN_SECONDS = 2;
/** How long the encoder may take for what waits at the end. */
const FINISH_MS = 60_000;
/** A gateway gives a stage 5 s to close: what the encoder has left to do then, it does after the session. */
const CLOSE_MS = 3500;
/** How long a session that moves waits until the next worker can read what was recorded. */
const HAND_OVER_MS = 1000;
/** Of an event, characters. */
const MAX_MESSAGE = 500;
const MESSAGES: Readonly<Record<RecordingFailure, string>> = {
  'disk-full': 'the storage of recordings is full; free space, or lower TALKMESH_RECORDING_TTL_HOURS',
  storage: 'the storage of recordings cannot be written; look at the log of webrtc-egress',
  'too-slow': 'encoder or storage did not keep up; give webrtc-egress more CPU, or record fewer calls at once',
  encoder: 'the encoder failed; look at the log of webrtc-egress',
};

/** Records what a session plays, frame by frame, in one part of a recording. Nothing it does waits or throws into the session. */
export class Recorder {
  readonly #options: RecorderOptions;
  #encoder: ReturnType<RecorderOptions['encoder']> | undefined;
  #drained: Promise<void> = Promise.resolve();
  #tell: Tell = () => undefined;
  #startedAtMs = Date.now();
  #frames = 0;
  #held = 0;
  #shown: Uint8Array | undefined;
  #ending: Promise<void> | undefined;
  readonly #maxUnwritten: number;
  readonly #beat: NodeJS.Timeout;
  #isStopped = false;
  /** The newest beat that is under way. */
  #beating: Promise<void> | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
    const { width, height, fps } = options.facts;
    this.#maxUnwritten = Math.max(MIN_UNWRITTEN_SECONDS * fps, MAX_UNWRITTEN_BYTES / (width * height * 1.5));
    this.#beat = setInterval(() => {
      if (this.#beating === undefined) void this.#nextBeat();
    }, options.beatMs ?? RECORDING_BEAT_MS);
  }

  /** Where events go. */
  tellTo(tell: Tell): void {
    this.#tell = tell;
  }

  /** A frame was played. */
  frame({ i420, pcm }: Pick<FrameMessage, 'i420' | 'pcm'>): void {
    if (this.#ending !== undefined) return;
    this.#shown = this.#marked(i420);
    this.#write(this.#shown, pcm);
  }

  /** The next frame was late: the picture stood still for a frame, in silence. */
  held(): void {
    if (this.#ending !== undefined || this.#shown === undefined) return;
    this.#held += 1;
    this.#write(this.#shown, new Int16Array(SPEECH_RATE_HZ / this.#options.facts.fps));
  }

  /** Completes the part. Idempotent: the first reason counts. Never rejects. */
  finish(end: Outcome): Promise<void> {
    this.#ending ??= this.#finish(end).catch((err: unknown) => {
      const { sessionId, part } = this.#options.facts;
      this.#options.log.error({ err, sessionId, part }, 'a recording could not be closed; the next sweep closes it');
    });
    return this.#ending;
  }

  /** As `finish`, but does not wait longer than a session may take to close. */
  async close(end: Outcome): Promise<void> {
    await waitAtMost(this.finish(end), CLOSE_MS);
  }

  /** Another worker continues: what it has to read is written; the part is completed afterwards. Never rejects. */
  async handOver(): Promise<void> {
    const finished = this.finish('moved');
    await waitAtMost(this.#encoder === undefined ? finished : this.#nextBeat(), HAND_OVER_MS);
  }

  #marked(i420: Uint8Array): Uint8Array {
    const { badge } = this.#options;
    if (badge === undefined) return i420;
    const marked = i420.slice();
    badge.drawInto(marked);
    return marked;
  }

  #write(i420: Uint8Array, pcm: Int16Array): void {
    const { maxMs, maxBytes, file, voice } = this.#options;
    const encoder = this.#encoder ?? this.#start();
    encoder.write(i420, voice?.mixInto(pcm) ?? pcm);
    this.#frames += 1;
    if (encoder.unwritten > this.#maxUnwritten) void this.finish('too-slow');
    else if (this.#durationMs >= maxMs || file.bytes >= maxBytes) void this.finish('limit');
  }

  #start(): ReturnType<RecorderOptions['encoder']> {
    const { facts, log } = this.#options;
    this.#startedAtMs = Date.now();
    const encoder = this.#options.encoder();
    this.#encoder = encoder;
    this.#drained = this.#drain(encoder.output);
    void encoder.exited.then(({ code, stderr }) => {
      if (this.#ending !== undefined) return;
      log.error({ sessionId: facts.sessionId, code, stderr }, 'the encoder of a recording exited');
      void this.finish('encoder');
    });
    this.#tell({ type: 'recording.started', part: facts.part, sides: facts.sides });
    log.info({ sessionId: facts.sessionId, part: facts.part, sides: facts.sides }, 'recording started');
    return encoder;
  }

  async #drain(output: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const bytes of output) await this.#options.file.append(bytes);
    } catch (err) {
      this.#options.log.error({ err, sessionId: this.#options.facts.sessionId }, 'a recording cannot be written');
      void this.finish((err as NodeJS.ErrnoException).code === 'ENOSPC' ? 'disk-full' : 'storage');
      this.#encoder?.kill();
    }
  }

  async #finish(wanted: Outcome): Promise<void> {
    const { facts, file, log, onEnd } = this.#options;
    const encoder = this.#encoder;
    if (encoder === undefined) {
      await this.#stopBeats();
      // What was stopped stays listed, and a worker that takes the session over must not begin again.
      await file.discard(facts.format, wanted !== 'moved' && wanted !== 'stopped').finally(() => {
        // Who joins a call that is to be recorded is told so before its first picture.
        if (wanted === 'stopped' || wanted === 'deleted') this.#tellEnd(wanted, 0);
        onEnd(wanted, 0, 0);
      });
      return;
    }
    if (isFailure(wanted) || wanted === 'deleted') encoder.kill();
    else encoder.end();
    const settled = await this.#settle(encoder, wanted);
    await file.close(settled === 'disk-full');
    await this.#stopBeats();
    const { sessionId, part } = facts;
    const figures = { frames: this.#frames, heldFrames: this.#held, durationMs: this.#durationMs };
    const outcome = { ...figures, end: settled, endedAtMs: Date.now() };
    let [bytes, end] = [file.bytes, settled];
    try {
      // Kept, so that a worker that completes the part later signs how it ended.
      const isGone = settled === 'deleted' || (await file.beat(this.#facts, this.#frames, outcome)) === 'deleted';
      if (isGone) end = 'deleted';
      if (end !== 'deleted') bytes = await this.#options.complete(this.#facts, outcome);
    } catch (err) {
      // As recordings of lost writers it is completed by a later sweep.
      log.error({ err, sessionId, part }, 'the manifest of a recording could not be written; it is tried again');
    }
    onEnd(end, outcome.durationMs / 1000, bytes);
    log.info({ sessionId, part, bytes, ...outcome, end }, 'recording ended');
    this.#tellEnd(end, bytes);
  }

  /** After this, none is written. */
  async #stopBeats(): Promise<void> {
    clearInterval(this.#beat);
    this.#isStopped = true;
    await this.#beating;
  }

  /** Writes one after the one that is under way. Never rejects. */
  #nextBeat(): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    const beating = (this.#beating ?? Promise.resolve())
      .then(() => this.#writeBeat())
      .finally(() => {
        if (this.#beating === beating) this.#beating = undefined;
      });
    this.#beating = beating;
    return beating;
  }

  /** Waits until the encoder has written everything. @returns how the part ended in fact */
  async #settle(encoder: ReturnType<RecorderOptions['encoder']>, wanted: Outcome): Promise<Outcome> {
    const { sessionId } = this.#options.facts;
    const isSettled = await waitAtMost(Promise.all([encoder.exited, this.#drained]), FINISH_MS);
    if (isSettled === 'gave-up') {
      encoder.kill();
      this.#options.log.error({ sessionId }, 'the encoder of a recording did not end in time');
      return isFailure(wanted) || wanted === 'deleted' ? wanted : 'too-slow';
    }
    const { code, stderr } = await encoder.exited;
    if (isFailure(wanted) || wanted === 'deleted' || code === 0) return wanted;
    this.#options.log.error({ sessionId, code, stderr }, 'the encoder of a recording failed');
    return 'encoder';
  }

  #tellEnd(end: Outcome, bytes: number): void {
    const { part } = this.#options.facts;
    if (isFailure(end)) this.#tell({ type: 'recording.failed', part, code: end, message: messageOf(end) });
    else if (end !== 'moved' && end !== 'lost')
      this.#tell({ type: 'recording.finished', part, cause: end, durationMs: this.#durationMs, bytes });
  }

  async #writeBeat(): Promise<void> {
    const { file, log, facts } = this.#options;
    try {
      const end = await file.beat(this.#facts, this.#frames);
      if (end !== undefined) void this.finish(end);
    } catch (err) {
      log.warn({ err, sessionId: facts.sessionId }, 'the state of a recording could not be written');
    }
  }

  get #facts(): PartFacts {
    return { ...this.#options.facts, startedAtMs: this.#startedAtMs };
  }

  get #durationMs(): number {
    return Math.round((this.#frames * 1000) / this.#options.facts.fps);
  }
}

const isFailure = (end: Outcome): end is RecordingFailure => Object.hasOwn(MESSAGES, end);

/** What a caller is told, as a sentence. */
const messageOf = (failure: RecordingFailure): string =>
  `The call goes on without being recorded: ${MESSAGES[failure]}`;

/** The failure of an operation on the storage. */
export const storageFailure = (cause: unknown): MeshError => {
  const code = (cause as NodeJS.ErrnoException).code;
  const failure = code === 'ENOSPC' ? 'disk-full' : 'storage';
  return new MeshError('RECORDING_UNAVAILABLE', `the session cannot be recorded (${code}): ${MESSAGES[failure]}`, {
    ...{ cause, metadata: { failure } },
  });
};

/** What the caller of a session that was taken over is told when it cannot be recorded any more. @param error of `Recordings.begin` */
export function lostEvent(error: MeshError): EventBody {
  const code = RECORDING_LOSSES.find((one) => one === error.metadata['failure']) ?? 'storage';
  const message = `The call goes on without being recorded: ${error.message}`.slice(0, MAX_MESSAGE);
  return { type: 'recording.failed', part: 0, code, message };
}
