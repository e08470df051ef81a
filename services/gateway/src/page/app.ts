import {
  AT_REST,
  type Avatar,
  type Call,
  type CallEvent,
  type CallState,
  TalkMeshClient,
  type TalkMeshError,
} from '@talkmesh/client';
import { Banner } from './banner.js';
import { CallView } from './call-view.js';
import { byId, show } from './elements.js';
import { Gallery } from './gallery.js';
import { InputHint } from './input-hint.js';
import { forgetKey, keepKey, loadKey } from './key.js';
import { PictureDialog } from './picture-dialog.js';
import { RecoveryNotice } from './recovery.js';
import { type Line, Transcript } from './transcript.js';

declare global {
  interface Window {
    /** For debugging and tests only; not a public interface. */
    __talkmesh?: { client: TalkMeshClient; call: Call | undefined };
  }
}

/** Style of the avatars that were made from a user's picture. */
const OWN_STYLE = 'own';
const BUSY: ReadonlySet<CallState> = new Set(['connecting', 'reconnecting']);

const TAKING_OVER = {
  title: 'The call is interrupted.',
  text: 'Another worker is taking it over. It continues by itself in a moment.',
  mild: true,
};

/** The demo page: choose an avatar, call it, speak or type. */
export class App {
  readonly #view = new CallView();
  readonly #banner = new Banner();
  readonly #gallery = new Gallery((avatar) => this.#choose(avatar));
  readonly #pictureDialog = new PictureDialog({
    client: () => this.#client,
    onTaken: ({ id }) => void this.#loadAvatars(id),
    onGone: () => void this.#loadAvatars(this.#avatar?.id),
  });
  readonly #transcript = new Transcript();
  readonly #inputHint = new InputHint(this.#banner);
  readonly #recovery = new RecoveryNotice((waiting) => {
    if (waiting) this.#banner.show(TAKING_OVER);
    else this.#banner.hide();
  });
  readonly #transcriptList = byId<HTMLOListElement>('transcript');
  readonly #line = byId<HTMLInputElement>('line');
  readonly #buttons = {
    call: byId<HTMLButtonElement>('call'),
    mute: byId<HTMLButtonElement>('mute'),
    pause: byId<HTMLButtonElement>('pause'),
    interrupt: byId<HTMLButtonElement>('interrupt'),
    hangUp: byId<HTMLButtonElement>('hangup'),
    say: byId<HTMLButtonElement>('say-button'),
    deletePicture: byId<HTMLButtonElement>('picture-delete'),
  };
  #client: TalkMeshClient | undefined;
  #avatar: Avatar | undefined;
  #call: Call | undefined;
  #starting: AbortController | undefined;

  start(): void {
    const { call, mute, pause, interrupt, hangUp } = this.#buttons;
    call.addEventListener('click', () => void this.#startCall(true));
    hangUp.addEventListener('click', () => void this.#hangUp());
    mute.addEventListener('click', () => this.#toggleMute());
    pause.addEventListener('click', () => void this.#togglePause());
    interrupt.addEventListener(
      'click',
      () => void this.#call?.interrupt().catch((error) => this.#banner.showError(error)),
    );
    byId<HTMLFormElement>('say').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#say();
    });
    this.#line.addEventListener('input', () => this.#updateControls());
    // A list that scrolls must be reachable by keyboard (WCAG 2.1.1).
    this.#transcriptList.tabIndex = 0;
    this.#buttons.deletePicture.addEventListener('click', () => void this.#deleteChosenPicture());
    window.addEventListener('pagehide', () => this.#call?.hangUpNow());
    window.addEventListener('hashchange', () => this.#useKey(loadKey(this.#browserParts())));
    byId<HTMLDialogElement>('key-dialog').addEventListener('close', () => {
      const key = byId<HTMLInputElement>('key-input').value.trim();
      if (key === '') return;
      keepKey(sessionStorage, key);
      this.#useKey(key);
    });
    this.#useKey(loadKey(this.#browserParts()));
  }

  #browserParts() {
    return { location, storage: sessionStorage, history };
  }

  #useKey(key: string | undefined): void {
    if (key === undefined) {
      this.#askForKey();
      return;
    }
    this.#client = new TalkMeshClient({ baseUrl: new URL('.', location.href).href, apiKey: key });
    window.__talkmesh = { client: this.#client, call: undefined };
    void this.#loadAvatars();
  }

  #askForKey(): void {
    const dialog = byId<HTMLDialogElement>('key-dialog');
    if (!dialog.open) dialog.showModal();
  }

  /** Loads the avatars. @param chosen id of the avatar to choose; the first one when it is not in the list */
  async #loadAvatars(chosen?: string): Promise<void> {
    try {
      const avatars = (await this.#client?.avatars()) ?? [];
      this.#banner.hide();
      this.#gallery.show(avatars, chosen);
      document.body.dataset['phase'] = 'choose';
      this.#view.enter('new');
      this.#updateControls();
    } catch (thrown) {
      const error = thrown as TalkMeshError;
      if (error.status === 401) forgetKey(sessionStorage);
      const retry = error.status === 401 ? () => this.#askForKey() : () => void this.#loadAvatars();
      this.#banner.showError(error, { label: error.status === 401 ? 'Enter a key' : 'Try again', run: retry });
    }
  }

  #choose(avatar: Avatar): void {
    this.#avatar = avatar;
    this.#view.choose(avatar);
    show(this.#buttons.deletePicture, avatar.style === OWN_STYLE);
  }

  async #deleteChosenPicture(): Promise<void> {
    if (this.#avatar?.style !== OWN_STYLE) return;
    await this.#pictureDialog.delete(this.#avatar.id).catch((error: unknown) => this.#banner.showError(error));
  }

  /** Creates a session and connects it. @returns whether the video is live */
  async #startCall(microphone: boolean): Promise<boolean> {
    if (this.#client === undefined || this.#avatar === undefined || this.#starting !== undefined) return false;
    const starting = new AbortController();
    this.#starting = starting;
    this.#banner.hide();
    this.#transcript.clear();
    this.#transcript.add('note', `Speak to ${this.#avatar.name}, or type a line below.`);
    this.#renderTranscript();
    document.body.dataset['phase'] = 'call';
    this.#showState('connecting');
    try {
      const call = await this.#client.createSession({ avatar: this.#avatar.id }, starting.signal);
      this.#attach(call);
      void this.#view.play(call.stream);
      await call.connect({ microphone });
      return call.state !== 'ended';
    } catch (error) {
      const cancelled = starting.signal.aborted;
      await this.#call?.hangUp();
      this.#showEnded();
      if (!cancelled)
        this.#banner.showError(error, { label: 'Call again', run: () => void this.#startCall(microphone) });
      return false;
    } finally {
      this.#starting = undefined;
      this.#updateControls();
    }
  }

  #attach(call: Call): void {
    this.#call = call;
    if (window.__talkmesh !== undefined) window.__talkmesh.call = call;
    call.on('state', (state) => this.#onState(call, state));
    call.on('event', (event) => this.#onEvent(event));
    call.on('error', (error) => {
      if (call === this.#call) this.#banner.showError(error);
    });
    call.on('stats', (stats) => {
      if (call === this.#call) this.#view.showStats(stats);
    });
    this.#view.observe(call);
  }

  #onState(call: Call, state: CallState): void {
    if (call !== this.#call) return;
    if (state === 'ended') this.#showEnded();
    else this.#showState(state === 'new' ? 'connecting' : state);
  }

  #onEvent(event: CallEvent): void {
    const { userSpeaking, inputProblem, caption, disclosure, recovering } = this.#call?.progress ?? AT_REST;
    this.#buttons.mute.classList.toggle('hearing', userSpeaking);
    this.#view.showCaption(caption?.text ?? '');
    this.#view.showDisclosure(disclosure);
    this.#recovery.show(recovering);
    this.#inputHint.show(inputProblem, this.#call?.muted === true);
    if (this.#transcript.apply(event)) this.#renderTranscript();
  }

  async #hangUp(): Promise<void> {
    this.#starting?.abort();
    const call = this.#call;
    this.#showEnded();
    await call?.hangUp();
  }

  #showEnded(): void {
    this.#recovery.clear();
    this.#inputHint.show(undefined, false);
    this.#call = undefined;
    if (window.__talkmesh !== undefined) window.__talkmesh.call = undefined;
    document.body.dataset['phase'] = 'choose';
    this.#view.stop();
    this.#showState('ended');
    this.#buttons.call.focus({ preventScroll: true });
  }

  async #say(): Promise<void> {
    const text = this.#line.value.trim();
    if (text === '' || this.#avatar === undefined) return;
    if (this.#call === undefined && !(await this.#startCall(false))) return;
    this.#line.value = '';
    this.#updateControls();
    this.#transcript.add('user', text);
    this.#renderTranscript();
    await this.#call?.say(text).catch((error: unknown) => {
      this.#line.value ||= text;
      this.#updateControls();
      this.#banner.showError(error);
    });
  }

  #toggleMute(): void {
    if (this.#call === undefined) return;
    this.#call.mute(!this.#call.muted);
    this.#updateControls();
  }

  async #togglePause(): Promise<void> {
    const call = this.#call;
    const asked = call?.state === 'paused' ? call.resume() : call?.pause();
    await asked?.catch((error: unknown) => this.#banner.showError(error));
  }

  #showState(state: CallState): void {
    this.#view.enter(state);
    this.#updateControls();
  }

  #updateControls(): void {
    const { call, mute, pause, interrupt, hangUp, say } = this.#buttons;
    const state = this.#call?.state ?? 'new';
    const inCall = this.#call !== undefined || this.#starting !== undefined;
    const live = this.#call !== undefined && !BUSY.has(state) && state !== 'new';
    show(call, !inCall);
    for (const button of [mute, pause, interrupt, hangUp]) show(button, inCall);
    call.disabled = this.#avatar === undefined;
    mute.disabled = this.#call?.hasMicrophone !== true;
    mute.setAttribute('aria-pressed', String(this.#call?.muted === true));
    (mute.lastElementChild as HTMLElement).textContent = this.#call?.muted === true ? 'Unmute' : 'Mute';
    const paused = state === 'paused';
    pause.disabled = !live;
    pause.setAttribute('aria-pressed', String(paused));
    (pause.lastElementChild as HTMLElement).textContent = paused ? 'Resume' : 'Pause';
    interrupt.disabled = !paused && state !== 'speaking' && state !== 'thinking';
    this.#line.disabled = this.#avatar === undefined;
    say.disabled = this.#line.value.trim() === '' || (inCall && !live);
  }

  #renderTranscript(): void {
    const item = (line: Line): HTMLLIElement => {
      const element = document.createElement('li');
      element.className = [line.role, line.open ? 'open' : '', line.cut ? 'cut' : ''].join(' ').trim();
      element.textContent = line.text;
      return element;
    };
    this.#transcriptList.replaceChildren(...this.#transcript.lines.map(item));
    this.#transcriptList.scrollTop = this.#transcriptList.scrollHeight;
  }
}
