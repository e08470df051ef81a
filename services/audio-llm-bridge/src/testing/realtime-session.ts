import { setTimeout as sleep } from 'node:timers/promises';
import { rms } from '@talkmesh/media';
import type {
  RealtimeClientEvent,
  RealtimeServerEvent,
  RealtimeSessionCreateRequest,
} from 'openai/resources/realtime/realtime';
import type { RealtimeTestServer, TestAnswer } from './realtime-server.js';

export interface TestSocket {
  send(event: RealtimeServerEvent): void;
  sendRaw(text: string): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** An item of the conversation as the model knows it. */
export interface KnownItem {
  readonly id: string;
  readonly kind: 'user' | 'assistant' | 'function_call' | 'function_call_output';
  text: string;
  /** Audio that was sent, milliseconds; of a truncated item what was kept. */
  ms: number;
  truncated: boolean;
}

const SPEECH_LEVEL = 0.01;
/** Silence that ends an utterance for this server. */
export const SILENCE_MS = 200;

/** One connection: the state that the real service keeps for it. */
export class RealtimeTestSession {
  readonly received: RealtimeClientEvent[] = [];
  /** Events that the real service would answer with an error. */
  readonly errors: string[] = [];
  readonly items: KnownItem[] = [];
  config: Record<string, unknown> = {};
  /** Milliseconds of audio received since the last commit or clear, and in all. */
  bufferedMs = 0;
  heardMs = 0;
  readonly #server: RealtimeTestServer;
  readonly #socket: TestSocket;
  #active: AbortController | undefined;
  #answering: Promise<void> = Promise.resolve();
  #speaking = false;
  #silentMs = 0;
  #ids = 0;

  constructor(server: RealtimeTestServer, socket: TestSocket) {
    this.#server = server;
    this.#socket = socket;
  }

  get #rateHz(): number {
    return this.#server.options.rateHz ?? 24_000;
  }

  begin(): void {
    const { refusal, silent, dialect } = this.#server.options;
    if (silent) return;
    if (refusal !== undefined) {
      this.#error(refusal.code, refusal.message, undefined, refusal.type);
      this.#socket.close(1000, '');
      return;
    }
    const beta = {
      voice: 'alloy',
      modalities: ['audio', 'text'],
      input_audio_format: 'pcm16',
      output_audio_format: 'pcm16',
    };
    const format = { type: 'audio/pcm', rate: this.#rateHz as 24000 } as const;
    const ga: RealtimeSessionCreateRequest = { type: 'realtime', audio: { output: { format } } };
    const session = dialect === 'beta' ? (beta as unknown as RealtimeSessionCreateRequest) : ga;
    this.#socket.send({ type: 'session.created', event_id: this.#id('event'), session });
  }

  stop(): void {
    this.#active?.abort();
  }

  send(event: RealtimeServerEvent): void {
    this.#socket.send(event);
  }

  sendRaw(text: string): void {
    this.#socket.sendRaw(text);
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  /** Texts of the conversation, as `role: text`. */
  get known(): string[] {
    return this.items.map(({ kind, text }) => `${kind}: ${text}`);
  }

  receive(event: RealtimeClientEvent): void {
    this.received.push(event);
    switch (event.type) {
      case 'session.update':
        this.#update(event.session as unknown as Record<string, unknown>, event.event_id);
        break;
      case 'input_audio_buffer.append':
        this.#append(Buffer.from(event.audio, 'base64'));
        break;
      case 'input_audio_buffer.clear':
        this.bufferedMs = 0;
        break;
      case 'input_audio_buffer.commit':
        if (this.bufferedMs < 100) this.#error('input_audio_buffer_commit_empty', 'buffer too small', event.event_id);
        else this.#commit();
        break;
      case 'conversation.item.create':
        this.#create(event.item);
        break;
      case 'conversation.item.truncate':
        this.#truncate(event);
        break;
      case 'response.create':
        if (this.#active !== undefined)
          this.#error('conversation_already_has_active_response', 'already answering', event.event_id);
        else this.#respond();
        break;
      case 'response.cancel':
        if (this.#active === undefined) this.#error('response_cancel_not_active', 'nothing to cancel', event.event_id);
        this.#active?.abort('client_cancelled');
        break;
      default:
        this.#error('unknown_event', `unexpected ${event.type}`, undefined);
    }
  }

  #update(session: Record<string, unknown>, eventId: string | undefined): void {
    const isBeta = this.#server.options.dialect === 'beta';
    const isValid = isBeta ? !('audio' in session) && 'modalities' in session : session['type'] === 'realtime';
    if (!isValid) {
      this.#error('unknown_parameter', 'session.update has the wrong shape', eventId);
      return;
    }
    this.config = session;
    const format = { type: 'audio/pcm', rate: this.#rateHz as 24000 } as const;
    const updated = isBeta ? session : { ...session, audio: { output: { format } } };
    const typed = updated as unknown as RealtimeSessionCreateRequest;
    this.#socket.send({ type: 'session.updated', event_id: this.#id('event'), session: typed });
  }

  get #detects(): boolean {
    const audio = this.config['audio'] as { input?: { turn_detection?: unknown } } | undefined;
    const detection = audio === undefined ? this.config['turn_detection'] : audio.input?.turn_detection;
    return detection !== null && detection !== undefined;
  }

  #append(bytes: Buffer): void {
    const pcm = new Int16Array(bytes.length >> 1);
    for (let i = 0; i < pcm.length; i++) pcm[i] = bytes.readInt16LE(2 * i);
    const ms = (pcm.length * 1000) / this.#rateHz;
    this.bufferedMs += ms;
    this.heardMs += ms;
    if (!this.#detects) return;
    const step = this.#rateHz / 50;
    for (let at = 0; at < pcm.length; at += step) this.#detect(rms(pcm.subarray(at, at + step)));
  }

  #detect(level: number): void {
    const event_id = this.#id('event');
    if (level > SPEECH_LEVEL) {
      this.#silentMs = 0;
      if (this.#speaking) return;
      this.#speaking = true;
      const start = { event_id, item_id: 'pending', audio_start_ms: Math.round(this.heardMs) };
      this.#socket.send({ type: 'input_audio_buffer.speech_started', ...start });
      this.#active?.abort('turn_detected');
      return;
    }
    this.#silentMs += 20;
    if (!this.#speaking || this.#silentMs < SILENCE_MS) return;
    this.#speaking = false;
    const end = { event_id, item_id: 'pending', audio_end_ms: Math.round(this.heardMs) };
    this.#socket.send({ type: 'input_audio_buffer.speech_stopped', ...end });
    this.#commit();
    this.#respond();
  }

  #commit(): void {
    const id = this.#id('user');
    const text = this.#server.options.transcripts?.[this.#server.utterances] ?? '';
    this.#server.utterances += 1;
    this.items.push({ id, kind: 'user', text, ms: this.bufferedMs, truncated: false });
    this.bufferedMs = 0;
    this.#socket.send({ type: 'input_audio_buffer.committed', event_id: this.#id('event'), item_id: id });
    if (text === '') return;
    this.#socket.send({
      type: 'conversation.item.input_audio_transcription.completed',
      ...{ event_id: this.#id('event'), item_id: id, content_index: 0, transcript: text },
      usage: { type: 'duration', seconds: 1 },
    });
  }

  #create(item: Extract<RealtimeClientEvent, { type: 'conversation.item.create' }>['item']): void {
    const id = item.id ?? this.#id('item');
    const known = { id, ms: 0, truncated: false };
    if (item.type === 'function_call')
      this.items.push({ ...known, kind: 'function_call', text: `${item.call_id} ${item.name} ${item.arguments}` });
    else if (item.type === 'function_call_output')
      this.items.push({ ...known, kind: 'function_call_output', text: `${item.call_id} ${item.output}` });
    else if (item.type === 'message' && item.role !== 'system') {
      const [content] = item.content;
      this.items.push({ ...known, kind: item.role, text: content?.text ?? '' });
    }
  }

  #truncate(event: Extract<RealtimeClientEvent, { type: 'conversation.item.truncate' }>): void {
    const item = this.items.find(({ id }) => id === event.item_id);
    if (item === undefined) {
      this.#error('item_not_found', 'no such item', event.event_id);
      return;
    }
    if (!Number.isInteger(event.audio_end_ms) || event.audio_end_ms > item.ms) {
      this.#error('invalid_value', `audio_end_ms ${event.audio_end_ms} of ${item.ms}`, event.event_id);
      return;
    }
    Object.assign(item, { ms: event.audio_end_ms, truncated: true, text: '' });
    const { item_id, audio_end_ms, content_index } = event;
    const event_id = this.#id('event');
    this.#socket.send({ type: 'conversation.item.truncated', event_id, item_id, audio_end_ms, content_index });
  }

  #respond(): void {
    const answer = (this.#server.options.answer ?? (() => undefined))(this.#server.answers);
    this.#server.answers += 1;
    if (answer === undefined) return;
    const abort = new AbortController();
    this.#active = abort;
    // The end of an interrupted response is reported before the next one begins.
    this.#answering = this.#answering
      .then(() => this.#answer(answer, abort.signal))
      .finally(() => {
        if (this.#active === abort) this.#active = undefined;
      });
  }

  async #answer(answer: TestAnswer, signal: AbortSignal): Promise<void> {
    const response_id = this.#id('response');
    const at = { response_id, output_index: 0, content_index: 0 };
    const event = (): { event_id: string } => ({ event_id: this.#id('event') });
    this.#socket.send({ type: 'response.created', ...event(), response: { id: response_id, status: 'in_progress' } });
    if (answer.delayMs !== undefined) await sleep(answer.delayMs, undefined, { signal }).catch(() => undefined);
    let finished = true;
    if (answer.pcm !== undefined) finished = await this.#speak(answer, response_id, signal);
    if (finished && !signal.aborted)
      for (const tool of answer.tools ?? []) {
        this.items.push({
          ...{ id: this.#id('item'), ms: 0, truncated: false, kind: 'function_call' },
          text: `${tool.id} ${tool.name} ${tool.arguments}`,
        });
        const call = { item_id: tool.id, call_id: tool.id, name: tool.name, arguments: tool.arguments };
        this.#socket.send({ type: 'response.function_call_arguments.done', ...event(), ...at, ...call });
      }
    if (!finished) return;
    // The real service is ready for the next response before it reports the end of this one.
    if (this.#active?.signal === signal) this.#active = undefined;
    const status = signal.aborted ? 'cancelled' : (answer.status ?? 'completed');
    const reason = signal.aborted ? (signal.reason as 'turn_detected') : undefined;
    const output = (answer.tools ?? []).map(({ id, name, arguments: given }) => ({
      ...{ type: 'function_call' as const, call_id: id, name, arguments: given },
    }));
    this.#socket.send({
      type: 'response.done',
      ...event(),
      response: {
        id: response_id,
        status,
        ...(signal.aborted ? {} : { output }),
        status_details: { type: status, ...(reason && { reason }), ...(answer.error && { error: answer.error }) },
      },
    });
  }

  /** @returns false when the connection was cut on purpose */
  async #speak(answer: TestAnswer, response_id: string, signal: AbortSignal): Promise<boolean> {
    const { pcm = new Int16Array(0), text = '', pieceMs = 100, paceMs = 0 } = answer;
    const item: KnownItem = { id: this.#id('answer'), kind: 'assistant', text: '', ms: 0, truncated: false };
    this.items.push(item);
    const at = { response_id, item_id: item.id, output_index: 0, content_index: 0 };
    const bytes = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
    const step = (this.#rateHz / 1000) * pieceMs * 2 + (answer.oddBytes ? 1 : 0);
    const words = text.split(/(?<=\s)/);
    const pieces = Math.ceil(bytes.length / step);
    for (let i = 0; i < pieces; i++) {
      if (signal.aborted) return true;
      if (answer.cutAfterMs !== undefined && item.ms >= answer.cutAfterMs) {
        this.#socket.terminate();
        return false;
      }
      const part = words
        .slice(Math.floor((i * words.length) / pieces), Math.floor(((i + 1) * words.length) / pieces))
        .join('');
      if (part !== '') {
        item.text += part;
        const delta = { event_id: this.#id('event'), ...at, delta: part };
        this.#socket.send({ type: 'response.output_audio_transcript.delta', ...delta });
      }
      const piece = bytes.subarray(i * step, (i + 1) * step);
      item.ms += (piece.length * 1000) / (2 * this.#rateHz);
      const delta = piece.toString('base64');
      this.#socket.send({ type: 'response.output_audio.delta', event_id: this.#id('event'), ...at, delta });
      if (answer.malformed !== undefined && i === 0) this.#socket.sendRaw(answer.malformed);
      if (paceMs > 0) await sleep(paceMs, undefined, { signal }).catch(() => undefined);
      else if (i % 50 === 49) await sleep(0);
    }
    if (signal.aborted) return true;
    this.#socket.send({
      type: 'response.output_audio_transcript.done',
      event_id: this.#id('event'),
      ...at,
      transcript: text,
    });
    this.#socket.send({ type: 'response.output_audio.done', event_id: this.#id('event'), ...at });
    return true;
  }

  #error(code: string, message: string, causedBy: string | undefined, type = 'invalid_request_error'): void {
    this.errors.push(code);
    const error = { code, type, message, event_id: causedBy ?? null, param: null };
    this.#socket.send({ type: 'error', event_id: this.#id('event'), error });
  }

  #id(kind: string): string {
    this.#ids += 1;
    return `${kind}_${this.#server.sessions.length}_${this.#ids}`;
  }
}
