import type { Blob, LiveServerContent, LiveServerMessage } from '@google/genai';
import { SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { Resampler, toPcm16 } from '@talkmesh/media';
import { inPieces } from '../../pcm.js';
import { type Answer, Answers } from '../answers.js';
import { ConversationHistory } from '../history.js';
import { MicMemory } from '../mic-memory.js';
import { isSampleRate } from '../pcm-decoder.js';
import type { ProblemReporter } from '../problem.js';
import type { Cut, ProviderInput, ProviderOutput, ToolCall, ToolResult, Utterance } from '../provider.js';
import type { GeminiLink } from './connection.js';
import { objectOf, replayOf } from './setup.js';

/** The protocol takes 16 kHz at any time. */
const INPUT_RATE_HZ = 16_000;

export interface GeminiConversationOptions {
  readonly history: readonly Utterance[];
  readonly emit: (output: ProviderOutput) => void;
  readonly problems: ProblemReporter;
  /** The protocol cannot take back speech, so with push-to-talk the server gets it when it is committed. */
  readonly isPushToTalk: boolean;
  readonly nowMs: () => number;
}

/** One conversation in the Live protocol of Gemini, over any number of connections one after the other. Pure: it gets the clock and the connection passed in. */
export class GeminiConversation {
  readonly #options: GeminiConversationOptions;
  readonly #history: ConversationHistory;
  readonly #answers: Answers;
  readonly #memory = new MicMemory();
  readonly #toServer = new Resampler(SPEECH_RATE_HZ, INPUT_RATE_HZ);
  readonly #calls = new Map<string, ToolCall>();
  #link: GeminiLink | undefined;
  /** Names the state that the server keeps of the session for a later connection. */
  #handle: string | undefined;
  #isLeaving = false;
  #isUserSpeaking = false;
  #stoppedAtMs: number | undefined;
  #count = 0;
  #userId = '';
  #userText = '';

  constructor(options: GeminiConversationOptions) {
    this.#options = options;
    this.#history = new ConversationHistory(options.history);
    this.#answers = new Answers(this.#history, options.emit);
  }

  get handle(): string | undefined {
    return this.#handle;
  }

  /** A connection is up: unless the server resumed the session, the conversation is replayed. What was not answered is asked again. */
  connected(link: GeminiLink, isResumed: boolean): void {
    this.#link = link;
    this.#isLeaving = false;
    const turns = isResumed ? [] : replayOf(this.#history.entries);
    if (turns.length > 0) link.session.sendClientContent({ turns, turnComplete: false });
    const question = this.#memory.utterance;
    if (question === undefined || (this.#options.isPushToTalk && this.#isUserSpeaking)) return;
    link.session.sendRealtimeInput({ activityStart: {} });
    this.#append(question);
    if (!this.#isUserSpeaking) link.session.sendRealtimeInput({ activityEnd: {} });
  }

  /** The connection could not be made: the server may have forgotten the session that it was to resume. */
  refused(): void {
    this.#handle = undefined;
  }

  /** The connection is lost. @returns whether the listener notices: an answer or a question was cut */
  disconnected(): boolean {
    const wasLeaving = this.#isLeaving;
    this.#link = undefined;
    const cut = this.#answers.running.filter((answer) => !answer.cut && answer.items.length > 0);
    for (const answer of this.#answers.running) this.#end(answer);
    return !wasLeaving && (cut.length > 0 || this.#memory.hasUtterance);
  }

  push(input: ProviderInput): void {
    const { isPushToTalk } = this.#options;
    if (input.kind === 'audio') {
      this.#memory.push(input.pcm);
      if (this.#isUserSpeaking && !isPushToTalk) this.#append(input.pcm);
    } else if (input.kind === 'user.started') {
      this.#isUserSpeaking = true;
      this.#beginUserText();
      const preRoll = this.#memory.begin(input.preRollMs);
      if (!isPushToTalk) this.#beginActivity(preRoll);
    } else if (input.kind === 'user.stopped') {
      this.#isUserSpeaking = false;
      this.#stoppedAtMs = this.#options.nowMs();
      if (isPushToTalk) this.#beginActivity(this.#memory.utterance ?? new Int16Array(0));
      this.#link?.session.sendRealtimeInput({ activityEnd: {} });
    } else if (input.kind === 'user.withdrawn') {
      this.#isUserSpeaking = false;
      this.#memory.forget();
    }
  }

  #beginActivity(spoken: Int16Array): void {
    this.#link?.session.sendRealtimeInput({ activityStart: {} });
    this.#append(spoken);
  }

  /** The protocol has no message for what was heard: the user's speech ends the server's answer, and the rest of it is dropped here. */
  cancel(cut: Cut): void {
    const answer = this.#answers.find(cut.response);
    if (answer !== undefined && !answer.cut) this.#answers.cut(answer, cut);
  }

  answerTool(result: ToolResult): void {
    const call = this.#calls.get(result.id);
    if (call === undefined) return;
    this.#calls.delete(result.id);
    this.#history.result(result);
    const functionResponses = [{ id: call.id, name: call.name, response: objectOf(result.output) }];
    this.#link?.session.sendToolResponse({ functionResponses });
  }

  receive(message: LiveServerMessage | undefined): void {
    const { emit } = this.#options;
    if (message === undefined) {
      emit({ kind: 'opaque', type: 'malformed' });
      return;
    }
    const { serverContent, toolCall, toolCallCancellation, sessionResumptionUpdate, goAway, usageMetadata } = message;
    if (serverContent !== undefined) this.#onContent(serverContent);
    for (const { id, name, args } of toolCall?.functionCalls ?? [])
      if (id !== undefined && name !== undefined) this.#onCall({ id, name, arguments: JSON.stringify(args ?? {}) });
    for (const id of toolCallCancellation?.ids ?? []) if (this.#calls.delete(id)) emit({ kind: 'tool.cancelled', id });
    if (sessionResumptionUpdate?.resumable === true && sessionResumptionUpdate.newHandle)
      this.#handle = sessionResumptionUpdate.newHandle;
    if (goAway !== undefined) this.#isLeaving = true;
    if (usageMetadata !== undefined) emit({ kind: 'opaque', type: 'usageMetadata' });
    this.#leaveWhenQuiet();
  }

  /** The server closes the connection soon: it is replaced while neither side speaks, else when the server closes it. */
  #leaveWhenQuiet(): void {
    if (!this.#isLeaving || this.#isUserSpeaking || this.#memory.hasUtterance || this.#calls.size > 0) return;
    if (this.#answers.running.length === 0) this.#link?.leave('the server asked for a new connection');
  }

  #append(pcm: Int16Array): void {
    if (this.#link === undefined) return;
    const samples = toPcm16(this.#toServer.push(pcm));
    for (const piece of inPieces(samples, INPUT_RATE_HZ, 1000)) {
      const data = Buffer.from(piece.buffer).toString('base64');
      this.#link?.session.sendRealtimeInput({ audio: { data, mimeType: `audio/pcm;rate=${INPUT_RATE_HZ}` } });
    }
  }

  #onContent(content: LiveServerContent): void {
    const { modelTurn, inputTranscription, outputTranscription } = content;
    if (inputTranscription !== undefined)
      this.#onUserText(inputTranscription.text ?? '', inputTranscription.finished === true);
    if (outputTranscription?.text) {
      this.#finishUserText();
      this.#answers.text(this.#running, undefined, outputTranscription.text, false);
    }
    for (const { inlineData } of modelTurn?.parts ?? []) if (inlineData?.data) this.#onAudio(inlineData);
    if (content.generationComplete || content.interrupted || content.turnComplete) {
      this.#finishUserText();
      for (const answer of this.#answers.running) this.#end(answer);
      // A turn without an answer is over too: the question is not asked again.
      if (content.turnComplete && !this.#isUserSpeaking) this.#memory.forget();
    }
  }

  get #running(): Answer {
    const [running] = this.#answers.running;
    if (running !== undefined) return running;
    this.#count += 1;
    return this.#answers.of(`answer-${this.#count}`);
  }

  #onAudio({ data = '', mimeType = '' }: Blob): void {
    const { emit, problems } = this.#options;
    const type = mimeType.split(';')[0]?.trim().toLowerCase() ?? '';
    if (type !== 'audio/pcm' && type !== '') {
      problems.report({
        code: 'format',
        severity: 'fatal',
        message: `The server of gemini-live sends audio as ${type.slice(0, 40)}. Use a server that sends audio/pcm.`,
      });
      return;
    }
    const answer = this.#running;
    if (answer.items.every(({ receivedMs }) => receivedMs === 0)) this.#onFirstAudio();
    if (answer.cut) return;
    const named = Number(/rate=(\d+)/.exec(mimeType)?.[1]);
    const pcm = answer.decoder.push(Buffer.from(data, 'base64'), isSampleRate(named) ? named : SPEECH_RATE_HZ);
    for (const piece of inPieces(pcm, SPEECH_RATE_HZ)) emit({ kind: 'speech', response: answer.id, pcm: piece });
    this.#answers.received(answer, undefined, 0, (pcm.length * 1000) / SPEECH_RATE_HZ);
  }

  #onFirstAudio(): void {
    this.#finishUserText();
    if (!this.#isUserSpeaking) this.#memory.forget();
    this.#options.problems.recovered();
    if (this.#stoppedAtMs !== undefined)
      this.#options.emit({ kind: 'timing', step: 'response', ms: this.#options.nowMs() - this.#stoppedAtMs });
    this.#stoppedAtMs = undefined;
  }

  #end(answer: Answer): void {
    const rest = answer.decoder.flush();
    if (!answer.cut)
      for (const piece of inPieces(rest, SPEECH_RATE_HZ))
        this.#options.emit({ kind: 'speech', response: answer.id, pcm: piece });
    this.#answers.finish(answer);
    if (answer.items.some(({ receivedMs }) => receivedMs > 0)) this.#options.emit({ kind: 'end', response: answer.id });
  }

  #onCall(call: ToolCall): void {
    if (this.#calls.has(call.id)) return;
    this.#finishUserText();
    this.#calls.set(call.id, call);
    this.#history.call(call);
    if (!this.#isUserSpeaking) this.#memory.forget();
    this.#options.emit({ kind: 'tool.call', call });
  }

  #beginUserText(): void {
    this.#finishUserText();
    this.#count += 1;
    this.#userId = `user-${this.#count}`;
    this.#history.reserve(this.#userId, 'user');
  }

  /** Transcripts come in parts, not always with a mark at the last one. */
  #onUserText(text: string, isLast: boolean): void {
    if (this.#userId === '') this.#beginUserText();
    this.#userText += text;
    this.#history.say(this.#userId, 'user', this.#userText);
    if (isLast) this.#finishUserText();
  }

  #finishUserText(): void {
    const text = this.#userText.trim();
    this.#userText = '';
    if (text !== '') this.#options.emit({ kind: 'transcript', role: 'user', text, final: true });
  }
}
