import { type Call, type CallState, type HoldActions, onHold, onHoldSpace } from '@talkmesh/client';
import { byId, show } from './elements.js';

export interface ControlsShown {
  readonly call: Call | undefined;
  /** A call exists or is being created. */
  readonly inCall: boolean;
  readonly hasAvatar: boolean;
  readonly isPushToTalk: boolean;
  readonly talking: boolean;
}

const BUSY: ReadonlySet<CallState> = new Set(['new', 'connecting', 'reconnecting']);
/** Elements for which the space bar means something. */
const USES_SPACE = 'input, textarea, select, button, summary, a, [contenteditable], dialog';

/** The buttons of a call, and the field for a line. */
export class Controls {
  readonly call = byId<HTMLButtonElement>('call');
  readonly talk = byId<HTMLButtonElement>('talk');
  readonly mute = byId<HTMLButtonElement>('mute');
  readonly pause = byId<HTMLButtonElement>('pause');
  readonly interrupt = byId<HTMLButtonElement>('interrupt');
  readonly hangUp = byId<HTMLButtonElement>('hangup');
  readonly say = byId<HTMLButtonElement>('say-button');
  readonly line = byId<HTMLInputElement>('line');

  /**
   * The call was begun by the keyboard, which would otherwise have to begin at the top of the page again: the button that ends the call
   * has the focus until the one to hold can be used.
   */
  #followsFocus = false;

  /** Push-to-talk, by the button or the space bar. */
  onTalk(actions: HoldActions): void {
    onHold(this.talk, actions);
    onHoldSpace(window, actions, ({ target }) => {
      const isElsewhere = target instanceof Element && target.closest(USES_SPACE) !== null;
      const { hidden, disabled } = this.talk;
      return Boolean(hidden) || disabled || isElsewhere || document.querySelector('dialog[open]') !== null;
    });
  }

  show({ call, inCall, hasAvatar, isPushToTalk, talking }: ControlsShown): void {
    const state = call?.state ?? 'new';
    const live = call !== undefined && !BUSY.has(state);
    const hasMicrophone = call?.hasMicrophone === true;
    const hadFocus = document.activeElement === this.call;
    show(this.call, !inCall);
    for (const button of [this.mute, this.pause, this.interrupt, this.hangUp]) show(button, inCall);
    this.call.disabled = !hasAvatar;
    show(this.talk, inCall && isPushToTalk);
    this.talk.disabled = !live || !hasMicrophone;
    toggle(this.talk, talking, 'Release to send', 'Hold to talk');
    this.mute.disabled = !live && !hasMicrophone;
    if (hasMicrophone || !inCall) toggle(this.mute, call?.muted === true, 'Unmute', 'Mute');
    else toggle(this.mute, true, 'Use mic', '');
    const paused = state === 'paused';
    this.pause.disabled = !live;
    toggle(this.pause, paused, 'Resume', 'Pause');
    this.interrupt.disabled = !paused && state !== 'speaking' && state !== 'thinking';
    this.line.disabled = !hasAvatar;
    this.say.disabled = this.line.value.trim() === '' || (inCall && !live);
    if (!inCall) this.#followsFocus = false;
    else if (hadFocus) {
      this.#followsFocus = true;
      this.hangUp.focus({ preventScroll: true });
    }
    if (this.#followsFocus && isPushToTalk && !this.talk.disabled) {
      this.#followsFocus = false;
      if (document.activeElement === this.hangUp) this.talk.focus({ preventScroll: true });
    }
  }
}

function toggle(button: HTMLButtonElement, on: boolean, whenOn: string, whenOff: string): void {
  button.setAttribute('aria-pressed', String(on));
  const label = button.lastElementChild as HTMLElement;
  const text = on ? whenOn : whenOff;
  if (label.textContent !== text) label.textContent = text;
}
