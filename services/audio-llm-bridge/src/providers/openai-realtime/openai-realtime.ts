import { openConnected, receiverOf } from '../connected-session.js';
import { ProblemReporter, type ProviderNames } from '../problem.js';
import type { Provider, ProviderOptions, ProviderOutput, ProviderSession } from '../provider.js';
import { Reconnecting } from '../reconnecting.js';
import { connectRealtime, type RealtimeAddress, type RealtimeLink } from './connection.js';
import { RealtimeConversation } from './realtime-conversation.js';
import type { RealtimeEvent } from './server-events.js';
import type { SessionSettings } from './session-update.js';

export interface OpenAiRealtimeSettings extends SessionSettings, RealtimeAddress {
  /** Voice of sessions that choose none; empty: the server's. */
  readonly voice: string;
  /** Reads the deployment's key; empty: the server needs none. @throws MeshError PROVIDER_FAILED */
  readonly readKey: () => string;
}

const NAMES: ProviderNames = {
  provider: 'openai-realtime',
  keySetting: 'TALKMESH_OPENAI_REALTIME_KEY_FILE',
  modelSetting: 'TALKMESH_OPENAI_REALTIME_MODEL',
  urlSetting: 'TALKMESH_OPENAI_REALTIME_URL',
};

/** The OpenAI Realtime protocol, spoken by OpenAI, Azure and a number of compatible servers. */
export function openAiRealtime(settings: OpenAiRealtimeSettings): Provider {
  return {
    name: NAMES.provider,
    vad: settings.turnDetection === 'mesh' ? 'mesh' : 'provider',
    source: 'voice',
    voices: 'provider',
    knownVoices: ['marin', 'cedar', 'alloy', 'ash', 'ballad', 'coral', 'echo', 'sage', 'shimmer', 'verse'],
    maxTurnSeconds: 900,
    open: (options, emit) => openSession(settings, options, emit),
  };
}

function openSession(
  deployment: OpenAiRealtimeSettings,
  { key: ownKey, choices: chosen, history, isTakeover, log }: ProviderOptions,
  emit: (output: ProviderOutput) => void,
): Promise<ProviderSession> {
  // With push-to-talk the program finds the turns, whatever the deployment prefers.
  const isPushToTalk = chosen.input === 'push-to-talk';
  const settings = isPushToTalk ? { ...deployment, turnDetection: 'mesh' as const } : deployment;
  const key = ownKey || settings.readKey();
  const problems = new ProblemReporter(emit, [key]);
  const choices = { ...chosen, voice: chosen.voice || settings.voice };
  const conversation = new RealtimeConversation({
    ...{ settings, choices, names: NAMES, history, emit, problems },
    nowMs: () => performance.now(),
  });
  const receive = receiverOf<RealtimeEvent>(conversation, log, ({ kind }) => kind);
  const connection = new Reconnecting<RealtimeLink>({
    connect: (handlers) => connectRealtime(settings, key, NAMES, receive, handlers),
    onUp: ({ created, send }) => conversation.connected(created, send),
    onDown: () => conversation.disconnected(),
    onConnected: (ms) => emit({ kind: 'timing', step: 'connect', ms }),
    ...{ problems, log },
  });
  return openConnected(conversation, connection, isTakeover);
}
