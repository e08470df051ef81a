import {
  type Avatar,
  type Call,
  type CallProgress,
  type CallState,
  type CallStats,
  type Disclosure,
  describeStats,
  isLive,
  playAudibly,
  recordingText,
  STATE_LABELS,
  savesData,
} from '@talkmesh/client';
import { byId, show } from './elements.js';
import { showAvatar } from './living-picture.js';

/** A processor with fewer decodes, beside everything else, no larger video than it must. */
const MIN_CORES = 4;

const LABELS: Readonly<Record<CallState, string>> = { ...STATE_LABELS, new: 'Ready', ended: 'Call ended' };

const clockText = (seconds: number): string => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;

/** Shows the call: the still image of the chosen avatar, the live video over it, its name, the state and the call time. */
export class CallView {
  readonly #video = byId<HTMLVideoElement>('video');
  readonly #portrait = byId<HTMLImageElement>('portrait');
  readonly #idle = byId<HTMLSourceElement>('portrait-idle');
  readonly #ambient = byId<HTMLImageElement>('ambient');
  readonly #name = byId('name');
  readonly #caption = byId('caption');
  readonly #disclosure = byId('disclosure');
  readonly #recording = byId('recording');
  readonly #status = byId('status');
  readonly #clock = byId('clock');
  readonly #stats = byId('stats');
  readonly #statsLine = byId('stats-line');
  readonly #unmute = byId<HTMLButtonElement>('unmute');
  #ticking: ReturnType<typeof setInterval> | undefined;

  constructor() {
    this.#video.addEventListener('playing', () => this.#video.classList.add('live'));
    this.#ambient.addEventListener('load', () => this.#ambient.classList.add('on'));
    this.#unmute.addEventListener('click', () => {
      this.#video.muted = false;
      show(this.#unmute, false);
    });
  }

  choose(avatar: Avatar): void {
    showAvatar(this.#idle, this.#portrait, avatar);
    this.#portrait.alt = `Picture of ${avatar.name}`;
    this.#video.setAttribute('aria-label', `Live video of ${avatar.name}`);
    if (this.#ambient.src !== avatar.image) this.#ambient.classList.remove('on');
    this.#ambient.src = avatar.image;
    this.#name.textContent = avatar.name;
    show(this.#portrait, true);
    show(this.#name, true);
  }

  /** Width at which the picture is shown, in pixels of the screen; 0 where the user saves data or the processor is weak. */
  get pixels(): number {
    if (savesData() || navigator.hardwareConcurrency < MIN_CORES) return 0;
    return this.#video.clientWidth * devicePixelRatio;
  }

  /** The element that plays the call. */
  get video(): HTMLVideoElement {
    return this.#video;
  }

  /** Plays the stream with sound. If the browser blocks sound, plays it muted and shows the unmute button. */
  play(stream: MediaStream): Promise<void> {
    return playAudibly(this.#video, stream, () => show(this.#unmute, true));
  }

  /** Lets the call measure how its video plays. */
  observe(call: Call): void {
    call.observe(this.#video);
  }

  showStats(stats: CallStats): void {
    this.#statsLine.textContent = describeStats(stats);
    show(this.#stats, true);
  }

  stop(): void {
    show(this.#stats, false);
    this.#video.srcObject = null;
    this.#video.classList.remove('live');
    this.showCaption('');
    this.showDisclosure(undefined);
    show(this.#unmute, false);
  }

  enter(state: CallState): void {
    document.body.dataset['state'] = state;
    this.#status.dataset['state'] = state;
    this.#status.textContent = LABELS[state];
    const live = isLive(state);
    if (live && this.#ticking === undefined) this.#startClock();
    if (state === 'ended' || state === 'new') this.#stopClock();
  }

  showCaption(text: string): void {
    if (this.#caption.textContent !== text) this.#caption.textContent = text;
    show(this.#name, text === '');
  }

  /** Where the label is drawn into the picture, it is not shown a second time. */
  showDisclosure(disclosure: Disclosure | undefined): void {
    this.#disclosure.textContent = disclosure?.label ?? '';
    show(this.#disclosure, disclosure?.badge === false);
  }

  showRecording(recording: CallProgress['recording']): void {
    this.#recording.textContent = recordingText(recording);
    show(this.#recording, recording !== undefined);
  }

  #startClock(): void {
    const startedAtMs = performance.now();
    const tick = (): void => {
      this.#clock.textContent = clockText(Math.floor((performance.now() - startedAtMs) / 1000));
    };
    tick();
    show(this.#clock, true);
    this.#ticking = setInterval(tick, 1000);
  }

  #stopClock(): void {
    clearInterval(this.#ticking);
    this.#ticking = undefined;
    show(this.#clock, false);
  }
}
