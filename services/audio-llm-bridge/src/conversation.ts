import type { EventBody, MeshEvent, PlayheadMessage } from '@talkmesh/contracts';
import { MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { AwaitedAnswer } from './awaited-answer.js';
import type {
  ConversationInput,
  ConversationOptions,
  ConversationOutput,
  InputCommand,
  SpeechPiece,
} from './conversation-messages.js';
import type { ProviderInput, ProviderOutput } from './providers/provider.js';
import { PushToTalk } from './push-to-talk.js';
import { Silence } from './silence.js';
import type { ConversationState } from './takeover.js';
import { type PlayedTurn, type Turn, TurnQueue, type TurnSource } from './turns.js';
import { type RunningTurn, type SpeechStep, UserSpeech } from './user-speech.js';

/** Most turns spoken or queued; more are refused. */
export const MAX_RUNNING_TURNS = 8;

/**
 * The conversation of one session as a pure state machine: who speaks, what was sent and heard, when a turn is cut. It has no clock and
 * no I/O; every method returns the outputs to carry out, in order.
 */
export class Conversation {
  readonly #options: ConversationOptions;
  readonly #turns = new TurnQueue(MAX_RUNNING_TURNS);
  #outputs: ConversationOutput[] = [];
  #epoch: number;
  #sequence = 0;
  #sentSamples = 0;
  readonly #userSpeech: UserSpeech;
  readonly #talk = new PushToTalk();
  readonly #silence = new Silence();
  readonly #awaited = new AwaitedAnswer();
  /** Number of the turn that answers what the user said last; 0 before the user spoke. */
  #answeringTurn = 0;

  constructor(options: ConversationOptions, epoch: number) {
    this.#options = options;
    this.#epoch = epoch;
    const { vad, transcribesFirst = false } = options.provider;
    this.#userSpeech = new UserSpeech({ ...options, isDecided: vad === 'mesh', transcribesFirst });
  }

  get running(): readonly Turn[] {
    return this.#turns.running;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Whether a command paused the session. */
  get paused(): boolean {
    return this.#silence.isPaused;
  }

  /** Whether the avatar is silent until a resume or an interrupt. */
  get silent(): boolean {
    return this.#silence.isSilent;
  }

  /** When an input of kind `time` is due, on the clock of `nowMs`; undefined: nothing waits. */
  get decidesAtMs(): number | undefined {
    return this.#isPushToTalk ? this.#talk.decidesAtMs : this.#userSpeech.decidesAtMs;
  }

  /**
   * Continues where another bridge stopped. A turn that the other bridge could not end is ended where its speech stops; otherwise the
   * score model would wait for the rest of it.
   */
  takeOver(before: ConversationState): ConversationOutput[] {
    const { turns, unfinished, unspoken } = before;
    this.#emitEvents(this.#silence.adopt(before.pause));
    this.#epoch = Math.max(this.#epoch, before.epoch);
    this.#sequence = before.sequence;
    this.#sentSamples = before.sentSamples;
    this.#turns.adopt(turns, unfinished);
    for (const turn of unspoken) this.#emitEvent(turn, { type: 'turn.cancelled' });
    for (const { number, sentMs } of unfinished.filter(({ ended }) => !ended)) {
      this.#emitEvent(number, { type: 'turn.truncated', speechMs: Math.round(sentMs) });
      const fromSample = Math.round((sentMs * SPEECH_RATE_HZ) / 1000);
      this.#pushSpeech(number, { pcm: new Int16Array(0), fromSample, endOfTurn: true });
    }
    return this.#take();
  }

  /** Sends all speech that waits, whatever its lead: the next bridge can read back only what was sent. */
  release(): ConversationOutput[] {
    this.#send(Number.POSITIVE_INFINITY);
    return this.#take();
  }

  /** Begins the turn of a typed line; its speech comes through `handle`. `turn` is undefined when too many turns wait. */
  beginText(response: string): { turn: number | undefined; outputs: ConversationOutput[] } {
    const turn = this.#begin('text', response);
    return { turn: turn?.number, outputs: this.#take() };
  }

  handle(input: ConversationInput, nowMs: number): ConversationOutput[] {
    if (input.kind === 'mic')
      this.#emitInput({ kind: 'audio', pcm: input.pcm, endOfTurn: input.endOfTurn, atMs: nowMs });
    else if (input.kind === 'event') this.#onEvent(input.event, nowMs);
    else if (input.kind === 'playhead') this.#onPlayhead(input.playhead);
    else if (input.kind === 'output') this.#onOutput(input.output, nowMs);
    if (input.kind !== 'output') this.#check(nowMs);
    this.#send();
    return this.#take();
  }

  /** A command cuts all turns, gives up an answer without sound, and ends a pause. No `cancel` in the outputs: there was nothing to cut. */
  interrupt(nowMs: number): ConversationOutput[] {
    this.#interrupt('command', nowMs);
    return this.#take();
  }

  /** Requests a pause (turns keep the rest of their speech) or its end. score-model ignores a repeated request. */
  pause(paused: boolean): ConversationOutput[] {
    this.#emitEvents(this.#silence.pause(paused));
    return this.#take();
  }

  /** Sends the last pause or resume request once more, in case it did not arrive. */
  repeatPauseOrResume(): ConversationOutput[] {
    this.#emitEvents(this.#silence.repeat());
    return this.#take();
  }

  /** A command of push-to-talk. `done` is false when an input is open already, or none is. @throws MeshError ARGUMENT_INVALID in other sessions */
  input(command: InputCommand, nowMs: number): { done: boolean; outputs: ConversationOutput[] } {
    if (!this.#isPushToTalk)
      throw new MeshError(
        'ARGUMENT_INVALID',
        'this session detects speech itself; create one with input "push-to-talk"',
      );
    const done = this.#onInputCommand(command, nowMs);
    return { done, outputs: this.#take() };
  }

  get #isPushToTalk(): boolean {
    return this.#options.input === 'push-to-talk';
  }

  #onInputCommand(command: InputCommand, nowMs: number): boolean {
    if (command === 'commit') {
      const durationMs = this.#talk.commit(nowMs);
      if (durationMs !== undefined) this.#emitEvent(0, { type: 'speech.stopped', durationMs });
      return durationMs !== undefined;
    }
    const steps = command === 'start' ? this.#talk.start(this.running.length > 0, nowMs) : this.#talk.cancel();
    if (steps === undefined) return false;
    if (command === 'start') this.#emitEvent(0, { type: 'speech.started' });
    else this.#emitEvent(0, { type: 'speech.stopped', durationMs: 0, cancelled: true });
    this.#follow(steps, nowMs);
    return true;
  }

  /** Decides what only time or the playhead can tell. */
  #check(nowMs: number): void {
    const { steps, committedMs: durationMs } = this.#isPushToTalk
      ? this.#talk.check(nowMs)
      : { steps: this.#userSpeech.check(this.#turn, nowMs), committedMs: undefined };
    if (durationMs !== undefined) this.#emitEvent(0, { type: 'speech.stopped', durationMs });
    this.#follow(steps, nowMs);
  }

  #onEvent(event: MeshEvent, nowMs: number): void {
    if (event.type === 'flush') this.#epoch = Math.max(this.#epoch, event.epoch);
    if (event.type === 'clear') this.#interrupt('command', nowMs);
    if (this.#options.provider.vad !== 'mesh' || this.#isPushToTalk) return;
    if (event.type === 'speech.started') this.#userStarted(nowMs);
    else if (event.type === 'speech.stopped') this.#userStopped(event.durationMs, nowMs);
  }

  #onPlayhead(playhead: PlayheadMessage): void {
    this.#epoch = Math.max(this.#epoch, playhead.epoch);
    for (const played of this.#turns.played(playhead, this.silent)) this.#onPlayed(played);
  }

  #onPlayed({ turn, end }: PlayedTurn): void {
    if (end === 'lost')
      this.#error(
        'PEER_LOST',
        `turn ${turn.number} was sent but never played; check that a score-model worker holds this session`,
        turn,
      );
    this.#hear(turn);
    if (end !== undefined) this.#finish(turn, end === 'lost' || turn.isTruncated);
  }

  /** Reports the part heard so far. */
  #hear(turn: Turn): void {
    if (turn.playedMs === 0) return;
    if (!turn.started) this.#emitEvent(turn.number, { type: 'turn.started', source: turn.source });
    turn.started = true;
    for (const { text, fromMs } of turn.captions.heard(turn.playedMs, turn.acceptedMs, turn.complete))
      this.#emitEvent(turn.number, { type: 'caption', text, fromMs });
  }

  get #turn(): RunningTurn | undefined {
    const { running } = this;
    const [turn] = running;
    const leftMs = running.reduce(
      (sum, { complete, acceptedMs, playedMs }) => sum + (complete ? acceptedMs - playedMs : Number.POSITIVE_INFINITY),
      0,
    );
    return turn && { playedMs: turn.playedMs, leftMs, isPaused: this.paused };
  }

  #userStarted(nowMs: number): void {
    this.#follow(this.#userSpeech.started(this.#turn, nowMs), nowMs);
  }

  #userStopped(durationMs: number | undefined, nowMs: number): void {
    this.#follow(this.#userSpeech.stopped(durationMs, nowMs), nowMs);
  }

  #follow(steps: readonly SpeechStep[], nowMs: number): void {
    for (const step of steps)
      switch (step.kind) {
        case 'hold':
          this.#emitEvents(this.#silence.hold());
          break;
        case 'continue':
          this.#emitEvents(this.#silence.release(step.cause));
          break;
        case 'cut':
          this.#interrupt('barge-in', nowMs);
          break;
        case 'begin':
          this.#awaited.over();
          this.#emitInput({ kind: 'user.started', preRollMs: step.preRollMs });
          break;
        case 'end':
          this.#awaited.asked(nowMs);
          this.#answeringTurn = this.#turns.nextNumber;
          this.#emitInput({ kind: 'user.stopped' });
          break;
        case 'ask':
          this.#emitInput({ kind: 'user.spoke', preRollMs: step.preRollMs });
          break;
        case 'accept':
          this.#awaited.asked(nowMs);
          this.#answeringTurn = this.#turns.nextNumber;
          this.#emitInput({ kind: 'user.accepted' });
          break;
        case 'withdraw':
          this.#emitInput({ kind: 'user.withdrawn' });
          break;
      }
  }

  #interrupt(cause: 'barge-in' | 'command', nowMs: number): void {
    // What was awaited is a turn too, so that all clients learn that it will not come.
    if (cause === 'command' && this.#awaited.giveUp(nowMs))
      this.#begin(this.#options.provider.source, `unanswered-${this.#turns.nextNumber}`);
    const cut = this.#turns.cut();
    const newest = cut.at(-1);
    this.#emitEvents(this.#silence.interrupt(newest !== undefined));
    if (newest === undefined) return;
    // One event is enough: score-model cuts the named turn and all turns before it.
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
        const { role, text, final, response } = output;
        const turn = response === undefined ? undefined : this.#turns.find(response);
        if (role === 'avatar' && turn === undefined && this.#awaited.drops(response)) break;
        if (role === 'avatar') turn?.captions.add(text, final);
        const number = role === 'user' ? this.#answeringTurn : (turn?.number ?? 0);
        this.#emitEvent(number, { type: 'transcript', role, text: text.slice(0, 10_000), final });
        break;
      }
      case 'user':
        if (this.#options.provider.vad !== 'provider' || this.#isPushToTalk) break;
        if (output.activity === 'started') this.#userStarted(nowMs);
        else this.#userStopped(undefined, nowMs);
        break;
      case 'heard':
        this.#follow(this.#userSpeech.heard(output.text, this.#turn), nowMs);
        break;
      case 'failed':
        this.#awaited.over();
        this.#error(output.error.reason, output.error.message);
        break;
      case 'tool.call':
      case 'tool.cancelled':
      case 'timing':
      case 'opaque':
        break;
    }
  }

  #speak(response: string, pcm: Int16Array): void {
    if (this.#turns.isRetired(response)) return;
    const known = this.#turns.find(response);
    const { source } = this.#options.provider;
    if (known === undefined && this.#awaited.began(response)) {
      this.#turns.retire(response);
      this.#outputs.push({ kind: 'cancel', source, cut: { response, playedMs: 0 } });
      return;
    }
    const turn = known ?? this.#begin(source, response);
    if (turn === undefined) {
      this.#turns.retire(response);
      this.#error('SESSION_LIMIT', `${MAX_RUNNING_TURNS} turns already wait to be spoken; this one is dropped`);
      return;
    }
    if (this.#turns.append(turn, pcm)) return;
    const seconds = this.#options.maxTurnMs / 1000;
    this.#error(
      'AUDIO_TOO_LONG',
      `turn ${turn.number} was ended after ${seconds} s, the limit of TALKMESH_MAX_TURN_SECONDS`,
      turn,
    );
    this.#outputs.push({ kind: 'cancel', source: turn.source, cut: { response, playedMs: turn.playedMs } });
  }

  #end(response: string): void {
    const turn = this.#turns.find(response);
    if (turn === undefined) return;
    if (turn.acceptedMs > 0) this.#turns.complete(turn);
    else {
      this.#turns.remove(turn);
      this.#finish(turn, true);
    }
  }

  #begin(source: TurnSource, response: string): Turn | undefined {
    const turn = this.#turns.begin(source, response, this.#options.maxTurnMs);
    if (turn !== undefined) this.#emitEvent(turn.number, { type: 'turn.queued', source });
    return turn;
  }

  #send(aheadMs = this.#options.aheadMs): void {
    for (const { turn, pcm, endOfTurn, fromSample } of this.#turns.take(aheadMs))
      this.#pushSpeech(turn.number, { pcm, fromSample, endOfTurn });
  }

  #pushSpeech(turn: number, piece: Pick<SpeechPiece, 'pcm' | 'fromSample' | 'endOfTurn'>): void {
    const mediaTimeUs = (this.#sentSamples * 1e6) / SPEECH_RATE_HZ;
    const [epoch, sequence] = [this.#epoch, this.#sequence];
    this.#outputs.push({ kind: 'speech', epoch, turn, sequence, mediaTimeUs, ...piece });
    this.#sequence += 1;
    this.#sentSamples += piece.pcm.length;
  }

  /** Ends a turn: cancelled if nothing of it was heard, otherwise finished. */
  #finish(turn: Turn, interrupted: boolean): void {
    if (!turn.started) {
      this.#emitEvent(turn.number, { type: 'turn.cancelled' });
      return;
    }
    const [speechMs, heardMs] = [Math.round(turn.sentMs), Math.round(turn.playedMs)];
    const { text } = turn.captions;
    const heardText = interrupted ? turn.captions.heardText(turn.playedMs, turn.acceptedMs, turn.complete) : text;
    const transcript = text === '' ? {} : { heardText: heardText.slice(0, 10_000) };
    this.#emitEvent(turn.number, { type: 'turn.finished', interrupted, speechMs, heardMs, ...transcript });
  }

  #error(reason: string, message: string, turn?: Turn): void {
    const body: EventBody = { type: 'error', service: 'audio-llm-bridge', reason, message: message.slice(0, 1000) };
    this.#emitEvent(turn?.number ?? 0, body);
  }

  #emitEvent(turn: number, body: EventBody): void {
    this.#outputs.push({ kind: 'event', epoch: this.#epoch, turn, body });
  }

  #emitEvents(bodies: readonly EventBody[]): void {
    for (const body of bodies) this.#emitEvent(0, body);
  }

  #emitInput(input: ProviderInput): void {
    this.#outputs.push({ kind: 'input', input });
  }

  #take(): ConversationOutput[] {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }
}
