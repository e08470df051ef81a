import { type AudioDevice, canChooseSpeaker, listAudioDevices, watchLevel } from './devices.js';
import { TalkMeshError } from './http.js';
import { MicrophoneOpener, stopTracks } from './microphone.js';

/** The elements of a device picker. `level` has the role `meter`; its custom property `--level` is 0 to 1. */
export interface DevicePickerParts {
  readonly microphone: HTMLSelectElement;
  readonly level: HTMLElement;
  /** Opens the microphone, so that the level is shown and the browser tells the names. Hidden when it is open. */
  readonly test: HTMLButtonElement;
  readonly speaker: HTMLSelectElement;
  /** What is hidden where the browser cannot choose the speaker. */
  readonly speakerRow: HTMLElement;
  /** What is wrong, in words. */
  readonly note: HTMLElement;
}

export interface DevicePickerOptions {
  readonly parts: DevicePickerParts;
  /** Ids of the chosen devices; empty: those that the system uses. */
  readonly chosen: { readonly microphone: string; readonly speaker: string };
  /** Whether `open()` opens the microphone where the user has allowed it before; otherwise only the button does. Set it only where a press of the user opens the picker. */
  readonly opensMicrophone: boolean;
  /** What the call records now; undefined: no microphone is open. */
  callMicrophone(): MediaStream | undefined;
  /** Rejects when it cannot be used. */
  onMicrophone(id: string): Promise<void>;
  onSpeaker(id: string): Promise<void>;
}

const SYSTEM = 'System default';
const ABSENT = 'Chosen device (not connected)';

/** Lets the user choose microphone and speaker, before and in a call, and see whether the microphone hears anything. */
export class DevicePicker {
  readonly #options: DevicePickerOptions;
  readonly #opener = new MicrophoneOpener(navigator.mediaDevices);
  #isOpen = false;
  /** Only for the meter, when no call has the microphone open. */
  #own: MediaStream | undefined;
  #stopMeter: (() => void) | undefined;
  #measured: MediaStream | undefined;
  /** Why the last choice failed. */
  #problem = '';

  constructor(options: DevicePickerOptions) {
    this.#options = options;
    const { parts } = options;
    parts.test.addEventListener('click', () => void this.#run(() => this.#openOwn(parts.microphone.value)));
    parts.microphone.addEventListener('change', () => void this.#run(() => this.#chooseMicrophone()));
    parts.speaker.addEventListener('change', () => void this.#run(() => options.onSpeaker(parts.speaker.value)));
    // Where the page is not served over https, there are no devices.
    navigator.mediaDevices?.addEventListener('devicechange', () => void this.refresh());
  }

  /** Shows the devices, and the level of a microphone that is open or that it may open. */
  async open(): Promise<void> {
    this.#isOpen = true;
    this.#problem = '';
    await this.refresh();
    if (this.#options.callMicrophone() === undefined && (await this.#mayOpen()) && this.#isOpen)
      await this.#run(() => this.#openOwn(this.#options.parts.microphone.value));
  }

  close(): void {
    this.#isOpen = false;
    this.#closeOwn();
    this.#measure(undefined);
  }

  /** Devices, the choice, or the microphone of the call have changed. Does nothing while it is closed. */
  async refresh(): Promise<void> {
    if (!this.#isOpen) return;
    const { parts, chosen, callMicrophone } = this.#options;
    const { mediaDevices } = navigator;
    const { microphones, speakers } =
      mediaDevices === undefined ? { microphones: [], speakers: [] } : await listAudioDevices(mediaDevices);
    if (!this.#isOpen) return;
    fill(parts.microphone, microphones, chosen.microphone);
    fill(parts.speaker, speakers, chosen.speaker);
    parts.speakerRow.hidden = !canChooseSpeaker();
    const ofCall = callMicrophone();
    if (ofCall !== undefined) this.#closeOwn();
    this.#measure(ofCall ?? this.#own);
    parts.test.hidden = this.#measured !== undefined;
    const isAbsent = (list: readonly AudioDevice[], id: string): boolean =>
      id !== '' && list.length > 0 && !list.some((device) => device.id === id);
    const absent = isAbsent(microphones, chosen.microphone)
      ? absentText('microphone')
      : isAbsent(speakers, chosen.speaker)
        ? absentText('speaker')
        : '';
    const note = this.#problem || absent;
    parts.note.textContent = note;
    parts.note.hidden = note === '';
  }

  async #chooseMicrophone(): Promise<void> {
    const { parts, callMicrophone, onMicrophone } = this.#options;
    await onMicrophone(parts.microphone.value);
    const isOpen = this.#own !== undefined || this.#opener.isOpening;
    if (callMicrophone() === undefined && (isOpen || (await this.#mayOpen())))
      await this.#openOwn(parts.microphone.value);
  }

  async #openOwn(id: string): Promise<void> {
    this.#closeOwn();
    // It may have been closed while the choice was made.
    if (!this.#isOpen) return;
    const stream = await this.#opener.open(id);
    this.#own = stream;
    stream.getAudioTracks()[0]?.addEventListener('ended', () => {
      if (stream !== this.#own) return;
      this.#problem = 'The microphone was unplugged. Connect it again, or choose another one.';
      this.#closeOwn();
      void this.refresh();
    });
  }

  #closeOwn(): void {
    this.#opener.cancel();
    stopTracks(this.#own);
    this.#own = undefined;
  }

  async #mayOpen(): Promise<boolean> {
    return this.#options.opensMicrophone && (await isAllowed());
  }

  #measure(stream: MediaStream | undefined): void {
    if (stream === this.#measured) return;
    this.#stopMeter?.();
    this.#measured = stream;
    this.#showLevel(0);
    this.#stopMeter = stream === undefined ? undefined : watchLevel(stream, (level) => this.#showLevel(level));
  }

  #showLevel(level: number): void {
    const { level: meter } = this.#options.parts;
    meter.style.setProperty('--level', level.toFixed(3));
    meter.setAttribute('aria-valuenow', String(Math.round(100 * level)));
  }

  async #run(action: () => Promise<void>): Promise<void> {
    this.#problem = '';
    try {
      await action();
    } catch (thrown) {
      const error = TalkMeshError.from(thrown);
      if (error.reason !== 'CANCELLED') this.#problem = error.message;
    }
    await this.refresh();
  }
}

const absentText = (what: 'microphone' | 'speaker'): string =>
  `The chosen ${what} is not connected. Connect it, or choose another one.`;

function fill(select: HTMLSelectElement, devices: readonly AudioDevice[], chosen: string): void {
  const options = [{ id: '', label: SYSTEM }, ...devices];
  if (!options.some(({ id }) => id === chosen)) options.push({ id: chosen, label: ABSENT });
  select.replaceChildren(
    ...options.map(({ id, label }) => {
      const option = document.createElement('option');
      option.value = id;
      option.textContent = label;
      option.selected = id === chosen;
      return option;
    }),
  );
}

/** Whether opening the microphone asks nothing. Browsers that do not say so are asked by the user's press on a button. */
async function isAllowed(): Promise<boolean> {
  const name = 'microphone' as PermissionName;
  const status = await navigator.permissions?.query({ name }).catch(() => undefined);
  return status?.state === 'granted';
}

/**
 * Plays an element on a speaker.
 * @param id of `listAudioDevices`; empty: the one that the system uses
 * @throws TalkMeshError SPEAKER_MISSING
 */
export async function playOnSpeaker(element: HTMLMediaElement, id: string): Promise<void> {
  if (!canChooseSpeaker()) return;
  try {
    await element.setSinkId(id);
  } catch (cause) {
    throw new TalkMeshError('SPEAKER_MISSING', absentText('speaker'), { cause });
  }
}
