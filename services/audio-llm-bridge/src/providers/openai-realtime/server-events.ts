import type { ToolCall } from '../provider.js';

/** The shape of `session.update`: the generally available one, or the beta's, which older compatible servers speak. */
export type Dialect = 'ga' | 'beta';

interface OfAnswer {
  readonly response: string | undefined;
  readonly item: string | undefined;
}

/** What the bridge needs of the server's events, whatever their names and however few of their fields a server sends. */
export type RealtimeEvent =
  | { readonly kind: 'session'; readonly created: boolean; readonly dialect: Dialect; readonly output: OutputFormat }
  | { readonly kind: 'speech.started' }
  | { readonly kind: 'speech.stopped' }
  /** The user's utterance has its place in the conversation. */
  | { readonly kind: 'user.item'; readonly item: string }
  | { readonly kind: 'user.text'; readonly item: string | undefined; readonly text: string }
  | { readonly kind: 'response.created'; readonly response: string | undefined }
  | ({
      readonly kind: 'audio';
      readonly contentIndex: number;
      readonly bytes: Buffer;
      readonly rateHz: number | undefined;
    } & OfAnswer)
  /** Words of the answer: the next ones, or with `done` all of them. */
  | ({ readonly kind: 'text'; readonly text: string; readonly done: boolean } & OfAnswer)
  | { readonly kind: 'tool'; readonly call: ToolCall }
  | {
      readonly kind: 'response.done';
      readonly response: string | undefined;
      readonly status: string;
      readonly reason: string;
      readonly code: string;
      readonly detail: string;
      readonly calls: readonly ToolCall[];
    }
  | { readonly kind: 'error'; readonly code: string; readonly detail: string; readonly causedBy: string | undefined }
  | { readonly kind: 'other'; readonly type: string };

export interface OutputFormat {
  /** `audio/pcm` or another encoding; undefined when the server does not tell. */
  readonly type: string | undefined;
  readonly rateHz: number | undefined;
}

type Json = Readonly<Record<string, unknown>>;

const MAX_TYPE_CHARACTERS = 60;

const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
const string = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const number = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Reads one event. Never throws: what is missing is undefined or empty, and an unknown event is `other`. */
export function readRealtimeEvent(received: unknown): RealtimeEvent {
  const event = object(received);
  const type = string(event['type']) ?? '';
  const answer: OfAnswer = { response: string(event['response_id']), item: string(event['item_id']) };
  switch (type) {
    case 'session.created':
    case 'session.updated':
      return readSession(object(event['session']), type === 'session.created');
    case 'input_audio_buffer.speech_started':
      return { kind: 'speech.started' };
    case 'input_audio_buffer.speech_stopped':
      return { kind: 'speech.stopped' };
    case 'input_audio_buffer.committed':
      return answer.item === undefined ? { kind: 'other', type } : { kind: 'user.item', item: answer.item };
    case 'conversation.item.added':
    case 'conversation.item.created':
      return readItem(object(event['item']), type);
    case 'conversation.item.input_audio_transcription.completed':
    case 'transcription.done':
      return { kind: 'user.text', item: answer.item, text: string(event['transcript']) ?? string(event['text']) ?? '' };
    case 'response.created':
      return { kind: 'response.created', response: string(object(event['response'])['id']) };
    case 'response.output_audio.delta':
    case 'response.audio.delta':
      return {
        kind: 'audio',
        ...answer,
        contentIndex: number(event['content_index']) ?? 0,
        bytes: Buffer.from(string(event['delta']) ?? string(event['audio']) ?? '', 'base64'),
        rateHz: number(event['sample_rate_hz']),
      };
    case 'response.output_audio_transcript.delta':
    case 'response.audio_transcript.delta':
    case 'response.output_text.delta':
    case 'response.text.delta':
      return { kind: 'text', ...answer, text: string(event['delta']) ?? '', done: false };
    case 'response.output_audio_transcript.done':
    case 'response.audio_transcript.done':
      return { kind: 'text', ...answer, text: string(event['transcript']) ?? '', done: true };
    case 'response.output_text.done':
    case 'response.text.done':
      return { kind: 'text', ...answer, text: string(event['text']) ?? '', done: true };
    case 'response.output_item.done':
      return withCall(readCall(object(event['item'])), type);
    case 'response.function_call_arguments.done':
      return withCall(readCall({ ...event, type: 'function_call' }), type);
    case 'response.done':
      return readDone(object(event['response']));
    case 'error':
      return readError(object(event['error']), event);
    default:
      return { kind: 'other', type: type.slice(0, MAX_TYPE_CHARACTERS) || 'unnamed' };
  }
}

function readSession(session: Json, created: boolean): RealtimeEvent {
  const isBeta = 'modalities' in session || 'input_audio_format' in session || 'output_audio_format' in session;
  const format = object(object(object(session['audio'])['output'])['format']);
  const betaType = string(session['output_audio_format']);
  return {
    kind: 'session',
    created,
    dialect: isBeta ? 'beta' : 'ga',
    output: {
      type: betaType === 'pcm16' ? 'audio/pcm' : (betaType ?? string(format['type'])),
      rateHz: number(format['rate']),
    },
  };
}

function readItem(item: Json, type: string): RealtimeEvent {
  const id = string(item['id']);
  if (id === undefined || item['role'] !== 'user') return { kind: 'other', type };
  return { kind: 'user.item', item: id };
}

/** @returns undefined when it is no complete function call */
function readCall(item: Json): ToolCall | undefined {
  const [id, name] = [string(item['call_id']), string(item['name'])];
  if (item['type'] !== 'function_call' || id === undefined || name === undefined) return undefined;
  return { id, name, arguments: string(item['arguments']) ?? '{}' };
}

const withCall = (call: ToolCall | undefined, type: string): RealtimeEvent =>
  call === undefined ? { kind: 'other', type } : { kind: 'tool', call };

function readDone(response: Json): RealtimeEvent {
  const details = object(response['status_details']);
  const error = object(details['error']);
  return {
    kind: 'response.done',
    response: string(response['id']),
    status: string(response['status']) ?? 'completed',
    reason: string(details['reason']) ?? '',
    code: string(error['code']) ?? string(error['type']) ?? '',
    detail: string(error['message']) ?? '',
    calls: list(response['output']).flatMap((item) => readCall(object(item)) ?? []),
  };
}

function readError(error: Json, event: Json): RealtimeEvent {
  return {
    kind: 'error',
    code: string(error['code']) ?? string(error['type']) ?? '',
    detail: string(error['message']) ?? string(event['message']) ?? '',
    causedBy: string(error['event_id']),
  };
}
