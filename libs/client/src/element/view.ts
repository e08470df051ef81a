import type { DevicePickerParts } from '../device-picker.js';
import { type HoldActions, onHold } from '../hold.js';
import { isLive, playAudibly, STATE_LABELS } from '../playback.js';
import { recordingText } from '../recording-text.js';
import { describeStats } from '../stats.js';
import type { Line } from '../transcript.js';
import { showTranscript } from '../transcript-list.js';
import type { CallProgress, CallState, CallStats, Disclosure } from '../types.js';
import { STYLE } from './style.js';

const MARKUP = `
<div part="stage">
  <slot name="poster"><picture><source media="(prefers-reduced-motion: no-preference)" type="image/avif"><img part="poster" alt="" hidden></picture></slot>
  <video part="video" playsinline></video>
  <div class="notes">
    <p part="status" role="status" hidden></p>
    <p part="disclosure" role="note" hidden></p>
    <p part="recording" role="status" hidden></p>
  </div>
  <p part="caption" aria-live="polite" hidden></p>
  <button part="unmute" type="button" hidden>Turn on sound</button>
</div>
<p part="error" role="alert" hidden></p>
<slot name="controls">
  <div part="controls" role="group" aria-label="Call">
    <button part="call" type="button" class="primary">Call</button>
    <button part="talk" type="button" class="primary" aria-pressed="false" hidden>Hold to talk</button>
    <button part="mute" type="button" aria-pressed="false" hidden>Mute</button>
    <button part="pause" type="button" aria-pressed="false" hidden>Pause</button>
    <button part="interrupt" type="button" hidden>Interrupt</button>
    <button part="hang-up" type="button" class="danger" hidden>Hang up</button>
  </div>
  <div part="devices" role="group" aria-label="Devices" hidden>
    <label>Microphone <select part="microphone"></select></label>
    <div part="level" role="meter" aria-label="Level of the microphone" aria-valuemin="0" aria-valuemax="100" aria-valuenow="0"></div>
    <button part="test" type="button">Test the microphone</button>
    <label part="speaker-row">Speaker <select part="speaker"></select></label>
    <p part="device-note" role="status" hidden></p>
  </div>
  <form part="line">
    <input part="input" aria-label="A line for the avatar" placeholder="Type a line" maxlength="2000" autocomplete="off">
    <button part="say" type="submit">Say</button>
  </form>
</slot>
<ol part="transcript" aria-label="Transcript" tabindex="0" hidden></ol>
<p part="stats" hidden></p>
`;

export type ButtonName = 'call' | 'mute' | 'pause' | 'interrupt' | 'hang-up' | 'unmute';

export interface Shown {
  readonly state: CallState;
  /** Whether a call exists or is being created. */
  readonly inCall: boolean;
  readonly hasMicrophone: boolean;
  readonly muted: boolean;
  readonly isPushToTalk: boolean;
  /** Whether the user holds the button `talk`. */
  readonly talking: boolean;
}

/** The shadow tree of the component: what is shown, and what the user presses. It knows no call. */
export class View {
  readonly #root: ShadowRoot;
  readonly #video: HTMLVideoElement;

  constructor(root: ShadowRoot) {
    this.#root = root;
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    // A <style> element would need 'unsafe-inline' in the content security policy of the page.
    root.adoptedStyleSheets = [sheet];
    root.innerHTML = MARKUP;
    this.#video = this.#part<HTMLVideoElement>('video');
    this.#video.addEventListener('playing', () => this.#video.classList.add('live'));
    this.onPress('unmute', () => {
      this.#video.muted = false;
      this.#part('unmute').hidden = true;
    });
  }

  /** The element that plays the call. */
  get video(): HTMLVideoElement {
    return this.#video;
  }

  get deviceParts(): DevicePickerParts {
    return {
      microphone: this.#part('microphone'),
      level: this.#part('level'),
      test: this.#part('test'),
      speaker: this.#part('speaker'),
      speakerRow: this.#part('speaker-row'),
      note: this.#part('device-note'),
    };
  }

  showDevices(visible: boolean): void {
    this.#part('devices').hidden = !visible;
  }

  /** @param lines undefined hides the transcript */
  showTranscript(lines: readonly Line[] | undefined): void {
    const list = this.#part('transcript');
    list.hidden = lines === undefined || lines.length === 0;
    showTranscript(list, lines ?? []);
  }

  onPress(name: ButtonName, action: () => void): void {
    this.#part(name).addEventListener('click', action);
  }

  /** The user holds the button `talk`. */
  onTalk(actions: HoldActions): void {
    onHold(this.#part('talk'), actions);
  }

  /** @param action gets the trimmed line; the field is emptied when it resolves to true */
  onLine(action: (text: string) => Promise<boolean>): void {
    const input = this.#part<HTMLInputElement>('input');
    this.#part('line').addEventListener('submit', (event) => {
      event.preventDefault();
      const text = input.value.trim();
      if (text === '') return;
      void action(text).then((accepted) => {
        if (accepted && input.value.trim() === text) input.value = '';
      });
    });
  }

  /**
   * @param picture URL of the avatar's picture; undefined: none is known
   * @param idle URL of its idle recording; undefined: the picture stands still
   */
  showPoster(picture: string | undefined, idle: string | undefined, name: string): void {
    const source = this.#root.querySelector('source') as HTMLSourceElement;
    source.srcset = idle ?? '';
    const poster = this.#part<HTMLImageElement>('poster');
    poster.hidden = picture === undefined;
    poster.alt = name === '' ? '' : `Picture of ${name}`;
    if (picture === undefined) poster.removeAttribute('src');
    else if (poster.getAttribute('src') !== picture) poster.src = picture;
    this.#video.setAttribute('aria-label', `Live video of ${name || 'the avatar'}`);
  }

  /** Plays with sound; when the browser blocks sound, plays muted and offers a button. */
  play(stream: MediaStream): Promise<void> {
    return playAudibly(this.#video, stream, () => {
      this.#part('unmute').hidden = this.#video.srcObject !== stream;
    });
  }

  stop(): void {
    this.#video.srcObject = null;
    this.#video.classList.remove('live');
    this.#part('unmute').hidden = true;
    this.showCaption('');
    this.showDisclosure(undefined);
    this.showStats(undefined);
  }

  show({ state, inCall, hasMicrophone, muted, isPushToTalk, talking }: Shown): void {
    const live = isLive(state);
    this.#text('status', STATE_LABELS[state]);
    this.#part('call').hidden = inCall;
    for (const name of ['mute', 'pause', 'interrupt', 'hang-up']) this.#part(name).hidden = !inCall;
    this.#part('talk').hidden = !inCall || !isPushToTalk;
    this.#part<HTMLButtonElement>('talk').disabled = !live || !hasMicrophone;
    this.#toggle('talk', talking, 'Talking…', 'Hold to talk');
    this.#part<HTMLButtonElement>('mute').disabled = !hasMicrophone;
    this.#toggle('mute', muted, 'Unmute', 'Mute');
    this.#part<HTMLButtonElement>('pause').disabled = !live;
    this.#toggle('pause', state === 'paused', 'Resume', 'Pause');
    this.#part<HTMLButtonElement>('interrupt').disabled =
      state !== 'speaking' && state !== 'thinking' && state !== 'paused';
    this.#part<HTMLButtonElement>('say').disabled = inCall && !live;
  }

  showCaption(text: string): void {
    this.#text('caption', text);
  }

  /** Where the label is drawn into the picture, it is not shown a second time. */
  showDisclosure(disclosure: Disclosure | undefined): void {
    this.#text('disclosure', disclosure === undefined || disclosure.badge ? '' : disclosure.label);
  }

  /** Callers must know that the call is recorded, and whether they are. */
  showRecording(recording: CallProgress['recording']): void {
    this.#text('recording', recordingText(recording));
  }

  showError(text: string): void {
    this.#text('error', text);
  }

  showStats(stats: CallStats | undefined): void {
    this.#text('stats', stats === undefined ? '' : describeStats(stats));
  }

  #toggle(name: string, on: boolean, whenOn: string, whenOff: string): void {
    const button = this.#part(name);
    button.setAttribute('aria-pressed', String(on));
    button.textContent = on ? whenOn : whenOff;
  }

  #text(name: string, text: string): void {
    const element = this.#part(name);
    if (element.textContent !== text) element.textContent = text;
    element.hidden = text === '';
  }

  #part<T extends HTMLElement>(name: string): T {
    return this.#root.querySelector(`[part=${name}]`) as T;
  }
}
