import type { ConversationOffer } from '@talkmesh/contracts';
import type { Config } from './config.js';
import type { Provider } from './providers/provider.js';

/** @param voices `PROVIDER/VOICE` @returns the voices of this provider that sessions may use; empty: all */
export const allowedVoices = (voices: readonly string[], provider: string): string[] =>
  voices.filter((voice) => voice.startsWith(`${provider}/`)).map((voice) => voice.slice(provider.length + 1));

/** What sessions of this bridge may choose, for the pages that let their users choose. */
export function offerOf(
  providers: readonly Pick<Provider, 'name' | 'vad' | 'knownVoices'>[],
  { voices, sessionChoices }: Pick<Config, 'voices' | 'sessionChoices'>,
): ConversationOffer {
  return {
    providers: providers.map(({ name, vad, knownVoices }) => {
      const allowed = allowedVoices(voices, name);
      return {
        name,
        input: vad === 'none' ? [] : ['voice-activity', 'push-to-talk'],
        voices: allowed.length > 0 ? allowed : [...knownVoices],
        onlyTheseVoices: allowed.length > 0,
      };
    }),
    choices: [...sessionChoices],
  };
}
