import { type ConversationOffer, DevicePicker, type Quality } from '@talkmesh/client';
import { byId, show } from './elements.js';
import {
  DEFAULTS,
  forgetSettings,
  keepSettings,
  loadSettings,
  providerOf,
  qualityOf,
  type Settings,
  type SettingsStorage,
  talkingProviders,
} from './settings.js';

export interface SettingsDialogOptions {
  readonly storage: SettingsStorage;
  /** What the deployment offers; undefined while that is not known. */
  offer(): ConversationOffer | undefined;
  isInCall(): boolean;
  callMicrophone(): MediaStream | undefined;
  /** Rejects when it cannot be used. */
  useMicrophone(id: string): Promise<void>;
  useSpeaker(id: string): Promise<void>;
  onChange(settings: Settings): void;
}

const PROVIDERS: Readonly<Record<string, string>> = {
  parrot: 'Parrot: repeats what you say',
  'openai-realtime': 'OpenAI Realtime: speech to speech',
  'gemini-live': 'Gemini Live: speech to speech',
  cascade: 'Cascade: speech to text, a language model, text to speech',
};
const QUALITIES: Readonly<Record<Quality, string>> = {
  fast: 'Fast: for many calls on one machine',
  balanced: 'Balanced',
  best: 'Best: fuller blinks, takes more of the machine',
};
const LANGUAGES = 'ar bn cs da de el en es fa fi fr he hi hu id it ja ko nl no pl pt ro ru sv th tr uk ur vi zh'.split(
  ' ',
);
const languageName = new Intl.DisplayNames(['en'], { type: 'language' });

interface Choice {
  readonly value: string;
  readonly text: string;
}

function fill(select: HTMLSelectElement, choices: readonly Choice[], chosen: string): void {
  select.replaceChildren(
    ...choices.map(({ value, text }) => new Option(text, value, value === chosen, value === chosen)),
  );
}

/** The dialog "Settings". What is chosen holds at once, or with the next call, and is kept in this browser. */
export class SettingsDialog {
  readonly #options: SettingsDialogOptions;
  readonly #dialog = byId<HTMLDialogElement>('settings-dialog');
  readonly #provider = byId<HTMLSelectElement>('settings-provider');
  readonly #voiceList = byId<HTMLSelectElement>('settings-voice-list');
  readonly #voiceText = byId<HTMLInputElement>('settings-voice-text');
  readonly #language = byId<HTMLSelectElement>('settings-language');
  readonly #pushToTalk = byId<HTMLInputElement>('settings-push-to-talk');
  readonly #quality = byId<HTMLSelectElement>('settings-quality');
  readonly #size = byId<HTMLSelectElement>('settings-size');
  readonly #captions = byId<HTMLInputElement>('settings-captions');
  readonly #chosen: { microphone: string; speaker: string };
  readonly #devices: DevicePicker;
  #settings: Settings;

  constructor(options: SettingsDialogOptions) {
    this.#options = options;
    this.#settings = loadSettings(options.storage);
    const { microphone, speaker } = this.#settings;
    this.#chosen = { microphone, speaker };
    this.#devices = new DevicePicker({
      parts: {
        microphone: byId('settings-microphone'),
        level: byId('settings-level'),
        test: byId('settings-test'),
        speaker: byId('settings-speaker'),
        speakerRow: byId('settings-speaker-row'),
        note: byId('settings-device-note'),
      },
      chosen: this.#chosen,
      opensMicrophone: true,
      callMicrophone: () => options.callMicrophone(),
      onMicrophone: (id) => this.#useDevice('microphone', id),
      onSpeaker: (id) => this.#useDevice('speaker', id),
    });
    byId('settings-open').addEventListener('click', () => this.open());
    for (const id of ['settings-close', 'settings-done'])
      byId(id).addEventListener('click', () => this.#dialog.close());
    byId('settings-reset').addEventListener('click', () => void this.#reset());
    this.#dialog.addEventListener('click', (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
    this.#dialog.addEventListener('close', () => this.#devices.close());
    this.#provider.addEventListener('change', () => this.#change({ provider: this.#provider.value, voice: '' }));
    this.#voiceList.addEventListener('change', () => this.#change({ voice: this.#voiceList.value }));
    this.#voiceText.addEventListener('change', () => {
      if (this.#voiceText.reportValidity()) this.#change({ voice: this.#voiceText.value.trim() });
    });
    this.#language.addEventListener('change', () => this.#change({ language: this.#language.value }));
    this.#pushToTalk.addEventListener('change', () =>
      this.#change({ input: this.#pushToTalk.checked ? 'push-to-talk' : 'voice-activity' }),
    );
    this.#quality.addEventListener('change', () => this.#change({ quality: this.#quality.value as Quality }));
    this.#size.addEventListener('change', () => this.#change({ size: Number(this.#size.value) }));
    this.#captions.addEventListener('change', () => this.#change({ captions: this.#captions.checked }));
  }

  get settings(): Settings {
    return this.#settings;
  }

  open(): void {
    if (this.#dialog.open) return;
    this.#render();
    this.#dialog.showModal();
    void this.#devices.open();
  }

  /** What is offered, or the microphone of the call, has changed. */
  refresh(): void {
    this.#render();
    void this.#devices.refresh();
  }

  async #useDevice(kind: 'microphone' | 'speaker', id: string): Promise<void> {
    await (kind === 'microphone' ? this.#options.useMicrophone(id) : this.#options.useSpeaker(id));
    this.#chosen[kind] = id;
    this.#change({ [kind]: id });
  }

  #change(change: Partial<Settings>): void {
    this.#settings = { ...this.#settings, ...change };
    keepSettings(this.#options.storage, this.#settings);
    this.#render();
    this.#options.onChange(this.#settings);
  }

  async #reset(): Promise<void> {
    const { microphone, speaker } = this.#settings;
    this.#settings = DEFAULTS;
    Object.assign(this.#chosen, { microphone: '', speaker: '' });
    forgetSettings(this.#options.storage);
    this.#render();
    this.#options.onChange(DEFAULTS);
    if (microphone !== '') await this.#options.useMicrophone('').catch(() => undefined);
    if (speaker !== '') await this.#options.useSpeaker('').catch(() => undefined);
    await this.#devices.refresh();
  }

  #render(): void {
    const offer = this.#options.offer();
    const { voice, language, input, captions } = this.#settings;
    this.#captions.checked = captions;
    show(byId('settings-next-call'), this.#options.isInCall());
    show(byId('settings-unknown'), offer === undefined || talkingProviders(offer).length === 0);
    show(byId('settings-choices'), offer !== undefined && talkingProviders(offer).length > 0);
    const qualities = offer?.quality?.choices ?? [];
    show(byId('settings-quality-row'), qualities.length > 1);
    const sizes = offer?.size?.choices ?? [];
    show(byId('settings-size-row'), sizes.length > 1);
    if (offer === undefined) return;
    const automatic = { value: '0', text: 'Automatic: as large as it is shown' };
    const named = sizes.map(({ size, width, height }) => ({ value: String(size), text: `${width} x ${height}` }));
    fill(this.#size, [automatic, ...named], String(this.#settings.size));
    const offered = qualities.map(({ name }) => ({ value: name, text: QUALITIES[name] }));
    fill(this.#quality, offered, qualityOf(this.#settings, offer) ?? '');
    const provider = providerOf(this.#settings, offer);
    const names = talkingProviders(offer).map(({ name }) => name);
    if (provider !== undefined && !names.includes(provider.name)) names.unshift(provider.name);
    const labelled = names.map((name) => ({ value: name, text: PROVIDERS[name] ?? name }));
    fill(this.#provider, labelled, provider?.name ?? '');
    const voices = provider?.voices ?? [];
    show(byId('settings-voice-row'), offer.choices.includes('voice'));
    const isList = provider?.onlyTheseVoices === true;
    show(this.#voiceList, isList);
    show(this.#voiceText, !isList);
    byId<HTMLLabelElement>('settings-voice-label').htmlFor = isList ? this.#voiceList.id : this.#voiceText.id;
    const byDefault = { value: '', text: "The provider's own" };
    fill(this.#voiceList, [byDefault, ...voices.map((name) => ({ value: name, text: name }))], voice);
    byId('settings-voices').replaceChildren(...voices.map((name) => new Option(name, name)));
    this.#voiceText.value = voice;
    show(byId('settings-language-row'), offer.choices.includes('language'));
    const tags = LANGUAGES.includes(language) || language === '' ? LANGUAGES : [language, ...LANGUAGES];
    const languages = tags.map((tag) => ({ value: tag, text: languageName.of(tag) ?? tag }));
    languages.sort((a, b) => a.text.localeCompare(b.text));
    fill(this.#language, [{ value: '', text: 'Automatic' }, ...languages], language);
    this.#pushToTalk.checked = input === 'push-to-talk';
    show(byId('settings-input-row'), provider?.input.includes('push-to-talk') === true);
  }
}
