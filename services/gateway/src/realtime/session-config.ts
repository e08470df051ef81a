import { MeshError, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { z } from 'zod';
import { check } from '../http/problems.js';
import { createSessionBody } from '../schemas.js';
import { EventRefusal, type SessionSettings } from './client-events.js';

const MIN_RATE_HZ = 8_000;
const MAX_RATE_HZ = 48_000;

/** What a client chose, by `session.update` and by the URL. */
export interface RealtimeConfig {
  readonly provider: string | undefined;
  readonly avatar: string;
  readonly instructions: string;
  readonly voice: string;
  readonly tools: readonly { readonly name: string; readonly description: string; readonly parameters: object }[];
  readonly inputRateHz: number;
  /** False: the client says with `commit` and `response.create` when its user's turn is over. */
  readonly detectsTurns: boolean;
  /** Audio is written even while it also comes by WebRTC. */
  readonly alwaysWritesAudio: boolean;
}

/** The session of the mesh that a client wants, as REST would ask for it. @throws MeshError ARGUMENT_INVALID */
export function sessionBody({
  provider,
  avatar,
  instructions,
  voice,
  tools,
}: RealtimeConfig): z.output<typeof createSessionBody> {
  const chosen = provider === undefined ? {} : { provider };
  return check(createSessionBody, { avatar, instructions, voice, tools, ...chosen });
}

/** Parts that are fixed when the session of the mesh is opened. */
const FIXED = ['avatar', 'instructions', 'voice', 'tools'] as const;

/**
 * The configuration after a `session.update`.
 * @param isOpen whether the session of the mesh exists
 * @throws EventRefusal
 */
export function withSettings(config: RealtimeConfig, settings: SessionSettings, isOpen: boolean): RealtimeConfig {
  const { audio, avatar, instructions, tools } = settings;
  const input = audio?.input?.turn_detection;
  const detection = input === undefined ? settings.turn_detection : input;
  refuseFormats(settings);
  if (avatar?.output_protocol !== undefined && avatar.output_protocol !== 'webrtc')
    throw new EventRefusal(
      'invalid_value',
      'video comes by WebRTC only; leave output_protocol out and send session.avatar.connect',
      'session.avatar.output_protocol',
    );
  const voice = nameOf(audio?.output?.voice ?? settings.voice);
  const changed: RealtimeConfig = {
    ...config,
    ...(avatar?.character !== undefined && { avatar: avatar.character }),
    ...(avatar?.audio_deltas !== undefined && { alwaysWritesAudio: avatar.audio_deltas }),
    ...(instructions !== undefined && { instructions }),
    ...(voice !== undefined && { voice }),
    ...(tools !== undefined && {
      tools: tools.map(({ name, description = '', parameters = { type: 'object', properties: {} } }) => ({
        ...{ name, description, parameters },
      })),
    }),
    ...(detection !== undefined && { detectsTurns: detection !== null }),
    inputRateHz: inputRate(settings) ?? config.inputRateHz,
  };
  if (!isOpen) return changed;
  for (const part of FIXED)
    if (JSON.stringify(changed[part]) !== JSON.stringify(config[part]))
      throw new EventRefusal(
        'session_already_started',
        `${part} cannot change once the session has begun; send session.update before the first audio or SDP offer`,
        `session.${part}`,
      );
  return changed;
}

function nameOf(voice: SessionSettings['voice']): string | undefined {
  return typeof voice === 'object' ? (voice.id ?? voice.name) : voice;
}

function inputRate({ audio, input_audio_sampling_rate }: SessionSettings): number | undefined {
  const format = audio?.input?.format;
  const rate = (typeof format === 'object' ? format.rate : undefined) ?? input_audio_sampling_rate;
  if (rate !== undefined && (rate < MIN_RATE_HZ || rate > MAX_RATE_HZ))
    throw new EventRefusal(
      'invalid_value',
      `audio has ${MIN_RATE_HZ} to ${MAX_RATE_HZ} samples a second`,
      'session.audio.input.format.rate',
    );
  return rate;
}

function refuseFormats({ audio, input_audio_format, output_audio_format }: SessionSettings): void {
  for (const format of [audio?.input?.format, audio?.output?.format, input_audio_format, output_audio_format]) {
    const type = typeof format === 'object' ? format.type : format;
    if (type !== undefined && type !== 'audio/pcm' && type !== 'pcm16')
      throw new EventRefusal(
        'invalid_value',
        `the audio format is audio/pcm (pcm16), not ${type.slice(0, 40)}`,
        'session.audio',
      );
  }
  const output = audio?.output?.format;
  if (typeof output === 'object' && output.rate !== undefined && output.rate !== SPEECH_RATE_HZ)
    throw new EventRefusal(
      'invalid_value',
      `audio comes at ${SPEECH_RATE_HZ} samples a second`,
      'session.audio.output.format.rate',
    );
}

/** The session as the protocol describes it: what is in effect, not what was asked for. */
export function describeSession(
  id: string,
  config: RealtimeConfig,
  iceServers: readonly object[],
): Record<string, unknown> {
  const detection = config.detectsTurns
    ? { type: 'server_vad', create_response: true, interrupt_response: true }
    : null;
  const output = { type: 'audio/pcm', rate: SPEECH_RATE_HZ };
  return {
    type: 'realtime',
    object: 'realtime.session',
    id,
    model: config.provider ?? 'default',
    output_modalities: ['audio'],
    instructions: config.instructions,
    tools: config.tools.map((tool) => ({ type: 'function', ...tool })),
    tool_choice: 'auto',
    max_output_tokens: 'inf',
    audio: {
      input: {
        format: { type: 'audio/pcm', rate: config.inputRateHz },
        turn_detection: detection,
        transcription: null,
      },
      output: { format: output, voice: config.voice, speed: 1 },
    },
    avatar: {
      type: 'photo-avatar',
      character: config.avatar,
      output_protocol: 'webrtc',
      ice_servers: iceServers,
      audio_deltas: config.alwaysWritesAudio,
    },
  };
}

/** An SDP offer as text, or as Azure's clients send it: base64 of `{"type":"offer","sdp":…}`. */
export function readClientSdp(text: string): { readonly sdp: string; readonly isEncoded: boolean } {
  if (text.startsWith('v=')) return { sdp: text, isEncoded: false };
  try {
    const { sdp } = JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as { sdp?: unknown };
    if (typeof sdp === 'string') return { sdp, isEncoded: true };
  } catch {
    // Said below.
  }
  throw new MeshError(
    'SDP_INVALID',
    'the field client_sdp is neither an SDP offer nor base64 of {"type":"offer","sdp":…}',
  );
}

export function writeServerSdp(sdp: string, isEncoded: boolean): string {
  return isEncoded ? Buffer.from(JSON.stringify({ type: 'answer', sdp })).toString('base64') : sdp;
}
