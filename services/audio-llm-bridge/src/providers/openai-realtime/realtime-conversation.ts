import { type SessionChoices, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { Resampler, toPcm16 } from '@talkmesh/media';
import type { RealtimeClientEvent } from 'openai/resources/realtime/realtime';
import { inPieces } from '../../pcm.js';
import { Answers } from '../answers.js';
import { ConversationHistory } from '../history.js';
import { MicMemory } from '../mic-memory.js';
import { isSampleRate } from '../pcm-decoder.js';
import { explainRefusal, type ProblemReporter, type ProviderNames } from '../problem.js';
import type { Cut, ProviderInput, ProviderOutput, ToolCall, ToolResult, Utterance } from '../provider.js';
import type { Dialect, OutputFormat, RealtimeEvent } from './server-events.js';
import { itemOf, replay, type SessionSettings, sessionUpdate } from './session-update.js';

export interface RealtimeConversationOptions {
  readonly settings: SessionSettings;
  readonly choices: SessionChoices;
  readonly names: ProviderNames;
  readonly history: readonly Utterance[];
  readonly emit: (output: ProviderOutput) => void;
  readonly problems: ProblemReporter;
  readonly nowMs: () => number;
}

type Send = (event: RealtimeClientEvent) => void;
type EventOf<K extends RealtimeEvent['kind']> = Extract<RealtimeEvent, { kind: K }>;

/** Audio before the server's `speech_started` that belongs to the utterance. */
const SERVER_PRE_ROLL_MS = 800;
/** Events with such an id may fail without harm: servers differ in what can be cancelled and truncated. */
const OPTIONAL_PREFIX = 'tm-optional-';
/** Errors that say only that a request came too late or had nothing to do. */
const HARMLESS = /cancel_not_active|commit_empty|buffer_too_small|session_expired/;
const BUSY = /active_response/;

/** One conversation in the Realtime protocol, over any number of connections one after the other. Pure: it gets the clock and the connection passed in. */
export class RealtimeConversation {
  readonly #options: RealtimeConversationOptions;
  readonly #history: ConversationHistory;
  readonly #answers: Answers;
  readonly #memory = new MicMemory();
  readonly #toServer: Resampler | undefined;
  readonly #calls = new Map<string, ToolCall>();
  readonly #finishedCalls = new Set<string>();
  #send: Send | undefined;
  #dialect: Dialect = 'ga';
  #output: OutputFormat = { type: undefined, rateHz: undefined };
  #isUserSpeaking = false;
  /** Whether the server generates an answer, as far as it tells. */
  #isAnswering = false;
  /** Whether the server has to be asked for an answer as soon as it can give one. */
  #owesAnswer = false;
  #stoppedAtMs: number | undefined;
  #userItem: string | undefined;
  #userText = '';
  #optional = 0;

  constructor(options: RealtimeConversationOptions) {
    this.#options = options;
    this.#history = new ConversationHistory(options.history);
    this.#answers = new Answers(this.#history, options.emit);
    const { inputRateHz } = options.settings;
    if (inputRateHz !== SPEECH_RATE_HZ) this.#toServer = new Resampler(SPEECH_RATE_HZ, inputRateHz);
  }

  get #isMeshVad(): boolean {
    return this.#options.settings.turnDetection === 'mesh';
  }

  /** A connection is up: configures it, replays the conversation, and asks again what was not answered. */
  connected(created: EventOf<'session'>, send: Send): void {
    this.#send = send;
    this.#dialect = created.dialect;
    this.#output = created.output;
    this.#isAnswering = false;
    const { settings, choices } = this.#options;
    send(sessionUpdate(settings, choices, this.#dialect));
    const question = this.#userText === '' ? this.#memory.utterance : undefined;
    for (const event of replay(this.#history.entries, this.#dialect)) send(event);
    if (question !== undefined) this.#append(question);
    if (this.#memory.hasUtterance && !this.#isUserSpeaking) {
      if (question === undefined) this.#owesAnswer = true;
      else if (this.#isMeshVad) this.#ask();
    }
    this.#answerOwed();
  }

  /** The connection is lost. @returns whether the listener notices: an answer or a question was cut */
  disconnected(): boolean {
    this.#send = undefined;
    const cut = this.#answers.running.filter((answer) => !answer.cut && answer.items.length > 0);
    for (const answer of this.#answers.running) this.#endAnswer(answer.id);
    const wasAsked = this.#memory.hasUtterance;
    if (!this.#isMeshVad) this.#userStopped();
    return cut.length > 0 || wasAsked;
  }

  push(input: ProviderInput): void {
    if (input.kind === 'audio') this.#pushAudio(input.pcm);
    else if (!this.#isMeshVad) return;
    else if (input.kind === 'user.started') {
      this.#beginUtterance(input.preRollMs, true);
    } else if (input.kind === 'user.stopped') {
      this.#isUserSpeaking = false;
      this.#stoppedAtMs = this.#options.nowMs();
      if (this.#send !== undefined) this.#ask();
    } else if (input.kind === 'user.withdrawn') {
      this.#isUserSpeaking = false;
      this.#memory.forget();
      this.#send?.({ type: 'input_audio_buffer.clear' });
      this.#answerOwed();
    }
  }

  cancel(cut: Cut): void {
    const answer = this.#answers.find(cut.response);
    if (answer === undefined || answer.cut) return;
    if (!answer.done) this.#optionally({ type: 'response.cancel', ...(answer.isNamed && { response_id: answer.id }) });
    for (const { id, contentIndex, keepMs } of this.#answers.cut(answer, cut))
      this.#optionally({
        type: 'conversation.item.truncate',
        item_id: id,
        content_index: contentIndex,
        audio_end_ms: keepMs,
      });
  }

  answerTool(result: ToolResult): void {
    if (!this.#calls.delete(result.id)) return;
    this.#history.result(result);
    this.#send?.({ type: 'conversation.item.create', item: itemOf({ kind: 'result', result }, this.#dialect) });
    this.#owesAnswer = true;
    this.#answerOwed();
  }

  receive(event: RealtimeEvent): void {
    switch (event.kind) {
      case 'session':
        this.#output = event.output;
        break;
      case 'speech.started':
        if (this.#isMeshVad) break;
        this.#userStopped();
        this.#beginUtterance(SERVER_PRE_ROLL_MS, false);
        this.#options.emit({ kind: 'user', activity: 'started' });
        break;
      case 'speech.stopped':
        this.#stoppedAtMs = this.#options.nowMs();
        this.#userStopped();
        break;
      case 'user.item':
        this.#userItem = event.item;
        this.#history.reserve(event.item, 'user');
        break;
      case 'user.text':
        this.#onUserText(event);
        break;
      case 'response.created':
        this.#answerBegan();
        this.#answers.of(event.response);
        break;
      case 'audio':
        this.#onAudio(event);
        break;
      case 'text':
        this.#answers.text(this.#answers.of(event.response), event.item, event.text, event.done);
        break;
      case 'tool':
        this.#onCall(event.call);
        break;
      case 'response.done':
        this.#onDone(event);
        break;
      case 'error':
        this.#onError(event);
        break;
      case 'other':
        this.#options.emit({ kind: 'opaque', type: event.type });
        break;
    }
  }

  #pushAudio(pcm: Int16Array): void {
    // Without a connection the server cannot detect speech, so all of it is kept for the next connection.
    if (this.#send === undefined && !this.#isMeshVad && !this.#memory.hasUtterance) this.#memory.begin(0);
    this.#memory.push(pcm);
    if (!this.#isMeshVad || this.#isUserSpeaking) this.#append(pcm);
  }

  #beginUtterance(preRollMs: number, isForwarded: boolean): void {
    this.#isUserSpeaking = true;
    this.#userItem = undefined;
    this.#userText = '';
    const preRoll = this.#memory.begin(preRollMs);
    if (!isForwarded) return;
    this.#send?.({ type: 'input_audio_buffer.clear' });
    this.#append(preRoll);
  }

  #append(pcm: Int16Array): void {
    if (this.#send === undefined) return;
    const samples = this.#toServer === undefined ? pcm : toPcm16(this.#toServer.push(pcm));
    for (const piece of inPieces(samples, this.#options.settings.inputRateHz, 1000)) {
      const audio = Buffer.from(piece.buffer).toString('base64');
      this.#send({ type: 'input_audio_buffer.append', audio });
    }
  }

  /** The utterance is complete: the server shall answer it. */
  #ask(): void {
    this.#send?.({ type: 'input_audio_buffer.commit' });
    this.#owesAnswer = true;
    this.#answerOwed();
  }

  #answerOwed(): void {
    if (!this.#owesAnswer || this.#isAnswering || this.#isUserSpeaking || this.#calls.size > 0) return;
    if (this.#send === undefined) return;
    this.#owesAnswer = false;
    this.#isAnswering = true;
    this.#send({ type: 'response.create' });
  }

  /** Not every server reports the end of the user's speech. */
  #userStopped(): void {
    if (!this.#isUserSpeaking || this.#isMeshVad) return;
    this.#isUserSpeaking = false;
    this.#options.emit({ kind: 'user', activity: 'stopped' });
  }

  #answerBegan(): void {
    this.#userStopped();
    this.#isAnswering = true;
    this.#owesAnswer = false;
  }

  #onUserText({ item, text }: EventOf<'user.text'>): void {
    if (text.trim() === '') return;
    const id = item ?? this.#userItem ?? `user-${this.#history.entries.length}`;
    if (item === undefined || item === this.#userItem || this.#userItem === undefined) this.#userText = text;
    this.#history.say(id, 'user', text);
    this.#options.emit({ kind: 'transcript', role: 'user', text: text.trim(), final: true });
  }

  #onAudio(event: EventOf<'audio'>): void {
    const answer = this.#answers.of(event.response);
    if (answer.done) return;
    if (answer.items.every(({ receivedMs }) => receivedMs === 0)) this.#onFirstAudio();
    if (answer.cut) return;
    const type = this.#output.type ?? 'audio/pcm';
    if (type !== 'audio/pcm') {
      this.#options.problems.report({
        code: 'format',
        severity: 'fatal',
        message: `The server of ${this.#options.names.provider} sends audio as ${type}. Configure it for 16-bit PCM.`,
      });
      return;
    }
    const rateHz = [event.rateHz, this.#output.rateHz].find((rate) => rate !== undefined && isSampleRate(rate));
    const pcm = answer.decoder.push(event.bytes, rateHz ?? SPEECH_RATE_HZ);
    this.#speak(answer.id, pcm);
    this.#answers.received(answer, event.item, event.contentIndex, (pcm.length * 1000) / SPEECH_RATE_HZ);
  }

  #onFirstAudio(): void {
    this.#answerBegan();
    this.#memory.forget();
    this.#options.problems.recovered();
    if (this.#stoppedAtMs !== undefined)
      this.#options.emit({ kind: 'timing', step: 'response', ms: this.#options.nowMs() - this.#stoppedAtMs });
    this.#stoppedAtMs = undefined;
  }

  #speak(response: string, pcm: Int16Array): void {
    for (const piece of inPieces(pcm, SPEECH_RATE_HZ)) this.#options.emit({ kind: 'speech', response, pcm: piece });
  }

  #onCall(call: ToolCall): void {
    if (this.#calls.has(call.id) || this.#finishedCalls.has(call.id)) return;
    this.#finishedCalls.add(call.id);
    this.#calls.set(call.id, call);
    this.#history.call(call);
    this.#memory.forget();
    this.#options.emit({ kind: 'tool.call', call });
  }

  #onDone({ response, status, reason, code, detail, calls }: EventOf<'response.done'>): void {
    const { names, problems } = this.#options;
    for (const call of calls) this.#onCall(call);
    const answer = this.#answers.of(response);
    this.#endAnswer(answer.id);
    if (status === 'failed') {
      this.#memory.forget();
      problems.report(explainRefusal(names, 0, code, detail));
    } else if (status === 'incomplete' && !answer.cut)
      problems.report({
        code: `incomplete-${reason}`,
        severity: 'temporary',
        message:
          reason === 'content_filter'
            ? `The content filter of ${names.provider} ended the answer.`
            : `The answer of ${names.provider} ended before it was complete (${reason || 'no reason given'}).`,
      });
    this.#answerOwed();
  }

  #endAnswer(id: string): void {
    this.#isAnswering = false;
    const answer = this.#answers.find(id);
    if (answer === undefined || answer.done) return;
    const rest = answer.decoder.flush();
    if (!answer.cut) this.#speak(id, rest);
    this.#answers.finish(answer);
    if (answer.items.some(({ receivedMs }) => receivedMs > 0)) this.#options.emit({ kind: 'end', response: id });
  }

  #onError({ code, detail, causedBy }: EventOf<'error'>): void {
    if (BUSY.test(code)) {
      this.#owesAnswer = true;
      this.#isAnswering = true;
      return;
    }
    if (causedBy?.startsWith(OPTIONAL_PREFIX) || HARMLESS.test(code)) {
      this.#options.emit({ kind: 'opaque', type: `error.${code}`.slice(0, 60) });
      return;
    }
    this.#options.problems.report(explainRefusal(this.#options.names, 0, code, detail));
  }

  #optionally(event: Extract<RealtimeClientEvent, { event_id?: string }>): void {
    this.#optional += 1;
    this.#send?.({ ...event, event_id: `${OPTIONAL_PREFIX}${this.#optional}` });
  }
}
