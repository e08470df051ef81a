import { type AudioMessage, type FrameMessage, MeshError, type MeshEvent, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { ChannelMixer, FrameJoiner, MicFramer, PcmRing } from '@talkmesh/media';
import { type AgentInput, formProblem, isTaken, type SpeechReport } from './agent-messages.js';

export interface AgentSpeechOptions {
  readonly sessionId: string;
  /** Of the `mic` messages; above those of the worker before. */
  readonly firstSequence: number;
  /** Another worker had the session: a segment of it may still be spoken. */
  readonly takeOver: boolean;
  /** The sink leaves out the sound of frames that `isMuted`, so a segment that is cut is over at once. Otherwise it ends with its chunk. */
  readonly mutes: boolean;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly mic: (message: AudioMessage) => void;
  /** Cuts what the bridge has of the speech. */
  readonly clear: () => void;
  readonly report: (report: SpeechReport) => void;
  /** Told when a segment cannot be spoken as the agent means it. */
  readonly warn: (stream: string, what: string) => void;
}

/** An open stream without audio for this long, when all of it was heard, ends its turn; more audio begins another turn of the segment. */
export const STALL_MS = 2500;
/** After this time its end counts as lost, as the receiver of LiveKit Agents has it, and the segment as complete. */
export const CLOSE_MS = 10_000;
/** A cut whose flush does not come is reported after this time; agents in Python wait for 2 s. */
const CUT_MS = 1500;
/** The last frame of a turn that the bridge reports as finished is played within this time, or was lost. */
const LAST_FRAME_MS = 2000;
/** Speech of segments that wait for the one before them; a segment beyond it is dropped. */
const MAX_WAITING_SECONDS = 600;
/** Segments whose end was not reported, with the one that is spoken. */
export const MAX_SEGMENTS = 500;
/** Speech that is passed on at once; more of it follows with the next frame that is played, or the next message. */
const SLICE_SECONDS = 2;

/** The speech of one segment in one turn of the mesh. */
interface Part {
  /** Undefined until the bridge has queued the turn. */
  turn: number | undefined;
  /** At 24 kHz: passed on, and heard. */
  samples: number;
  heard: number;
  /** All of it was passed on. */
  isEnded: boolean;
  /** When the bridge reported that all of it was heard. */
  finishedAtMs: number | undefined;
  /** All that will be heard of it was heard. */
  isOver: boolean;
}

interface Cut {
  readonly atMs: number;
  /** The first chunk without the speech that was cut; undefined until the flush. */
  fromChunk: number | undefined;
}

/** One utterance of the agent: a byte stream, answered by one report that it is finished. */
interface Segment {
  readonly stream: string;
  readonly rateHz: number;
  readonly channels: number;
  readonly joiner: FrameJoiner;
  readonly mixer: ChannelMixer;
  /** Mono, until it is passed on. */
  readonly waiting: PcmRing;
  isOpen: boolean;
  readonly parts: Part[];
  isStarted: boolean;
  /** The bridge was lost with some of the speech. */
  isTruncated: boolean;
  cut: Cut | undefined;
  isReported: boolean;
}

/**
 * Speech of an agent, from LiveKit or from the avatar socket, segment by segment: what arrives becomes `mic` messages, what is played becomes reports. A
 * segment is passed on when the one before it is over, so at most one is at the bridge. It has no I/O and takes its clock as a parameter.
 */
export class AgentSpeech {
  readonly #options: AgentSpeechOptions;
  readonly #framer: MicFramer;
  readonly #segments: Segment[] = [];
  #waitingSeconds = 0;
  #audioAtMs = 0;
  #last: Pick<FrameMessage, 'chunk' | 'frame' | 'framesInChunk'> | undefined;
  /** A segment of the worker before, whose stream ended with it, may still be spoken; until when it was, and up to where. */
  #inherited: { atMs: number; samples: number } | undefined;
  #unansweredClears = 0;

  constructor(options: AgentSpeechOptions) {
    this.#options = options;
    this.#framer = new MicFramer(options.sessionId, options.firstSequence);
    this.#inherited = options.takeOver ? { atMs: options.now(), samples: 0 } : undefined;
    if (options.takeOver) options.mic(this.#framer.cutTurn());
  }

  /** @throws MeshError RATE_LIMITED when too many segments wait */
  receive(message: AgentInput): void {
    if (message.type === 'clear') this.#clear();
    else if (message.type === 'opened') this.#open(message);
    else {
      const segment = this.#segments.findLast(({ stream }) => stream === message.stream);
      if (segment === undefined || segment.cut !== undefined) return;
      if (message.type === 'audio') this.#append(segment, message.bytes);
      else if (message.complete) this.#close(segment);
      else this.#break(segment);
    }
    this.#advance();
  }

  /** An event of the session. */
  event(event: MeshEvent): void {
    const head = this.#segments[0];
    const part = head?.parts.find(({ turn }) => turn === event.turn);
    if (event.type === 'flush' && head?.cut !== undefined && event.cause !== 'speech')
      head.cut.fromChunk ??= event.fromChunk;
    else if (event.type === 'turn.paused' || event.type === 'turn.resumed')
      this.#inheritedWaits(event.type === 'turn.paused');
    else if (event.type === 'turn.queued' && event.source === 'external') this.#queued(event.turn);
    else if (event.type === 'turn.truncated' && head !== undefined && part !== undefined) this.#truncated(head, part);
    else if (event.type === 'turn.finished') this.#finished(head, part, event.interrupted, event.heardMs);
    else if (event.type === 'turn.cancelled') this.#finished(head, part, true, 0);
    else if (event.type === 'error' && event.reason === 'SESSION_LIMIT') this.#refused(head);
    this.#advance();
  }

  /** A frame was played. */
  played(frame: FrameMessage): void {
    const { chunk, framesInChunk } = frame;
    this.#last = { chunk, frame: frame.frame, framesInChunk };
    const head = this.#segments[0];
    const part = frame.turn === 0 ? undefined : head?.parts.find(({ turn }) => turn === frame.turn);
    if (head !== undefined && part !== undefined) this.#hear(head, part, frame);
    for (const other of head?.parts ?? [])
      if (this.#options.now() - (other.finishedAtMs ?? Number.POSITIVE_INFINITY) >= LAST_FRAME_MS) other.isOver = true;
    if (head === undefined) this.#watchInherited(frame);
    else this.#watchStall(head);
    this.#advance();
  }

  /** Whether a frame speaks what was cut. */
  isMuted({ turn }: Pick<FrameMessage, 'turn'>): boolean {
    const head = this.#segments[0];
    return this.#options.mutes && head?.cut !== undefined && head.parts.some((part) => part.turn === turn);
  }

  #open({ stream, rateHz, channels }: Extract<AgentInput, { type: 'opened' }>): void {
    if (this.#segments.length >= MAX_SEGMENTS)
      throw new MeshError(
        'RATE_LIMITED',
        `${MAX_SEGMENTS} utterances wait to be spoken; wait until some are finished, and send what belongs together as one`,
      );
    // An agent closes a stream before it opens the next one; one that was restarted did not.
    for (const older of this.#segments.filter(({ isOpen, cut }) => isOpen && cut === undefined)) {
      const isHeard = older.parts.length > 0 && older.parts.every(({ isOver }) => isOver);
      if (isHeard) this.#close(older);
      else this.#break(older);
    }
    this.#advance();
    const isFormTaken = isTaken({ rateHz, channels });
    const form = isFormTaken ? { rateHz, channels } : { rateHz: SPEECH_RATE_HZ, channels: 1 };
    const segment: Segment = {
      ...{ stream, ...form, joiner: new FrameJoiner(form.channels), mixer: new ChannelMixer() },
      ...{ waiting: new PcmRing(), isOpen: true, parts: [], isStarted: false },
      ...{ isTruncated: false, cut: undefined, isReported: false },
    };
    this.#segments.push(segment);
    if (isFormTaken) return;
    this.#options.warn(stream, `${formProblem({ rateHz, channels })}; the segment is dropped`);
    this.#cut(segment, false);
  }

  #append(segment: Segment, bytes: Uint8Array): void {
    const pcm = segment.mixer.pushInterleaved(segment.joiner.push(bytes), segment.channels);
    if (pcm.length === 0 || segment.isTruncated) return;
    if (this.#waitingSeconds < MAX_WAITING_SECONDS) {
      segment.waiting.push(pcm);
      this.#waitingSeconds += pcm.length / segment.rateHz;
    } else {
      this.#options.warn(segment.stream, `more than ${MAX_WAITING_SECONDS} s of speech wait; the segment is dropped`);
      this.#cut(segment, false);
    }
  }

  #drop(segment: Segment): void {
    this.#waitingSeconds -= segment.waiting.clear() / segment.rateHz;
  }

  #close(segment: Segment): void {
    segment.isOpen = false;
    // What waits is passed on before.
    const isPassed = segment === this.#segments[0] && segment.waiting.length === 0;
    if (isPassed && segment.parts.at(-1)?.isEnded !== true) this.#endPart(segment);
  }

  /** The agent is gone, or has forgotten the stream: the avatar stops. */
  #break(segment: Segment): void {
    segment.isOpen = false;
    this.#cut(segment, true);
  }

  #clear(): void {
    this.#unansweredClears += 1;
    // The bridge may still speak what the worker before had.
    if (this.#segments.length === 0 && this.#options.takeOver) this.#options.clear();
    for (const segment of this.#segments) if (segment.cut === undefined) this.#cut(segment, true);
  }

  /** @param tellsBridge false: the bridge has cut the turn already */
  #cut(segment: Segment, tellsBridge: boolean): void {
    segment.cut = { atMs: this.#options.now(), fromChunk: undefined };
    this.#drop(segment);
    if (segment !== this.#segments[0]) return;
    const isAtBridge = segment.parts.some(({ isOver }) => !isOver);
    if (tellsBridge && isAtBridge) this.#options.clear();
    this.#options.mic(this.#framer.cutTurn());
  }

  /** Passes on some of what waits; after the last of a complete segment its end. */
  #pass(segment: Segment): void {
    const { waiting, rateHz, isOpen, cut } = segment;
    if (waiting.length > 0) {
      this.#audioAtMs = this.#options.now();
      const pcm = waiting.take(Math.min(waiting.length, SLICE_SECONDS * rateHz));
      this.#waitingSeconds -= pcm.length / rateHz;
      this.#send(segment, this.#framer.push(pcm, rateHz));
    }
    if (waiting.length === 0 && !isOpen && cut === undefined) this.#endPart(segment);
  }

  #send(segment: Segment, messages: readonly AudioMessage[]): void {
    for (const message of messages) {
      if (message.pcm.length > 0) {
        const part = currentPart(segment);
        part.samples += message.pcm.length;
      }
      this.#options.mic(message);
    }
  }

  #endPart(segment: Segment): void {
    this.#send(segment, this.#framer.endTurn());
    const part = segment.parts.at(-1);
    if (part !== undefined) part.isEnded = true;
  }

  #queued(turn: number): void {
    const part = this.#segments[0]?.parts.find((other) => other.turn === undefined);
    if (part !== undefined) part.turn = turn;
  }

  #hear(segment: Segment, part: Part, frame: FrameMessage): void {
    if (!segment.isReported) part.heard = Math.min(part.samples, frame.turnSamples);
    if (!segment.isStarted && !segment.isReported) {
      segment.isStarted = true;
      this.#options.report({ type: 'started', stream: segment.stream });
    }
    const isLastFrame = frame.frame === frame.framesInChunk - 1;
    if (!frame.endOfTurn || !part.isEnded || (part.heard < part.samples && !isLastFrame)) return;
    part.heard = part.samples;
    part.isOver = true;
  }

  /** A killed agent leaves its stream open, and the server notices it only after about 20 s. */
  #watchStall(segment: Segment): void {
    const part = segment.parts.at(-1);
    const silentMs = this.#options.now() - this.#audioAtMs;
    if (!segment.isOpen || segment.cut !== undefined || part === undefined || part.heard < part.samples) return;
    if (silentMs >= CLOSE_MS) this.#close(segment);
    if (part.isEnded || silentMs < STALL_MS) return;
    this.#endPart(segment);
    this.#options.warn(
      segment.stream,
      'the agent stopped in the middle of a segment; the avatar is idle until more of it comes',
    );
  }

  /** The bridge may have reported its end while no worker played; then only silence follows. */
  #watchInherited({ turn, turnSamples }: FrameMessage): void {
    if (this.#inherited === undefined) return;
    if (turn > 0) this.#inherited = { atMs: this.#options.now(), samples: turnSamples };
    const { atMs, samples } = this.#inherited;
    if (this.#options.now() - atMs >= CLOSE_MS) this.#finishInherited(samples / SPEECH_RATE_HZ, true);
  }

  /** In a pause silence is no sign that nothing more comes. */
  #inheritedWaits(isPaused: boolean): void {
    if (this.#inherited !== undefined) this.#inherited.atMs = isPaused ? Number.POSITIVE_INFINITY : this.#options.now();
  }

  #finishInherited(seconds: number, interrupted: boolean): void {
    if (this.#inherited === undefined) return;
    this.#inherited = undefined;
    this.#options.report({ type: 'finished', stream: undefined, seconds, interrupted });
  }

  #truncated(segment: Segment, part: Part): void {
    segment.isTruncated = true;
    segment.isOpen = false;
    this.#drop(segment);
    part.isEnded = true;
    this.#options.mic(this.#framer.cutTurn());
  }

  #finished(segment: Segment | undefined, part: Part | undefined, interrupted: boolean, heardMs: number): void {
    if (segment === undefined || part === undefined) {
      if (segment === undefined) this.#finishInherited(heardMs / 1000, interrupted);
      return;
    }
    if (interrupted && !segment.isTruncated) {
      // Not the agent but a client interrupted the avatar. Its last chunk is still being played.
      if (segment.cut === undefined && !part.isOver) this.#cut(segment, false);
      return;
    }
    // The bridge counts whole chunks, so it is early where one was padded. The last frame of the turn decides, if it comes.
    part.finishedAtMs ??= this.#options.now();
    if (segment.isTruncated) part.isOver = true;
  }

  /** Too many turns wait at the bridge: it dropped this one. */
  #refused(segment: Segment | undefined): void {
    const part = segment?.parts.at(-1);
    if (segment === undefined || part === undefined || part.turn !== undefined) return;
    part.isOver = true;
    if (segment.cut === undefined) this.#cut(segment, false);
  }

  #advance(): void {
    this.#passNext();
    if (this.#options.mutes)
      for (const segment of this.#segments) {
        if (segment.cut === undefined) break;
        this.#reportFinished(segment);
      }
    if (this.#segments.some(({ cut, isReported }) => cut !== undefined && !isReported)) return;
    for (; this.#unansweredClears > 0; this.#unansweredClears -= 1) this.#options.report({ type: 'cleared' });
  }

  /** Reports the segments that are over, and passes on the next one. */
  #passNext(): void {
    const [first] = this.#segments;
    if (first !== undefined && first.waiting.length > 0) this.#pass(first);
    for (let head = this.#segments[0]; head !== undefined && this.#isOver(head); head = this.#segments[0]) {
      this.#segments.shift();
      this.#reportFinished(head);
      const next = this.#segments[0];
      if (next === undefined) return;
      this.#pass(next);
    }
  }

  #reportFinished(segment: Segment): void {
    if (segment.isReported) return;
    segment.isReported = true;
    const { stream, parts, cut, isTruncated } = segment;
    const heard = parts.reduce((sum, part) => sum + part.heard, 0);
    const interrupted = cut !== undefined || isTruncated;
    this.#options.report({ type: 'finished', stream, seconds: heard / SPEECH_RATE_HZ, interrupted });
  }

  #isOver({ parts, isOpen, cut, waiting }: Segment): boolean {
    if (waiting.length > 0) return false;
    if (parts.every(({ isOver }) => isOver)) return cut !== undefined || !isOpen;
    if (cut === undefined) return false;
    if (this.#options.now() - cut.atMs >= CUT_MS) return true;
    const { fromChunk } = cut;
    if (fromChunk === undefined) return false;
    if (this.#last === undefined) return fromChunk === 0;
    const { chunk, frame, framesInChunk } = this.#last;
    return chunk >= fromChunk || (chunk === fromChunk - 1 && frame === framesInChunk - 1);
  }
}

/** The part that speech is added to. */
function currentPart(segment: Segment): Part {
  const last = segment.parts.at(-1);
  if (last !== undefined && !last.isEnded) return last;
  const part: Part = {
    turn: undefined,
    samples: 0,
    heard: 0,
    isEnded: false,
    finishedAtMs: undefined,
    isOver: false,
  };
  segment.parts.push(part);
  return part;
}
