import { resolve } from 'node:path';
import type { ServiceName } from '@talkmesh/contracts';
import { UsageError } from './cli-errors.js';

/** Flags that choose the conversation provider, for `parseArgs`. */
export const PROVIDER_FLAGS = {
  provider: { type: 'string' },
  'provider-url': { type: 'string' },
  'provider-key-file': { type: 'string' },
  'provider-model': { type: 'string' },
  'provider-voice': { type: 'string' },
} as const;

export type ProviderFlags = { readonly [F in keyof typeof PROVIDER_FLAGS]?: string | undefined };

/** Settings of audio-llm-bridge by flag. */
const SETTINGS: Readonly<Record<string, Partial<Record<keyof typeof PROVIDER_FLAGS, string>>>> = {
  parrot: {},
  external: {},
  'openai-realtime': {
    'provider-url': 'TALKMESH_OPENAI_REALTIME_URL',
    'provider-key-file': 'TALKMESH_OPENAI_REALTIME_KEY_FILE',
    'provider-model': 'TALKMESH_OPENAI_REALTIME_MODEL',
    'provider-voice': 'TALKMESH_OPENAI_REALTIME_VOICE',
  },
  'gemini-live': {
    'provider-url': 'TALKMESH_GEMINI_LIVE_URL',
    'provider-key-file': 'TALKMESH_GEMINI_LIVE_KEY_FILE',
    'provider-model': 'TALKMESH_GEMINI_LIVE_MODEL',
    'provider-voice': 'TALKMESH_GEMINI_LIVE_VOICE',
  },
  cascade: {
    'provider-url': 'TALKMESH_CASCADE_URL',
    'provider-key-file': 'TALKMESH_CASCADE_KEY_FILE',
    'provider-model': 'TALKMESH_CASCADE_CHAT_MODEL',
    'provider-voice': 'TALKMESH_CASCADE_SPEECH_VOICE',
  },
};

/** Of these flags and variables a provider needs one. */
const NEEDS: Readonly<Record<string, { readonly flags: readonly (keyof ProviderFlags)[]; readonly env?: string }>> = {
  'openai-realtime': { flags: ['provider-key-file', 'provider-url'] },
  'gemini-live': { flags: ['provider-key-file', 'provider-url'] },
  cascade: { flags: ['provider-url'], env: 'TALKMESH_CASCADE_CHAT_URL' },
};

/**
 * Environment of the services for the chosen provider.
 * @param inherited environment of the services, which may configure the provider as well. @throws UsageError
 */
export function providerEnv(
  { provider, ...flags }: ProviderFlags,
  inherited: NodeJS.ProcessEnv = process.env,
): Partial<Record<ServiceName, NodeJS.ProcessEnv>> {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined) as [
    Exclude<keyof ProviderFlags, 'provider'>,
    string,
  ][];
  if (provider === undefined) {
    if (given[0] !== undefined) throw new UsageError(`--${given[0][0]} needs --provider, such as openai-realtime`);
    return {};
  }
  const settings = SETTINGS[provider];
  if (settings === undefined)
    throw new UsageError(`--provider must be one of ${Object.keys(SETTINGS).join(', ')}, not ${provider}`);
  requireConfigured(provider, { ...flags }, inherited);
  const bridge = given.map(([flag, value]) => {
    const name = settings[flag];
    if (name === undefined) throw new UsageError(`--${flag} is not an option of ${provider}`);
    return [name, flag === 'provider-key-file' ? resolve(value) : value];
  });
  return {
    gateway: { TALKMESH_DEFAULT_PROVIDER: provider },
    'audio-llm-bridge': Object.fromEntries(bridge) as NodeJS.ProcessEnv,
  };
}

/** A provider without an address or a key would refuse the first call. */
function requireConfigured(provider: string, given: ProviderFlags, inherited: NodeJS.ProcessEnv): void {
  const { flags, env } = NEEDS[provider] ?? {};
  if (flags === undefined) return;
  const bringsOwnKey =
    flags.includes('provider-key-file') && /\bkey\b/.test(inherited['TALKMESH_SESSION_CHOICES'] ?? '');
  const variables = [...flags.map((flag) => SETTINGS[provider]?.[flag as keyof typeof PROVIDER_FLAGS]), env];
  const isConfigured =
    flags.some((flag) => given[flag] !== undefined) || variables.some((name) => name !== undefined && inherited[name]);
  if (isConfigured || bringsOwnKey) return;
  throw new UsageError(
    `--provider ${provider} needs ${flags.map((flag) => `--${flag}`).join(' or ')}; docs/providers.md has examples`,
  );
}
