import type { EventBody, MeshEvent, PlayheadMessage } from '@talkmesh/contracts';
import { SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { Cut, Provider, ProviderInput, ProviderOutput } from './providers/provider.js';
import type { Resumed } from './resume.js';
import { type Turn, TurnQueue, type TurnSource } from './turns.js';

export interface ConversationOptions {
  readonly provider: Pick<Provider, 'name' | 'vad' | 'source'>;
  readonly bargeIn: boolean;
  /** Speech of the user that begins this soon after a turn became audible is taken for its echo. */
  readonly bargeInGuardMs: number;
  readonly aheadMs: number;
  readonly maxTurnMs: number;
}

export type StageInput =
  | { readonly kind: 'mic'; readonly pcm: Int16Array; readonly endOfTurn: boolean }
  | { readonly kind: 'event'; readonly event: MeshEvent }
  | { readonly kind: 'playhead'; readonly playhead: PlayheadMessage }
  | { readonly kind: 'output'; readonly output: ProviderOutput };

export interface SpeechPiece {
  readonly kind: 'speech';
  readonly epoch: number;
  readonly turn: number;
  readonly sequence: number;
  readonly mediaTimeUs: number;
  readonly pcm: Int16Array;
  readonly fromSample: number;
  readonly endOfTurn: boolean;
}

export type StageOutput =
  | SpeechPiece
  | { readonly kind: 'event'; readonly epoch: number; readonly turn: number; readonly body: EventBody }
  | { readonly kind: 'input'; readonly input: ProviderInput }
  | { readonly kind: 'cancel'; readonly source: TurnSource; readonly cut: Cut };

/** Turns that may wait behind each other; one more is refused. */
export const MAX_RUNNING_TURNS = 8;
const PRE_ROLL_MS = 300;
const LONGEST_PRE_ROLL_MS = 2000;
/** Speech that began inside the echo guard and still goes on this much later is a person. */
const GUARD_RECHECK_MS = 700;

type Hearing = 'nobody' | 'held' | 'user';

/** The conversation of one session: who speaks, what was sent, what was heard, when a turn is cut. Pure: inputs and time to outputs, in order. */
export class Conversation {
  readonly #options: ConversationOptions;
  readonly #turns = new TurnQueue(MAX_RUNNING_TURNS);
  #outputs: StageOutput[] = [];
  #epoch: number;
  #sequence = 0;
  #sentSamples = 0;
  #hearing: Hearing = 'nobody';
  #heldSinceMs = 0;
  #paused: boolean | undefined;

  constructor(options: ConversationOptions, epoch: number) {
    this.#options = options;
    this.#epoch = epoch;
  }

  get running(): readonly Turn[] {
    return this.#turns.running;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Nothing is said until a resume, or an interrupt. */
  get paused(): boolean {
    return this.#paused === true;
  }

  /**
   * Goes on where another bridge stopped. A turn it could not end is ended where its speech stops, so that nobody waits for the
   * rest.
   */
  resume({ epoch, turns, sequence, sentSamples, unfinished, paused }: Resumed): StageOutput[] {
    this.#paused = paused;
    this.#epoch = Math.max(this.#epoch, epoch);
    this.#sequence = sequence;
    this.#sentSamples = sentSamples;
    this.#turns.adopt(turns, unfinished);
    for (const { number, sentMs } of unfinished.filter(({ ended }) => !ended)) {
      const fromSample = Math.round((sentMs * SPEECH_RATE_HZ) / 1000);
      this.#pushSpeech(number, { pcm: new Int16Array(0), fromSample, endOfTurn: true });
    }
    return this.#take();
  }

  /** Everything that waits to be spoken, at once: another bridge goes on, and it cannot know what was not sent. */
  release(): StageOutput[] {
    this.#send(Number.POSITIVE_INFINITY);
    return this.#take();
  }

  /** Number of the turn of a typed line, or undefined when too many turns wait. Its speech comes as `output` inputs. */
  beginText(response: string): number | undefined {
    return this.#turns.begin('text', response, this.#options.maxTurnMs)?.number;
  }

  handle(input: StageInput, nowMs: number): StageOutput[] {
    if (input.kind === 'mic')
      this.#emitInput({ kind: 'audio', pcm: input.pcm, endOfTurn: input.endOfTurn, atMs: nowMs });
    else if (input.kind === 'event') this.#onEvent(input.event, nowMs);
    else if (input.kind === 'playhead') this.#onPlayhead(input.playhead, nowMs);
    else this.#onOutput(input.output, nowMs);
    this.#send();
    return this.#take();
  }

  /** Cuts everything that is being said or waits to be, and ends a pause. @returns nothing to cancel when no turn runs */
  interrupt(cause: 'barge-in' | 'command'): StageOutput[] {
    this.#interrupt(cause);
    return this.#take();
  }

  /** Asks for silence that keeps what is left to be said, or for its end. Asked again it is told again: who holds it already does nothing. */
  pause(paused: boolean): StageOutput[] {
    this.#paused = paused;
    return this.pauseAgain();
  }

  /** What was asked last may not have arrived. */
  pauseAgain(): StageOutput[] {
    if (this.#paused !== undefined) this.#emitEvent(0, { type: this.#paused ? 'pause' : 'resume' });
    return this.#take();
  }

  #onEvent(event: MeshEvent, nowMs: number): void {
    if (event.type === 'flush') this.#epoch = Math.max(this.#epoch, event.epoch);
    if (this.#options.provider.vad !== 'mesh') return;
    if (event.type === 'speech.started') this.#onActivity('started', nowMs);
    else if (event.type === 'speech.stopped') this.#onActivity('stopped', nowMs);
  }

  #onActivity(activity: 'started' | 'stopped', nowMs: number): void {
    if (activity === 'started') this.#userStarted(nowMs);
    else this.#userStopped();
  }

  #onPlayhead(playhead: PlayheadMessage, nowMs: number): void {
    this.#epoch = Math.max(this.#epoch, playhead.epoch);
    for (const { turn, lost } of this.#turns.played(playhead, this.paused)) {
      if (lost)
        this.#error(
          'PEER_LOST',
          `turn ${turn.number} was sent but never played; is a score-model worker on this session?`,
          turn,
        );
      this.#finish(turn, lost);
    }
    if (this.#hearing !== 'held') return;
    const current = this.running[0];
    if (current === undefined) this.#hear(PRE_ROLL_MS);
    else if (this.#options.bargeIn && this.#heldForMs(current, nowMs) >= GUARD_RECHECK_MS) this.#bargeIn(nowMs);
  }

  /** How long somebody has spoken beyond the echo guard; in a pause there is nothing to echo. */
  #heldForMs(current: Turn, nowMs: number): number {
    return this.paused ? nowMs - this.#heldSinceMs : current.playedMs - this.#options.bargeInGuardMs;
  }

  #userStarted(nowMs: number): void {
    if (this.#hearing !== 'nobody') return;
    this.#heldSinceMs = nowMs;
    const current = this.running[0];
    if (current === undefined) {
      this.#hear(PRE_ROLL_MS);
      return;
    }
    const echo = !this.paused && current.playedMs > 0 && current.playedMs < this.#options.bargeInGuardMs;
    if (this.#options.bargeIn && !echo) this.#bargeIn(nowMs);
    else this.#hearing = 'held';
  }

  #userStopped(): void {
    if (this.#hearing === 'user') this.#emitInput({ kind: 'user.stopped' });
    this.#hearing = 'nobody';
  }

  #bargeIn(nowMs: number): void {
    this.#interrupt('barge-in');
    this.#hear(Math.min(LONGEST_PRE_ROLL_MS, PRE_ROLL_MS + nowMs - this.#heldSinceMs));
  }

  #hear(preRollMs: number): void {
    this.#hearing = 'user';
    this.#emitInput({ kind: 'user.started', preRollMs });
  }

  #interrupt(cause: 'barge-in' | 'command'): void {
    const cut = this.#turns.cut();
    const newest = cut.at(-1);
    const { paused } = this;
    this.#paused &&= false;
    if (newest === undefined) {
      if (paused) this.#emitEvent(0, { type: 'resume' });
      return;
    }
    // The score service cuts the named turn and all before it.
    this.#emitEvent(newest.number, { type: 'interrupt', cause });
    for (const turn of cut) {
      this.#outputs.push({
        kind: 'cancel',
        source: turn.source,
        cut: { response: turn.response, playedMs: turn.playedMs },
      });
      this.#finish(turn, true);
    }
  }

  #onOutput(output: ProviderOutput, nowMs: number): void {
    switch (output.kind) {
      case 'speech':
        this.#speak(output.response, output.pcm);
        break;
      case 'end':
        this.#end(output.response);
        break;
      case 'transcript': {
        const turn = output.response === undefined ? undefined : this.#turns.find(output.response);
        const { role, text, final } = output;
        this.#emitEvent(turn?.number ?? 0, { type: 'transcript', role, text: text.slice(0, 10_000), final });
        break;
      }
      case 'user':
        if (this.#options.provider.vad === 'provider') this.#onActivity(output.activity, nowMs);
        break;
      case 'failed':
        this.#error(output.error.reason, output.error.message);
        break;
      case 'opaque':
        break;
    }
  }

  #speak(response: string, pcm: Int16Array): void {
    if (this.#turns.isRetired(response)) return;
    const turn =
      this.#turns.find(response) ?? this.#turns.begin(this.#options.provider.source, response, this.#options.maxTurnMs);
    if (turn === undefined) {
      this.#turns.retire(response);
      this.#error('SESSION_LIMIT', `${MAX_RUNNING_TURNS} turns wait to be spoken already; this one is dropped`);
      return;
    }
    if (this.#turns.append(turn, pcm)) return;
    const seconds = this.#options.maxTurnMs / 1000;
    this.#error('AUDIO_TOO_LONG', `turn ${turn.number} was ended after ${seconds} s (TALKMESH_MAX_TURN_SECONDS)`, turn);
    this.#outputs.push({ kind: 'cancel', source: turn.source, cut: { response, playedMs: turn.playedMs } });
  }

  #end(response: string): void {
    const turn = this.#turns.find(response);
    if (turn === undefined) return;
    if (turn.acceptedMs > 0) this.#turns.complete(turn);
    else this.#turns.remove(turn);
  }

  #send(aheadMs = this.#options.aheadMs): void {
    for (const { turn, pcm, endOfTurn, first, fromSample } of this.#turns.take(aheadMs)) {
      if (first) this.#emitEvent(turn.number, { type: 'turn.started', source: turn.source });
      this.#pushSpeech(turn.number, { pcm, fromSample, endOfTurn });
    }
  }

  #pushSpeech(turn: number, piece: Pick<SpeechPiece, 'pcm' | 'fromSample' | 'endOfTurn'>): void {
    const mediaTimeUs = (this.#sentSamples * 1e6) / SPEECH_RATE_HZ;
    const [epoch, sequence] = [this.#epoch, this.#sequence];
    this.#outputs.push({ kind: 'speech', epoch, turn, sequence, mediaTimeUs, ...piece });
    this.#sequence += 1;
    this.#sentSamples += piece.pcm.length;
  }

  #finish(turn: Turn, interrupted: boolean): void {
    this.#emitEvent(turn.number, { type: 'turn.finished', interrupted, speechMs: Math.round(turn.sentMs) });
  }

  #error(reason: string, message: string, turn?: Turn): void {
    const body: EventBody = { type: 'error', service: 'audio-llm-bridge', reason, message: message.slice(0, 1000) };
    this.#emitEvent(turn?.number ?? 0, body);
  }

  #emitEvent(turn: number, body: EventBody): void {
    this.#outputs.push({ kind: 'event', epoch: this.#epoch, turn, body });
  }

  #emitInput(input: ProviderInput): void {
    this.#outputs.push({ kind: 'input', input });
  }

  #take(): StageOutput[] {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }
}
