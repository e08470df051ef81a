import { defineConfig, envName, readSecret } from '@talkmesh/service-kit';
import { z } from 'zod';
import { SPEECH_FORMATS } from './providers/cascade/http-speech.js';
import { KEY_HEADERS } from './providers/openai-realtime/connection.js';
import { TURN_DETECTIONS } from './providers/openai-realtime/session-update.js';

const list = z
  .string()
  .default('')
  .transform((text) => text.split(/[\s,]+/).filter((item) => item !== ''));
const ms = (defaultMs: number, minMs: number, maxMs: number) =>
  z.coerce.number().int().min(minMs).max(maxMs).default(defaultMs);
const address = (protocols: string) =>
  z
    .string()
    .regex(
      new RegExp(`^$|^(${protocols})://[^\\s/?#@]+[^\\s?#@]*$`),
      `is an address with ${protocols.replaceAll('|', ' or ')}, without a key`,
    )
    .transform((url) => url.replace(/\/+$/, ''))
    .default('');
const file = z.string().default('');

/** What a session may choose for itself. */
const CHOICES = ['instructions', 'voice', 'language', 'tools', 'key'] as const;
export type Choice = (typeof CHOICES)[number];

/** @throws MeshError CONFIG_INVALID listing every problem; never contains a key */
export const parseConfig = defineConfig(
  {
    capacity: z.coerce.number().int().min(1).max(10_000).default(64),
    bargeIn: z.stringbool().default(true),
    /** User speech that begins within this time after a turn became audible is treated as its echo, milliseconds. */
    bargeInGuardMs: ms(300, 0, 5000),
    /** Shorter user speech, such as a cough, does not interrupt the avatar: it continues where it stopped, milliseconds. */
    bargeInSpeechMs: ms(300, 0, 1500),
    /** User speech that goes on for this long interrupts, milliseconds. Longer than TALKMESH_VAD_STOP_MS of audio-ingest and the setting above together. */
    bargeInHoldMs: ms(1500, 100, 1700),
    /** Whether words that only show that the user listens, such as "mhm", interrupt, where the provider tells the words before it answers. */
    backChannel: z.enum(['ignore', 'interrupt']).default('ignore'),
    /** Longest turn, seconds; 0 means the provider's own limit. */
    maxTurnSeconds: z.coerce.number().min(0).max(36_000).default(0),
    /** Largest amount of speech that is sent and not yet played, milliseconds. */
    speechAheadMs: ms(10_000, 1000, 60_000),
    parrotSemitones: z.coerce.number().min(-12).max(12).default(4),
    ttsCommand: z.string().min(1).default('espeak-ng'),
    ttsVoice: z.string().default('en-us'),
    ttsWordsPerMinute: z.coerce.number().int().min(80).max(450).default(160),
    ttsDeadlineMs: ms(20_000, 100, 120_000),

    /** Providers that sessions may use; empty: all that are configured. */
    providers: list,
    /** What sessions may choose. `key`: sessions may bring a key of their own. */
    sessionChoices: z
      .string()
      .default('instructions,voice,language,tools')
      .transform((text) => text.split(/[\s,]+/).filter((item) => item !== ''))
      .pipe(z.array(z.enum(CHOICES))),
    /** Voices that sessions may choose, `PROVIDER/VOICE`, separated by commas; providers without any here take every voice. */
    voices: list.refine((voices) => voices.every((voice) => /^[a-z0-9-]+\/[\w+./:-]{1,80}$/.test(voice)), {
      message: 'are names such as openai-realtime/marin, separated by commas',
    }),
    /** Instructions of sessions that bring none. */
    instructions: z.string().max(20_000).default('You are talking with the user by voice. Keep your answers short.'),
    /** How long a tool call waits for the answer of the embedding product. */
    toolDeadlineMs: ms(10_000, 100, 300_000),
    /** How long a provider may take until a session can begin. */
    providerDeadlineMs: ms(8000, 100, 60_000),

    /** Base address; empty: OpenAI's. */
    openaiRealtimeUrl: address('https|http|wss|ws'),
    openaiRealtimeKeyFile: file,
    openaiRealtimeKeyHeader: z.enum(KEY_HEADERS).default('authorization'),
    openaiRealtimeModel: z.string().min(1).max(200).default('gpt-realtime-2.1'),
    openaiRealtimeVoice: z.string().max(80).default(''),
    openaiRealtimeTurnDetection: z.enum(TURN_DETECTIONS).default('server_vad'),
    /** `off`: no transcripts of the user. */
    openaiRealtimeTranscriptionModel: z.string().max(200).default('gpt-4o-mini-transcribe'),
    openaiRealtimeSpeed: z.coerce.number().min(0.25).max(1.5).default(1),
    openaiRealtimeInputRateHz: z.coerce.number().int().min(8000).max(48_000).default(24_000),

    /** Base address; empty: Google's. */
    geminiLiveUrl: address('https|http'),
    geminiLiveKeyFile: file,
    geminiLiveModel: z.string().min(1).max(200).default('gemini-live-2.5-flash-preview'),
    geminiLiveVoice: z.string().max(80).default(''),

    /** Base address of all three services of a cascade, for those that have none of their own. */
    cascadeUrl: address('https|http'),
    cascadeKeyFile: file,
    cascadeTranscriptionUrl: address('https|http'),
    cascadeTranscriptionKeyFile: file,
    cascadeTranscriptionModel: z.string().min(1).max(200).default('whisper-1'),
    cascadeChatUrl: address('https|http'),
    cascadeChatKeyFile: file,
    cascadeChatModel: z.string().max(200).default(''),
    cascadeSpeechUrl: address('https|http'),
    cascadeSpeechKeyFile: file,
    /** `espeak-ng`: the program of this host speaks. */
    cascadeSpeechModel: z.string().min(1).max(200).default('espeak-ng'),
    cascadeSpeechVoice: z.string().max(80).default('alloy'),
    cascadeSpeechFormat: z.enum(SPEECH_FORMATS).default('pcm'),
    /** Sample rate of `pcm`; `wav` names its own. */
    cascadeSpeechRateHz: z.coerce.number().int().min(8000).max(96_000).default(24_000),
    /** How long one of the services may take to begin its answer, and be silent in the middle of it. */
    cascadeDeadlineMs: ms(20_000, 100, 120_000),
    cascadeSpeechSpeed: z.coerce.number().min(0.25).max(4).default(1),
  },
  (config) => {
    const problems: string[] = [];
    for (const key of KEY_FILES) readSecret(key, config[key], problems);
    const { chatUrl, transcriptionUrl, speechUrl } = cascadeUrls(config);
    if (chatUrl !== '' || transcriptionUrl !== '') {
      if (chatUrl === '') problems.push(`${envName('cascadeChatUrl')} or ${envName('cascadeUrl')} must be set`);
      if (transcriptionUrl === '')
        problems.push(`${envName('cascadeTranscriptionUrl')} or ${envName('cascadeUrl')} must be set`);
      if (config.cascadeChatModel === '') problems.push(`${envName('cascadeChatModel')} must name the language model`);
      if (config.cascadeSpeechModel !== 'espeak-ng' && speechUrl === '')
        problems.push(`${envName('cascadeSpeechUrl')} or ${envName('cascadeUrl')} must be set for this speech model`);
    }
    const isUsed = isRealtimeConfigured(config);
    if (isUsed && !config.bargeIn && config.openaiRealtimeTurnDetection !== 'mesh')
      problems.push(
        `${envName('bargeIn')}=false needs ${envName('openaiRealtimeTurnDetection')}=mesh, because a server that detects speech answers while the avatar still speaks`,
      );
    return problems;
  },
);
export type Config = ReturnType<typeof parseConfig>;

const KEY_FILES = [
  'openaiRealtimeKeyFile',
  'geminiLiveKeyFile',
  'cascadeKeyFile',
  'cascadeTranscriptionKeyFile',
  'cascadeChatKeyFile',
  'cascadeSpeechKeyFile',
] as const;

interface CascadeUrls {
  readonly cascadeUrl: string;
  readonly cascadeTranscriptionUrl: string;
  readonly cascadeChatUrl: string;
  readonly cascadeSpeechUrl: string;
}

/** Addresses of the three services; empty where none is set. */
export function cascadeUrls(config: CascadeUrls): Record<'transcriptionUrl' | 'chatUrl' | 'speechUrl', string> {
  return {
    transcriptionUrl: config.cascadeTranscriptionUrl || config.cascadeUrl,
    chatUrl: config.cascadeChatUrl || config.cascadeUrl,
    speechUrl: config.cascadeSpeechUrl || config.cascadeUrl,
  };
}

interface RealtimeSettings {
  readonly openaiRealtimeUrl: string;
  readonly openaiRealtimeKeyFile: string;
  readonly sessionChoices: readonly Choice[];
}

export function isRealtimeConfigured(config: RealtimeSettings): boolean {
  const { openaiRealtimeUrl, openaiRealtimeKeyFile, sessionChoices } = config;
  return openaiRealtimeUrl !== '' || openaiRealtimeKeyFile !== '' || sessionChoices.includes('key');
}
