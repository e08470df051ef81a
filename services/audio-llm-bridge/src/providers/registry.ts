import { MeshError } from '@talkmesh/contracts';
import { envName, readSecret } from '@talkmesh/service-kit';
import { type Config, cascadeUrls, isRealtimeConfigured } from '../config.js';
import { Espeak, espeakOptions } from '../tts/espeak.js';
import type { Endpoint } from './cascade/endpoint.js';
import { external } from './external.js';
import { parrot } from './parrot.js';
import type { Provider } from './provider.js';

interface Entry {
  readonly name: string;
  /** Official clients are large, so they are loaded only where they are offered. */
  readonly load: () => Promise<Provider>;
  readonly isConfigured: boolean;
  /** What to set so that it is configured. */
  readonly setting: string;
}

/** The conversation providers of this deployment. */
export class ProviderRegistry {
  readonly #offered: ReadonlyMap<string, Provider>;

  private constructor(offered: readonly Provider[]) {
    this.#offered = new Map(offered.map((provider) => [provider.name, provider]));
  }

  /** @throws MeshError CONFIG_INVALID when the list of allowed providers names one that does not exist or is not configured */
  static async load(config: Config): Promise<ProviderRegistry> {
    const entries = new Map(entriesOf(config).map((entry) => [entry.name, entry]));
    const wanted =
      config.providers.length > 0
        ? config.providers
        : [...entries].filter(([, { isConfigured }]) => isConfigured).map(([name]) => name);
    const problems = wanted.flatMap((name) => problemOf(name, entries));
    if (problems.length > 0)
      throw new MeshError('CONFIG_INVALID', `TALKMESH_PROVIDERS is not valid:\n  ${problems.join('\n  ')}`);
    const offered = wanted.flatMap((name) => entries.get(name) ?? []);
    return new ProviderRegistry(await Promise.all(offered.map(({ load }) => load())));
  }

  get names(): readonly string[] {
    return [...this.#offered.keys()];
  }

  get all(): readonly Provider[] {
    return [...this.#offered.values()];
  }

  /** @throws MeshError PROVIDER_UNKNOWN with the names of all that are offered */
  find(name: string): Provider {
    const provider = this.#offered.get(name);
    if (provider !== undefined) return provider;
    throw new MeshError(
      'PROVIDER_UNKNOWN',
      `There is no conversation provider "${name.slice(0, 40)}" here. Use one of: ${this.names.join(', ')}. TALKMESH_PROVIDERS and the settings of each provider decide which there are.`,
    );
  }
}

function problemOf(name: string, entries: ReadonlyMap<string, Entry>): string[] {
  const entry = entries.get(name);
  if (entry === undefined) return [`there is no provider "${name}"; the names are ${[...entries.keys()].join(', ')}`];
  return entry.isConfigured ? [] : [`${name} needs ${entry.setting}`];
}

function entriesOf(config: Config): Entry[] {
  return [
    {
      name: 'parrot',
      load: async () => parrot({ semitones: config.parrotSemitones }),
      ...{ isConfigured: true, setting: '' },
    },
    { name: 'external', load: async () => external, isConfigured: true, setting: '' },
    {
      name: 'openai-realtime',
      load: () => openAiRealtimeOf(config),
      isConfigured: isRealtimeConfigured(config),
      setting: 'TALKMESH_OPENAI_REALTIME_KEY_FILE, or TALKMESH_OPENAI_REALTIME_URL of a server that needs no key',
    },
    {
      name: 'gemini-live',
      load: () => geminiLiveOf(config),
      isConfigured:
        config.geminiLiveUrl !== '' || config.geminiLiveKeyFile !== '' || config.sessionChoices.includes('key'),
      setting: 'TALKMESH_GEMINI_LIVE_KEY_FILE, or TALKMESH_GEMINI_LIVE_URL of a server that needs no key',
    },
    {
      name: 'cascade',
      load: () => cascadeOf(config),
      isConfigured: cascadeUrls(config).chatUrl !== '',
      setting: 'TALKMESH_CASCADE_URL, or TALKMESH_CASCADE_CHAT_URL and TALKMESH_CASCADE_TRANSCRIPTION_URL',
    },
  ];
}

async function openAiRealtimeOf(config: Config): Promise<Provider> {
  const { openAiRealtime } = await import('./openai-realtime/openai-realtime.js');
  return openAiRealtime({
    url: config.openaiRealtimeUrl || 'https://api.openai.com/v1',
    model: config.openaiRealtimeModel,
    voice: config.openaiRealtimeVoice,
    keyHeader: config.openaiRealtimeKeyHeader,
    connectDeadlineMs: config.providerDeadlineMs,
    turnDetection: config.openaiRealtimeTurnDetection,
    transcriptionModel: nameOrOff(config.openaiRealtimeTranscriptionModel),
    speed: config.openaiRealtimeSpeed,
    inputRateHz: config.openaiRealtimeInputRateHz,
    readKey: keyReader('openaiRealtimeKeyFile', config.openaiRealtimeKeyFile),
  });
}

async function geminiLiveOf(config: Config): Promise<Provider> {
  const { geminiLive } = await import('./gemini-live/gemini-live.js');
  return geminiLive({
    url: config.geminiLiveUrl,
    model: config.geminiLiveModel,
    voice: config.geminiLiveVoice,
    connectDeadlineMs: config.providerDeadlineMs,
    readKey: keyReader('geminiLiveKeyFile', config.geminiLiveKeyFile),
  });
}

async function cascadeOf(config: Config): Promise<Provider> {
  const [{ cascade }, { HttpSpeech }] = await Promise.all([
    import('./cascade/cascade.js'),
    import('./cascade/http-speech.js'),
  ]);
  const urls = cascadeUrls(config);
  const endpoint = (step: 'Transcription' | 'Chat' | 'Speech', url: string): Endpoint => {
    const own = config[`cascade${step}KeyFile`];
    const setting = own === '' ? 'cascadeKeyFile' : `cascade${step}KeyFile`;
    return {
      url,
      model: config[`cascade${step}Model`],
      names: {
        provider: `cascade (${step.toLowerCase()})`,
        keySetting: envName(setting),
        modelSetting: envName(`cascade${step}Model`),
        urlSetting: envName(`cascade${step}Url`),
      },
      readKey: keyReader(setting, own || config.cascadeKeyFile),
    };
  };
  const usesEspeak = config.cascadeSpeechModel === 'espeak-ng';
  const http = {
    endpoint: endpoint('Speech', urls.speechUrl),
    ...{ format: config.cascadeSpeechFormat, rateHz: config.cascadeSpeechRateHz },
    ...{ voice: config.cascadeSpeechVoice, speed: config.cascadeSpeechSpeed, deadlineMs: config.ttsDeadlineMs },
  };
  return cascade({
    transcription: endpoint('Transcription', urls.transcriptionUrl),
    chat: endpoint('Chat', urls.chatUrl),
    voices: usesEspeak ? 'text-to-speech' : 'provider',
    synthesizer: (key) => (usesEspeak ? new Espeak(espeakOptions(config)) : new HttpSpeech({ ...http, key })),
    readSpeechKey: http.endpoint.readKey,
    deadlineMs: config.cascadeDeadlineMs,
  });
}

/** An empty variable counts as not set, so a model is left out by the word `off`. */
const nameOrOff = (name: string): string => (name === 'off' ? '' : name);

/** Reads the file for every session, so that a key can be replaced while the bridge runs. */
function keyReader(setting: string, path: string): () => string {
  return () => {
    const problems: string[] = [];
    const key = readSecret(setting, path, problems);
    if (problems.length > 0) throw new MeshError('PROVIDER_FAILED', `The key cannot be read. ${problems.join('. ')}`);
    return key ?? '';
  };
}
