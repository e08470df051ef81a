import type { AudioMessage, MeshEvent } from '@talkmesh/contracts';
import { SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { ConversationItem, RealtimeServerEvent } from 'openai/resources/realtime/realtime';

/** An event without its id, which the connection adds. Azure's three avatar events are not among the official types. */
type WithoutId<T> = T extends unknown ? Omit<T, 'event_id'> : never;
export type OutEvent =
  | WithoutId<Exclude<RealtimeServerEvent, { type: 'error' }>>
  | { readonly type: 'session.avatar.connecting'; readonly server_sdp: string }
  | { readonly type: 'session.avatar.switch_to_speaking' | 'session.avatar.switch_to_idle'; readonly turn_id: string };

interface Response {
  readonly turn: number;
  readonly id: string;
  readonly itemId: string;
  /** Speech that was written, samples. */
  samples: number;
  transcript: string;
  /** `open`: speech still arrives. `written`: all of it was written. `over`: it was also heard, or cut. */
  state: 'open' | 'written' | 'over';
  /** Set once the listener has finished with it, milliseconds. */
  heardMs: number | undefined;
}

export interface WriterOptions {
  readonly send: (event: OutEvent) => void;
  /** Whether audio is written; false when it comes by WebRTC. */
  readonly writesAudio: () => boolean;
}

/** Items that a client may still refer to. */
const MAX_ITEMS = 64;
const SAMPLES_PER_MS = SPEECH_RATE_HZ / 1000;

/**
 * Turns of the mesh as responses of the Realtime protocol. A response ends when its speech is complete, which is seconds before it is
 * heard; what the listener then heard less is a truncation. Pure: it has no clock and no network.
 */
export class ResponseWriter {
  readonly #options: WriterOptions;
  readonly #responses = new Map<number, Response>();
  /** Item of the user's newest utterance. */
  #utterances = 0;
  #lastItemId: string | null = null;
  #cancelledByClient = false;
  #tools = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Whether a response is being written or heard. */
  get isActive(): boolean {
    return [...this.#responses.values()].some(({ state }) => state !== 'over');
  }

  /** @returns the response of an item that was announced, as far as it is remembered */
  find(itemId: string): Readonly<Response> | undefined {
    return [...this.#responses.values()].find((response) => response.itemId === itemId);
  }

  sentMsOf({ samples }: Readonly<Response>): number {
    return Math.floor(samples / SAMPLES_PER_MS);
  }

  /** The next cut was asked for by the client. */
  cancelling(): void {
    this.#cancelledByClient = true;
  }

  /** The user's words begin or end, milliseconds of appended audio. */
  speechStarted(atMs: number): void {
    this.#utterances += 1;
    this.#send({ type: 'input_audio_buffer.speech_started', audio_start_ms: atMs, item_id: this.#userItem });
  }

  speechStopped(atMs: number): void {
    this.#send({ type: 'input_audio_buffer.speech_stopped', audio_end_ms: atMs, item_id: this.#userItem });
    this.#commit();
  }

  /** The client itself ends the user's turn. */
  committed(): void {
    this.#utterances += 1;
    this.#commit();
  }

  onSpeech({ turn, pcm, endOfTurn }: Pick<AudioMessage, 'turn' | 'pcm' | 'endOfTurn'>): void {
    const response = this.#open(turn);
    if (response.state !== 'open') return;
    response.samples += pcm.length;
    if (pcm.length > 0 && this.#options.writesAudio()) {
      const delta = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).toString('base64');
      this.#send({ type: 'response.output_audio.delta', ...this.#at(response), delta });
    }
    if (endOfTurn) this.#finish(response, 'completed');
  }

  onEvent(event: MeshEvent): void {
    const response = this.#responses.get(event.turn);
    switch (event.type) {
      case 'turn.queued':
        this.#open(event.turn);
        break;
      case 'transcript':
        if (event.role === 'avatar') this.#onAvatarText(event);
        else if (event.final) this.#onUserText(event.text);
        break;
      case 'turn.started':
        this.#send({ type: 'output_audio_buffer.started', response_id: this.#open(event.turn).id });
        this.#send({ type: 'session.avatar.switch_to_speaking', turn_id: String(event.turn) });
        break;
      case 'turn.finished':
        if (response !== undefined) this.#heard(response, event.heardMs, event.interrupted);
        this.#send({ type: 'session.avatar.switch_to_idle', turn_id: String(event.turn) });
        break;
      case 'turn.cancelled':
        if (response !== undefined) this.#heard(response, 0, true);
        break;
      case 'tool.call':
        this.#onToolCall(event);
        break;
      default:
        break;
    }
  }

  get #userItem(): string {
    return `item_user_${this.#utterances}`;
  }

  #commit(): void {
    const item_id = this.#userItem;
    this.#send({ type: 'input_audio_buffer.committed', item_id, previous_item_id: this.#lastItemId });
    this.#addItem({ id: item_id, type: 'message', role: 'user', content: [{ type: 'input_audio' }] });
  }

  #onUserText(transcript: string): void {
    this.#send({
      type: 'conversation.item.input_audio_transcription.completed',
      ...{ item_id: this.#userItem, content_index: 0, transcript },
      usage: { type: 'duration', seconds: 0 },
    });
  }

  /** A partial transcript holds all of the text so far. A correction of earlier words cannot be told as a delta; `done` has the right text. */
  #onAvatarText({ turn, text, final }: Extract<MeshEvent, { type: 'transcript' }>): void {
    if (turn === 0) return;
    const response = this.#open(turn);
    if (response.state === 'open' && text.startsWith(response.transcript) && text.length > response.transcript.length)
      this.#send({
        type: 'response.output_audio_transcript.delta',
        ...this.#at(response),
        delta: text.slice(response.transcript.length),
      });
    if (final || text.startsWith(response.transcript)) response.transcript = text;
  }

  #onToolCall({ callId, name, arguments: given }: Extract<MeshEvent, { type: 'tool.call' }>): void {
    this.#tools += 1;
    const id = `resp_tool_${this.#tools}`;
    const item = {
      id: `item_tool_${this.#tools}`,
      type: 'function_call',
      call_id: callId,
      name,
      arguments: given,
    } as const;
    const at = { response_id: id, output_index: 0 };
    this.#send({
      type: 'response.created',
      response: { id, object: 'realtime.response', status: 'in_progress', output: [] },
    });
    this.#send({ type: 'response.output_item.added', ...at, item: { ...item, status: 'in_progress' } });
    this.#addItem(item);
    this.#send({
      type: 'response.function_call_arguments.done',
      ...at,
      ...{ item_id: item.id, call_id: callId, name, arguments: given },
    });
    this.#send({ type: 'response.output_item.done', ...at, item: { ...item, status: 'completed' } });
    this.#send({
      type: 'response.done',
      response: { id, object: 'realtime.response', status: 'completed', output: [{ ...item, status: 'completed' }] },
    });
  }

  #open(turn: number): Response {
    const known = this.#responses.get(turn);
    if (known !== undefined) return known;
    const response: Response = {
      ...{ turn, id: `resp_${turn}`, itemId: `item_${turn}`, samples: 0, transcript: '' },
      ...{ state: 'open', heardMs: undefined },
    };
    this.#responses.set(turn, response);
    if (this.#responses.size > MAX_ITEMS) this.#responses.delete(this.#responses.keys().next().value as number);
    this.#send({
      type: 'response.created',
      response: { id: response.id, object: 'realtime.response', status: 'in_progress', output: [] },
    });
    const item = this.#itemOf(response, 'in_progress');
    this.#send({ type: 'response.output_item.added', response_id: response.id, output_index: 0, item });
    this.#addItem(item);
    this.#send({
      type: 'response.content_part.added',
      ...this.#at(response),
      part: { type: 'audio', transcript: '' },
    });
    return response;
  }

  #finish(response: Response, status: 'completed' | 'cancelled'): void {
    response.state = 'written';
    const at = this.#at(response);
    const { transcript } = response;
    if (this.#options.writesAudio()) this.#send({ type: 'response.output_audio.done', ...at });
    this.#send({ type: 'response.output_audio_transcript.done', ...at, transcript });
    this.#send({ type: 'response.content_part.done', ...at, part: { type: 'audio', transcript } });
    const item = this.#itemOf(response, status === 'completed' ? 'completed' : 'incomplete');
    this.#send({ type: 'response.output_item.done', response_id: response.id, output_index: 0, item });
    this.#send({ type: 'conversation.item.done', item, previous_item_id: null });
    const reason = this.#cancelledByClient ? 'client_cancelled' : 'turn_detected';
    this.#send({
      type: 'response.done',
      response: {
        ...{ id: response.id, object: 'realtime.response', status, output: [item] },
        ...(status === 'cancelled' && { status_details: { type: 'cancelled', reason } }),
      },
    });
  }

  #heard(response: Response, heardMs: number, interrupted: boolean): void {
    if (response.state === 'over') return;
    if (response.state === 'open') this.#finish(response, interrupted ? 'cancelled' : 'completed');
    response.state = 'over';
    // The client may hear at most what was written to it.
    response.heardMs = Math.min(heardMs, this.sentMsOf(response));
    const type = interrupted ? 'output_audio_buffer.cleared' : 'output_audio_buffer.stopped';
    this.#send({ type, response_id: response.id });
    if (!interrupted) return;
    this.#cancelledByClient = false;
    this.truncated(response);
  }

  /** Says where a response that is over was cut. */
  truncated({ itemId, heardMs = 0 }: Readonly<Response>, atMostMs = heardMs): void {
    const audio_end_ms = Math.floor(Math.min(heardMs, atMostMs));
    this.#send({ type: 'conversation.item.truncated', item_id: itemId, content_index: 0, audio_end_ms });
  }

  #itemOf({ itemId, transcript }: Response, status: 'in_progress' | 'completed' | 'incomplete'): ConversationItem {
    const content = status === 'in_progress' ? [] : [{ type: 'output_audio' as const, transcript }];
    return { id: itemId, type: 'message', role: 'assistant', status, content };
  }

  #addItem(item: ConversationItem): void {
    this.#send({ type: 'conversation.item.added', item, previous_item_id: this.#lastItemId });
    this.#lastItemId = item.id ?? null;
  }

  #at({ id, itemId }: Response) {
    return { response_id: id, item_id: itemId, output_index: 0, content_index: 0 };
  }

  #send(event: OutEvent): void {
    this.#options.send(event);
  }
}
