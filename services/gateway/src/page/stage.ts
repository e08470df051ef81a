import type { Avatar, CallState } from '@talkmesh/client';
import { byId, show } from './elements.js';

const WORDS: Readonly<Record<CallState, string>> = {
  new: 'Ready',
  connecting: 'Connecting…',
  reconnecting: 'Reconnecting…',
  listening: 'Listening',
  thinking: 'Thinking…',
  speaking: 'Speaking',
  paused: 'Paused',
  ended: 'Call ended',
};

const clockText = (seconds: number): string => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;

/** The picture: the still of the chosen avatar, the live one over it, its name, the state and the clock. */
export class Stage {
  private readonly video = byId<HTMLVideoElement>('video');
  private readonly portrait = byId<HTMLImageElement>('portrait');
  private readonly ambient = byId<HTMLImageElement>('ambient');
  private readonly name = byId('name');
  private readonly caption = byId('caption');
  private readonly status = byId('status');
  private readonly clock = byId('clock');
  private readonly unmute = byId<HTMLButtonElement>('unmute');
  private ticking: ReturnType<typeof setInterval> | undefined;

  constructor() {
    this.video.addEventListener('playing', () => this.video.classList.add('live'));
    this.ambient.addEventListener('load', () => this.ambient.classList.add('on'));
    this.unmute.addEventListener('click', () => {
      this.video.muted = false;
      show(this.unmute, false);
    });
  }

  choose(avatar: Avatar): void {
    this.portrait.src = avatar.image;
    this.portrait.alt = `Picture of ${avatar.name}`;
    this.video.setAttribute('aria-label', `${avatar.name}, live`);
    if (this.ambient.src !== avatar.image) this.ambient.classList.remove('on');
    this.ambient.src = avatar.image;
    this.name.textContent = avatar.name;
    show(this.portrait, true);
    show(this.name, true);
  }

  /** Plays the stream with sound; where the browser forbids sound, without, and offers it. */
  async play(stream: MediaStream): Promise<void> {
    this.video.srcObject = stream;
    this.video.muted = false;
    try {
      await this.video.play();
    } catch {
      this.video.muted = true;
      show(this.unmute, true);
      await this.video.play().catch(() => undefined);
    }
  }

  stop(): void {
    this.video.srcObject = null;
    this.video.classList.remove('live');
    this.say('');
    show(this.unmute, false);
  }

  enter(state: CallState): void {
    document.body.dataset['state'] = state;
    this.status.dataset['state'] = state;
    this.status.textContent = WORDS[state];
    const live = state === 'listening' || state === 'thinking' || state === 'speaking' || state === 'paused';
    if (live && this.ticking === undefined) this.startClock();
    if (state === 'ended' || state === 'new') this.stopClock();
  }

  say(text: string): void {
    this.caption.textContent = text;
    show(this.name, text === '');
  }

  private startClock(): void {
    const startedAtMs = performance.now();
    const tick = (): void => {
      this.clock.textContent = clockText(Math.floor((performance.now() - startedAtMs) / 1000));
    };
    tick();
    show(this.clock, true);
    this.ticking = setInterval(tick, 1000);
  }

  private stopClock(): void {
    clearInterval(this.ticking);
    this.ticking = undefined;
    show(this.clock, false);
  }
}
