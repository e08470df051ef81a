import { SPEECH_RATE_HZ } from '@talkmesh/contracts';
import { encodeWav } from '@talkmesh/media';
import { toFile } from 'openai';
import type {
  ChatCompletionChunk,
  ChatCompletionCreateParamsStreaming,
  ChatCompletionMessageParam,
} from 'openai/resources/chat/completions';
import { trimSilence } from '../../pcm.js';
import { ESPEAK_VOICES } from '../../tts/espeak.js';
import type { SpeechSynthesizer } from '../../tts/synthesizer.js';
import { ConversationHistory, type HistoryEntry } from '../history.js';
import { MicMemory } from '../mic-memory.js';
import { explainRequest, ProblemError, ProblemReporter, type ProviderNames } from '../problem.js';
import type {
  Cut,
  Provider,
  ProviderInput,
  ProviderOptions,
  ProviderOutput,
  ProviderSession,
  ToolCall,
  ToolResult,
} from '../provider.js';
import { clientOf, type Endpoint, problemOf } from './endpoint.js';
import { SentenceSplitter } from './sentences.js';
import { SpokenAnswer } from './spoken-answer.js';

export interface CascadeSettings {
  readonly transcription: Endpoint;
  readonly chat: Endpoint;
  /** Whose voices a session chooses from. */
  readonly voices: Provider['voices'];
  readonly synthesizer: (key: string) => SpeechSynthesizer;
  readonly readSpeechKey: () => string;
  /** How long a service may be silent, milliseconds. */
  readonly deadlineMs: number;
}

/** Shorter sounds, such as a cough, are no question. */
const SHORTEST_QUESTION_MS = 200;
/** Tool calls after each other, without an answer in between. */
const MAX_TOOL_ROUNDS = 8;
const ANSWERS_KEPT = 8;

/** An utterance of which the conversation has not decided yet whether it is a turn. */
interface Undecided {
  readonly abort: AbortController;
  readonly stoppedAtMs: number;
  readonly decide: (isTurn: boolean) => void;
}

/** Speech-to-text, a language model and text-to-speech one after the other, each behind an OpenAI-compatible HTTP endpoint. */
export function cascade(settings: CascadeSettings): Provider {
  return {
    name: 'cascade',
    vad: 'mesh',
    transcribesFirst: true,
    source: 'voice',
    voices: settings.voices,
    knownVoices: settings.voices === 'text-to-speech' ? ESPEAK_VOICES : [],
    maxTurnSeconds: 900,
    open: async (options, emit) => new CascadeSession(settings, options, emit),
  };
}

class CascadeSession implements ProviderSession {
  readonly #settings: CascadeSettings;
  readonly #options: ProviderOptions;
  readonly #emit: (output: ProviderOutput) => void;
  readonly #problems: ProblemReporter;
  readonly #history: ConversationHistory;
  readonly #tts: SpeechSynthesizer;
  readonly #memory = new MicMemory();
  readonly #waiting = new Map<string, (result: ToolResult) => void>();
  /** The newest answers, of which some may still be playing. */
  #answers: SpokenAnswer[] = [];
  #question: AbortController | undefined;
  #undecided: Undecided | undefined;
  #count = 0;
  #stoppedAtMs: number | undefined;

  constructor(settings: CascadeSettings, options: ProviderOptions, emit: (output: ProviderOutput) => void) {
    this.#settings = settings;
    this.#options = options;
    this.#emit = emit;
    const { transcription, chat, readSpeechKey } = settings;
    const keys = [options.key, transcription.readKey(), chat.readKey(), readSpeechKey()];
    this.#problems = new ProblemReporter(emit, keys);
    this.#history = new ConversationHistory(options.history);
    this.#tts = settings.synthesizer(options.key);
  }

  push(input: ProviderInput): void {
    if (input.kind === 'audio') this.#memory.push(input.pcm);
    else if (input.kind === 'user.started') {
      this.#memory.begin(input.preRollMs);
      // The bridge cuts what is heard; an answer without sound is given up, because the user goes on.
      this.#question?.abort();
    } else if (input.kind === 'user.stopped') this.#onUtterance();
    else if (input.kind === 'user.spoke') this.#onUndecided(input.preRollMs);
    else {
      this.#decide(input.kind === 'user.accepted');
      if (input.kind === 'user.withdrawn') this.#memory.forget();
    }
  }

  cancel({ response, playedMs }: Cut): void {
    const answer = this.#answers.find((candidate) => candidate.response === response);
    if (answer === undefined) return;
    answer.abort.abort();
    if (answer === this.#answers.at(-1)) this.#question?.abort();
    this.#history.say(response, 'avatar', answer.heard(playedMs));
  }

  answerTool(result: ToolResult): void {
    this.#waiting.get(result.id)?.(result);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#decide(false);
    this.#question?.abort();
    for (const answer of this.#answers) answer.abort.abort();
  }

  /** @returns the utterance without silence; undefined when it is too short for words */
  #takeUtterance(): Int16Array | undefined {
    const utterance = this.#memory.utterance;
    this.#memory.forget();
    const pcm = utterance === undefined ? new Int16Array(0) : trimSilence(utterance, SPEECH_RATE_HZ);
    return pcm.length < (SHORTEST_QUESTION_MS * SPEECH_RATE_HZ) / 1000 ? undefined : pcm;
  }

  #onUtterance(): void {
    const pcm = this.#takeUtterance();
    if (pcm === undefined) return;
    const question = new AbortController();
    this.#ask(question, performance.now());
    void this.#answer(pcm, question.signal);
  }

  #ask(question: AbortController, stoppedAtMs: number): void {
    this.#question?.abort();
    this.#question = question;
    this.#stoppedAtMs = stoppedAtMs;
  }

  /** Transcribes the utterance beside whatever is answered now, and answers it when it is accepted. */
  #onUndecided(preRollMs: number): void {
    this.#decide(false);
    this.#memory.begin(preRollMs);
    const pcm = this.#takeUtterance();
    const abort = new AbortController();
    const isTurn = new Promise<boolean>((decide) => {
      this.#undecided = { abort, stoppedAtMs: performance.now(), decide };
    });
    if (pcm === undefined) this.#emit({ kind: 'heard', text: '' });
    else void this.#answer(pcm, abort.signal, isTurn);
  }

  #decide(isTurn: boolean): void {
    const undecided = this.#undecided;
    this.#undecided = undefined;
    if (undecided === undefined) return;
    if (isTurn) this.#ask(undecided.abort, undecided.stoppedAtMs);
    else undecided.abort.abort();
    undecided.decide(isTurn);
  }

  /** Never rejects. @param isTurn when it has to be decided whether the utterance is answered */
  async #answer(pcm: Int16Array, signal: AbortSignal, isTurn?: Promise<boolean>): Promise<void> {
    const { transcription, chat } = this.#settings;
    const text = await this.#attempt(transcription.names, signal, () => this.#transcribe(pcm, signal));
    if (isTurn !== undefined && !signal.aborted) this.#emit({ kind: 'heard', text: text ?? '' });
    if (text === undefined || text === '' || !((await isTurn) ?? true) || signal.aborted) return;
    this.#count += 1;
    this.#history.say(`user-${this.#count}`, 'user', text);
    this.#emit({ kind: 'transcript', role: 'user', text, final: true });
    for (let round = 0; round < MAX_TOOL_ROUNDS && !signal.aborted; round++) {
      const calls = await this.#attempt(chat.names, signal, () => this.#respond(signal));
      if (calls === undefined || calls.length === 0) return;
      await this.#callTools(calls, signal);
    }
  }

  async #transcribe(pcm: Int16Array, signal: AbortSignal): Promise<string> {
    const { transcription, deadlineMs } = this.#settings;
    const begunAtMs = performance.now();
    const [language = ''] = this.#options.choices.language.toLowerCase().split('-');
    const file = await toFile(encodeWav(pcm, SPEECH_RATE_HZ), 'speech.wav', { type: 'audio/wav' });
    const request = { model: transcription.model, file, ...(language !== '' && { language }) };
    const client = clientOf(transcription, this.#options.key, deadlineMs);
    const { text } = await client.audio.transcriptions.create({ ...request, response_format: 'json' }, { signal });
    this.#emit({ kind: 'timing', step: 'transcription', ms: performance.now() - begunAtMs });
    return (text ?? '').trim();
  }

  /** Speaks one answer of the model. @returns the tools that it calls @throws ProblemError when there is neither speech nor a call */
  async #respond(signal: AbortSignal): Promise<ToolCall[]> {
    const answer = this.#beginAnswer();
    const stop = (): void => {
      if (!answer.hasSound) answer.abort.abort();
    };
    signal.addEventListener('abort', stop, { once: true });
    const splitter = new SentenceSplitter();
    const calls = new CallCollector(answer.response);
    try {
      for await (const { content, tool_calls } of this.#deltas(answer.abort.signal)) {
        for (const sentence of splitter.push(content ?? '')) answer.say(sentence);
        calls.add(tool_calls ?? []);
      }
      const rest = splitter.flush();
      if (rest !== '') answer.say(rest);
      await answer.finished();
    } catch (error) {
      answer.end();
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
      if (!answer.abort.signal.aborted) this.#history.say(answer.response, 'avatar', answer.text);
    }
    if (answer.abort.signal.aborted) return [];
    const complete = calls.complete();
    if (complete.length === 0 && !answer.hasSound)
      throw new ProblemError(explainRequest(this.#settings.chat.names, 'empty'));
    return complete;
  }

  #beginAnswer(): SpokenAnswer {
    this.#count += 1;
    const { voice, language } = this.#options.choices;
    const byLanguage = this.#settings.voices === 'text-to-speech' ? language.toLowerCase() : '';
    const answer = new SpokenAnswer({
      response: `cascade-${this.#count}`,
      ...{ tts: this.#tts, voice: voice || byLanguage, emit: this.#emit },
      onFirstSound: () => {
        this.#problems.recovered();
        this.#time('response');
      },
    });
    this.#history.reserve(answer.response, 'avatar');
    this.#answers = [...this.#answers.slice(1 - ANSWERS_KEPT), answer];
    return answer;
  }

  /** The model's deltas as they arrive. A model that is silent for too long is given up. */
  async *#deltas(signal: AbortSignal): AsyncIterable<ChatCompletionChunk.Choice.Delta> {
    const { chat, deadlineMs } = this.#settings;
    const stalled = new AbortController();
    const timer = setTimeout(() => stalled.abort(), deadlineMs);
    const request: ChatCompletionCreateParamsStreaming = {
      ...{ model: chat.model, stream: true, messages: this.#messages() },
      ...this.#tools(),
    };
    const both = AbortSignal.any([signal, stalled.signal]);
    const begunAtMs = performance.now();
    let isFirst = true;
    try {
      const client = clientOf(chat, this.#options.key, deadlineMs);
      for await (const chunk of await client.chat.completions.create(request, { signal: both })) {
        timer.refresh();
        const delta = chunk.choices?.[0]?.delta;
        if (delta === undefined) continue;
        if (isFirst) this.#emit({ kind: 'timing', step: 'first-text', ms: performance.now() - begunAtMs });
        isFirst = false;
        yield delta;
      }
    } finally {
      clearTimeout(timer);
    }
    if (stalled.signal.aborted && !signal.aborted) throw new Error('the model stopped in the middle of its answer');
  }

  #messages(): ChatCompletionMessageParam[] {
    const { instructions, language } = this.#options.choices;
    const system = [instructions, language === '' ? '' : `Speak in the language "${language}".`]
      .filter(Boolean)
      .join('\n');
    const before: ChatCompletionMessageParam[] = system === '' ? [] : [{ role: 'system', content: system }];
    return [...before, ...messagesOf(this.#history.entries)];
  }

  #tools(): Pick<ChatCompletionCreateParamsStreaming, 'tools'> {
    const { tools } = this.#options.choices;
    if (tools.length === 0) return {};
    return { tools: tools.map((definition) => ({ type: 'function' as const, function: definition })) };
  }

  async #callTools(calls: readonly ToolCall[], signal: AbortSignal): Promise<void> {
    const results = calls.map((call) => new Promise<ToolResult>((resolve) => this.#waiting.set(call.id, resolve)));
    for (const call of calls) {
      this.#history.call(call);
      this.#emit({ kind: 'tool.call', call });
    }
    // Results that come after the user went on still belong to the conversation.
    for (const result of results)
      void result.then((known) => {
        this.#waiting.delete(known.id);
        this.#history.result(known);
      });
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await Promise.race([Promise.all(results), aborted]);
  }

  /** @returns undefined when it failed, which is explained, or was cancelled */
  async #attempt<T>(names: ProviderNames, signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (thrown) {
      const problem = problemOf(thrown, names);
      if (problem === undefined || signal.aborted) return undefined;
      this.#problems.report(problem);
      return undefined;
    }
  }

  #time(step: 'response'): void {
    if (this.#stoppedAtMs !== undefined)
      this.#emit({ kind: 'timing', step, ms: performance.now() - this.#stoppedAtMs });
    this.#stoppedAtMs = undefined;
  }
}

/** Tool calls arrive in pieces: the first one has id and name, all have a part of the arguments. */
class CallCollector {
  readonly #calls = new Map<number, { id: string; name: string; arguments: string }>();
  readonly #response: string;

  constructor(response: string) {
    this.#response = response;
  }

  add(pieces: readonly ChatCompletionChunk.Choice.Delta.ToolCall[]): void {
    for (const { index = 0, id, function: called } of pieces) {
      const call = this.#calls.get(index) ?? { id: '', name: '', arguments: '' };
      this.#calls.set(index, call);
      call.id ||= id ?? '';
      call.name ||= called?.name ?? '';
      call.arguments += called?.arguments ?? '';
    }
  }

  complete(): ToolCall[] {
    return [...this.#calls]
      .filter(([, { name }]) => name !== '')
      .map(([index, call]) => ({
        ...call,
        id: call.id || `${this.#response}-${index}`,
        arguments: call.arguments || '{}',
      }));
  }
}

/** Calls that follow each other belong to one message, and each of them needs its result right after it. */
function messagesOf(entries: readonly HistoryEntry[]): ChatCompletionMessageParam[] {
  const results = new Map(
    entries.flatMap((entry) => (entry.kind === 'result' ? [[entry.result.id, entry.result]] : [])),
  );
  const messages: ChatCompletionMessageParam[] = [];
  let calls: ToolCall[] = [];
  const closeCalls = (): void => {
    if (calls.length === 0) return;
    const tool_calls = calls.map(({ id, name, arguments: given }) => ({
      ...{ id, type: 'function' as const, function: { name, arguments: given } },
    }));
    messages.push({ role: 'assistant', content: null, tool_calls });
    for (const { id } of calls)
      messages.push({ role: 'tool', tool_call_id: id, content: results.get(id)?.output ?? '' });
    calls = [];
  };
  for (const entry of entries) {
    if (entry.kind === 'call' && results.has(entry.call.id)) calls.push(entry.call);
    if (entry.kind !== 'text') continue;
    closeCalls();
    messages.push({ role: entry.role === 'user' ? 'user' : 'assistant', content: entry.text });
  }
  closeCalls();
  return messages;
}
