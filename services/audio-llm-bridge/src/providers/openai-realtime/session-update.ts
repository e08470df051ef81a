import { type SessionChoices, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type {
  RealtimeAudioInputTurnDetection,
  RealtimeClientEvent,
  RealtimeSessionCreateRequest,
} from 'openai/resources/realtime/realtime';
import type { HistoryEntry } from '../history.js';
import type { Dialect } from './server-events.js';

export const TURN_DETECTIONS = ['server_vad', 'semantic_vad', 'mesh'] as const;
/** Who finds the end of the user's speech: the server by its volume, the server by its meaning, or audio-ingest. */
export type TurnDetection = (typeof TURN_DETECTIONS)[number];

export interface SessionSettings {
  readonly model: string;
  readonly turnDetection: TurnDetection;
  /** Model that writes down what the user says; empty: no transcripts of the user. */
  readonly transcriptionModel: string;
  /** 1 is the voice's own speed. */
  readonly speed: number;
  /** Sample rate that the server expects of the microphone. */
  readonly inputRateHz: number;
}

type Update = Extract<RealtimeClientEvent, { type: 'session.update' }>;
type CreateItem = Extract<RealtimeClientEvent, { type: 'conversation.item.create' }>;

/** The `session.update` of a session, in the dialect of the server. */
export function sessionUpdate(settings: SessionSettings, choices: SessionChoices, dialect: Dialect): Update {
  if (dialect === 'ga') return { type: 'session.update', session: gaSession(settings, choices) };
  // The official client has types for the generally available protocol only.
  return { type: 'session.update', session: betaSession(settings, choices) } as unknown as Update;
}

function gaSession(settings: SessionSettings, choices: SessionChoices): RealtimeSessionCreateRequest {
  const transcription = transcriptionOf(settings, choices);
  return {
    type: 'realtime',
    model: settings.model,
    output_modalities: ['audio'],
    ...common(choices),
    audio: {
      input: {
        // The type allows 24 kHz only; compatible servers take other rates.
        format: { type: 'audio/pcm', rate: settings.inputRateHz as 24000 },
        turn_detection: turnDetection(settings.turnDetection),
        ...(transcription && { transcription }),
      },
      output: {
        format: { type: 'audio/pcm', rate: SPEECH_RATE_HZ },
        ...(choices.voice !== '' && { voice: choices.voice }),
        ...(settings.speed !== 1 && { speed: settings.speed }),
      },
    },
  };
}

function betaSession(settings: SessionSettings, choices: SessionChoices): object {
  const transcription = transcriptionOf(settings, choices);
  return {
    modalities: ['audio', 'text'],
    ...common(choices),
    ...(choices.voice !== '' && { voice: choices.voice }),
    input_audio_format: 'pcm16',
    output_audio_format: 'pcm16',
    turn_detection: turnDetection(settings.turnDetection),
    ...(transcription && { input_audio_transcription: transcription }),
  };
}

function common({
  instructions,
  language,
  tools,
}: SessionChoices): Pick<RealtimeSessionCreateRequest, 'instructions' | 'tools' | 'tool_choice'> {
  const lines = [instructions, language === '' ? '' : `Speak in the language "${language}".`].filter(Boolean);
  return {
    ...(lines.length > 0 && { instructions: lines.join('\n') }),
    ...(tools.length > 0 && {
      tools: tools.map(({ name, description, parameters }) => ({
        type: 'function' as const,
        ...{ name, description, parameters },
      })),
      tool_choice: 'auto' as const,
    }),
  };
}

function transcriptionOf(
  { transcriptionModel }: SessionSettings,
  { language }: SessionChoices,
): { model: string; language?: string } | undefined {
  if (transcriptionModel === '') return undefined;
  const [primary = ''] = language.split('-');
  return { model: transcriptionModel, ...(primary !== '' && { language: primary.toLowerCase() }) };
}

function turnDetection(kind: TurnDetection): RealtimeAudioInputTurnDetection | null {
  if (kind === 'mesh') return null;
  return { type: kind, create_response: true, interrupt_response: true };
}

/** The events that give a new connection the conversation so far. */
export function replay(entries: readonly HistoryEntry[], dialect: Dialect): CreateItem[] {
  return entries.map((entry): CreateItem => ({ type: 'conversation.item.create', item: itemOf(entry, dialect) }));
}

export function itemOf(entry: HistoryEntry, dialect: Dialect): CreateItem['item'] {
  if (entry.kind === 'call') {
    const { id, name, arguments: given } = entry.call;
    return { type: 'function_call', call_id: id, name, arguments: given };
  }
  if (entry.kind === 'result')
    return { type: 'function_call_output', call_id: entry.result.id, output: entry.result.output };
  const { role, text } = entry;
  if (role === 'user') return { type: 'message', role, content: [{ type: 'input_text', text }] };
  const type = dialect === 'beta' ? ('text' as 'output_text') : 'output_text';
  return { type: 'message', role: 'assistant', content: [{ type, text }] };
}
