import type { ConversationOffer, Quality, SessionOptions } from '@talkmesh/client';

type Input = NonNullable<SessionOptions['input']>;

/** What the user has chosen in this browser. Empty: what the deployment, or the system, takes by default. */
export interface Settings {
  readonly provider: string;
  readonly voice: string;
  readonly language: string;
  readonly input: Input;
  readonly quality: Quality | '';
  /** Width of the video, pixels; 0: as large as it is shown. */
  readonly size: number;
  readonly captions: boolean;
  /** Ids of devices. */
  readonly microphone: string;
  readonly speaker: string;
}

export const DEFAULTS: Settings = {
  provider: '',
  voice: '',
  language: '',
  input: 'voice-activity',
  quality: '',
  size: 0,
  captions: true,
  microphone: '',
  speaker: '',
};

const QUALITIES: readonly unknown[] = ['fast', 'balanced', 'best'] satisfies Quality[];
const STORED_AS = 'talkmesh.settings';
const MAX_CHARACTERS = 500;
/** BCP 47, as `POST /v1/sessions` takes it. */
const LANGUAGE = /^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/;

export type SettingsStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** What is stored in this browser. What is damaged or of another version is left out. */
export function loadSettings(storage: SettingsStorage): Settings {
  let stored: Partial<Record<keyof Settings, unknown>>;
  try {
    stored = Object(JSON.parse(storage.getItem(STORED_AS) ?? '{}'));
  } catch {
    return DEFAULTS;
  }
  const text = (key: 'provider' | 'voice' | 'language' | 'microphone' | 'speaker'): string => {
    const value = stored[key];
    return typeof value === 'string' && value.length <= MAX_CHARACTERS ? value : '';
  };
  return {
    provider: text('provider'),
    voice: text('voice'),
    language: LANGUAGE.test(text('language')) ? text('language') : '',
    input: stored.input === 'push-to-talk' ? 'push-to-talk' : 'voice-activity',
    quality: QUALITIES.includes(stored.quality) ? (stored.quality as Quality) : '',
    size: typeof stored.size === 'number' && stored.size > 0 ? stored.size : 0,
    captions: stored.captions !== false,
    microphone: text('microphone'),
    speaker: text('speaker'),
  };
}

export function keepSettings(storage: SettingsStorage, settings: Settings): void {
  storage.setItem(STORED_AS, JSON.stringify(settings));
}

export function forgetSettings(storage: SettingsStorage): void {
  storage.removeItem(STORED_AS);
}

export type OfferedProvider = ConversationOffer['providers'][number];

/** Providers that a caller can talk with; the others wait for a program that speaks. */
export const talkingProviders = ({ providers }: ConversationOffer): OfferedProvider[] =>
  providers.filter(({ input }) => input.length > 0);

/** The provider of the next call: the chosen one, where the deployment has it, or its default. */
export const providerOf = ({ provider }: Settings, offer: ConversationOffer): OfferedProvider | undefined =>
  offer.providers.find(({ name }) => name === provider) ?? offer.providers.find(({ name }) => name === offer.default);

/** The quality of the next call: the chosen one, where the deployment has it, or its default; undefined: an older gateway has no choice. */
export const qualityOf = ({ quality }: Settings, offer: ConversationOffer): Quality | undefined =>
  offer.quality?.choices.find(({ name }) => name === quality)?.name ?? offer.quality?.default;

/** Video that is shown up to this much larger than it is does not look soft. */
const ENLARGED = 1.35;

/**
 * The size of the next call: the chosen one, where the deployment has it, or the smallest that is not soft at the width that it is shown.
 * @param pixels that width; 0: the deployment's default
 * @returns undefined: an older gateway has no choice
 */
export function sizeOf({ size }: Settings, { size: offer }: ConversationOffer, pixels: number): number | undefined {
  if (offer === undefined) return undefined;
  const chosen = offer.choices.find((choice) => choice.size === size);
  if (chosen !== undefined) return chosen.size;
  if (pixels === 0) return offer.default;
  const enough = offer.choices.find((choice) => choice.width * ENLARGED >= pixels) ?? offer.choices.at(-1);
  return enough?.size ?? offer.default;
}

/**
 * The options of the next call, as far as the deployment allows what was chosen. Without an offer: its defaults.
 * @param pixels width at which the picture is shown; 0: not known
 */
export function sessionChoices(
  settings: Settings,
  offer: ConversationOffer | undefined,
  pixels: number,
): Pick<SessionOptions, 'provider' | 'voice' | 'language' | 'input' | 'quality' | 'size'> {
  if (offer === undefined) return {};
  const provider = providerOf(settings, offer);
  const { voice, language, input } = settings;
  const quality = qualityOf(settings, offer);
  const size = sizeOf(settings, offer, pixels);
  const hasVoice = provider?.onlyTheseVoices !== true || provider.voices.includes(voice);
  return {
    ...(provider !== undefined && provider.name !== offer.default && { provider: provider.name }),
    ...(voice !== '' && offer.choices.includes('voice') && hasVoice && { voice }),
    ...(language !== '' && offer.choices.includes('language') && { language }),
    ...(provider?.input.includes(input) === true && input !== 'voice-activity' && { input }),
    ...(quality !== undefined && quality !== offer.quality?.default && { quality }),
    ...(size !== undefined && size !== offer.size?.default && { size }),
  };
}
