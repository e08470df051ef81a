import type { LiveServerMessage } from '@google/genai';
import type { SessionChoices } from '@talkmesh/contracts';
import { openConnected, receiverOf } from '../connected-session.js';
import { ProblemReporter, type ProviderNames } from '../problem.js';
import type { Provider, ProviderOptions, ProviderOutput, ProviderSession } from '../provider.js';
import { Reconnecting } from '../reconnecting.js';
import { connectGemini, type GeminiAddress, type GeminiLink } from './connection.js';
import { GeminiConversation } from './gemini-conversation.js';
import { setupOf } from './setup.js';

export interface GeminiLiveSettings extends GeminiAddress {
  /** Voice of sessions that choose none; empty: the server's. */
  readonly voice: string;
  /** Reads the deployment's key; empty: the server needs none. @throws MeshError PROVIDER_FAILED */
  readonly readKey: () => string;
}

const NAMES: ProviderNames = {
  provider: 'gemini-live',
  keySetting: 'TALKMESH_GEMINI_LIVE_KEY_FILE',
  modelSetting: 'TALKMESH_GEMINI_LIVE_MODEL',
  urlSetting: 'TALKMESH_GEMINI_LIVE_URL',
};

/** The Live protocol of Gemini (BidiGenerateContent), spoken by Google. */
export function geminiLive(settings: GeminiLiveSettings): Provider {
  return {
    name: NAMES.provider,
    vad: 'mesh',
    source: 'voice',
    voices: 'provider',
    knownVoices: ['Puck', 'Charon', 'Kore', 'Fenrir', 'Aoede', 'Leda', 'Orus', 'Zephyr'],
    maxTurnSeconds: 900,
    open: (options, emit) => openSession(settings, options, emit),
  };
}

function openSession(
  settings: GeminiLiveSettings,
  { key: ownKey, choices: chosen, history, isTakeover, log }: ProviderOptions,
  emit: (output: ProviderOutput) => void,
): Promise<ProviderSession> {
  const key = ownKey || settings.readKey();
  const problems = new ProblemReporter(emit, [key]);
  const choices: SessionChoices = { ...chosen, voice: chosen.voice || settings.voice };
  const conversation = new GeminiConversation({
    ...{ history, emit, problems },
    isPushToTalk: choices.input === 'push-to-talk',
    nowMs: () => performance.now(),
  });
  const receive = receiverOf<LiveServerMessage | undefined>(conversation, log, (message) =>
    Object.keys(message ?? {}).join(' '),
  );
  let isResumed = false;
  const connection = new Reconnecting<GeminiLink>({
    connect: ({ ready, lost }) => {
      const { handle } = conversation;
      isResumed = handle !== undefined;
      let isUp = false;
      return connectGemini(settings, key, setupOf(choices, handle), NAMES, receive, {
        ready: (link) => {
          isUp = true;
          ready(link);
        },
        lost: (problem) => {
          if (!isUp) conversation.refused();
          // A refusal of a session to resume is no refusal of the next one without it.
          lost(!isUp && isResumed && problem.code !== 'key' ? { ...problem, severity: 'temporary' } : problem);
        },
      });
    },
    onUp: (link) => conversation.connected(link, isResumed),
    onDown: () => conversation.disconnected(),
    onConnected: (ms) => emit({ kind: 'timing', step: 'connect', ms }),
    ...{ problems, log },
  });
  return openConnected(conversation, connection, isTakeover);
}
