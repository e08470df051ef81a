import {
  AT_REST,
  type Avatar,
  type Call,
  type CallEvent,
  type CallState,
  ConnectionWatch,
  type ConversationOffer,
  keepAtEnd,
  PushToTalk,
  playOnSpeaker,
  showTranscript,
  TalkMeshClient,
  TalkMeshError,
  Transcript,
} from '@talkmesh/client';
import { adviceForInput } from './advice.js';
import { Banner } from './banner.js';
import { CallView } from './call-view.js';
import { Controls } from './controls.js';
import { byId, show } from './elements.js';
import { Gallery } from './gallery.js';
import { forgetKey, keepKey, loadKey } from './key.js';
import { PictureDialog } from './picture-dialog.js';
import { RecoveryNotice } from './recovery.js';
import { sessionChoices } from './settings.js';
import { SettingsDialog } from './settings-dialog.js';

declare global {
  interface Window {
    /** For debugging and tests only; not a public interface. */
    __talkmesh?: { client: TalkMeshClient; call: Call | undefined };
  }
}

/** Style of the avatars that were made from a user's picture. */
const OWN_STYLE = 'own';

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
  readonly #recovery = new RecoveryNotice((waiting) => {
    if (waiting) this.#banner.show('recovery', TAKING_OVER);
    else this.#banner.withdraw('recovery');
  });
  readonly #push = new PushToTalk({
    call: () => this.#call,
    onTalking: () => this.#updateControls(),
    onError: (error) => this.#banner.showError('call', error),
  });
  readonly #settings = new SettingsDialog({
    storage: localStorage,
    offer: () => this.#offer,
    isInCall: () => this.#isInCall,
    callMicrophone: () => this.#call?.microphone,
    useMicrophone: async (id) => {
      await this.#call?.useMicrophone(id);
      this.#updateControls();
    },
    useSpeaker: (id) => playOnSpeaker(this.#view.video, id),
    onChange: () => this.#showCaption(),
  });
  readonly #controls = new Controls();
  readonly #transcriptList = byId<HTMLOListElement>('transcript');
  readonly #deletePicture = byId<HTMLButtonElement>('picture-delete');
  #client: TalkMeshClient | undefined;
  #avatar: Avatar | undefined;
  #call: Call | undefined;
  #starting: AbortController | undefined;
  #offer: ConversationOffer | undefined;
  /** Whether the call that goes on was created for push-to-talk. */
  #isPushToTalk = false;

  start(): void {
    const { call, mute, pause, interrupt, hangUp, line } = this.#controls;
    call.addEventListener('click', () => void this.#startCall(true));
    hangUp.addEventListener('click', () => void this.#hangUp());
    mute.addEventListener('click', () => void this.#toggleMute());
    pause.addEventListener('click', () => void this.#togglePause());
    interrupt.addEventListener('click', () => void this.#ask((current) => current.interrupt()));
    this.#controls.onTalk(this.#push);
    byId<HTMLFormElement>('say').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#say();
    });
    line.addEventListener('input', () => this.#updateControls());
    // A list that scrolls must be reachable by keyboard (WCAG 2.1.1).
    this.#transcriptList.tabIndex = 0;
    keepAtEnd(this.#transcriptList);
    for (const id of ['transcript-copy', 'transcript-copy-last'])
      byId(id).addEventListener('click', () => void this.#copyTranscript(byId(id)));
    this.#deletePicture.addEventListener('click', () => void this.#deleteChosenPicture());
    window.addEventListener('pagehide', () => this.#call?.hangUpNow());
    window.addEventListener('hashchange', () => this.#useKey(loadKey(this.#browserParts())));
    byId<HTMLDialogElement>('key-dialog').addEventListener('close', () => {
      const key = byId<HTMLInputElement>('key-input').value.trim();
      if (key === '') return;
      keepKey(sessionStorage, key);
      this.#useKey(key);
    });
    const { speaker } = this.#settings.settings;
    if (speaker !== '')
      playOnSpeaker(this.#view.video, speaker).catch((error: unknown) =>
        this.#banner.showError('page', error, this.#chooseDevices),
      );
    this.#useKey(loadKey(this.#browserParts()));
  }

  readonly #chooseDevices = { label: 'Choose devices', run: () => this.#settings.open() };

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
      const [avatars = [], offer] = await Promise.all([this.#client?.avatars(), this.#client?.providers()]);
      this.#offer = offer;
      this.#settings.refresh();
      this.#banner.withdraw('page', 'call');
      this.#gallery.show(avatars, chosen);
      document.body.dataset['phase'] = 'choose';
      this.#view.enter('new');
      this.#updateControls();
    } catch (thrown) {
      const error = thrown as TalkMeshError;
      if (error.status === 401) forgetKey(sessionStorage);
      const retry = error.status === 401 ? () => this.#askForKey() : () => void this.#loadAvatars();
      this.#banner.showError('page', error, { label: error.status === 401 ? 'Enter a key' : 'Try again', run: retry });
    }
  }

  #choose(avatar: Avatar): void {
    this.#avatar = avatar;
    this.#view.choose(avatar);
    show(this.#deletePicture, avatar.style === OWN_STYLE);
  }

  async #deleteChosenPicture(): Promise<void> {
    if (this.#avatar?.style !== OWN_STYLE) return;
    await this.#pictureDialog.delete(this.#avatar.id).catch((error: unknown) => this.#banner.showError('page', error));
  }

  /** Creates a session and connects it. @returns whether the video is live */
  async #startCall(microphone: boolean): Promise<boolean> {
    if (this.#client === undefined || this.#avatar === undefined || this.#starting !== undefined) return false;
    const starting = new AbortController();
    this.#starting = starting;
    const choices = sessionChoices(this.#settings.settings, this.#offer, this.#view.pixels);
    this.#isPushToTalk = choices.input === 'push-to-talk';
    this.#banner.withdraw('page', 'call');
    this.#transcript.clear();
    this.#transcript.add(
      'note',
      `${this.#isPushToTalk ? 'Hold the button or the space bar and speak' : 'Speak'} to ${this.#avatar.name}, or type a line below.`,
    );
    this.#showTranscript();
    document.body.dataset['phase'] = 'call';
    this.#showState('connecting');
    try {
      const call = await this.#client.createSession({ avatar: this.#avatar.id, ...choices }, starting.signal);
      this.#attach(call);
      void this.#view.play(call.stream);
      await call.connect({ microphone: microphone && (this.#settings.settings.microphone || true) });
      return call.state !== 'ended';
    } catch (error) {
      const cancelled = starting.signal.aborted;
      await this.#call?.hangUp();
      this.#showEnded();
      if (!cancelled)
        this.#banner.showError('call', error, { label: 'Call again', run: () => void this.#startCall(microphone) });
      return false;
    } finally {
      this.#starting = undefined;
      this.#updateControls();
      this.#settings.refresh();
    }
  }

  #attach(call: Call): void {
    this.#call = call;
    if (window.__talkmesh !== undefined) window.__talkmesh.call = call;
    const connection = new ConnectionWatch((trouble) => {
      if (trouble === undefined) this.#banner.withdraw('connection');
      else this.#banner.show('connection', trouble);
    });
    call.on('state', (state) => {
      connection.onState(state);
      this.#onState(call, state);
    });
    call.on('event', (event) => this.#onEvent(event));
    call.on('input', (problem) => {
      if (problem === undefined) this.#banner.withdraw('input');
      else this.#banner.show('input', adviceForInput(problem), this.#chooseDevices);
      this.#settings.refresh();
    });
    call.on('error', (error) => {
      if (call === this.#call)
        this.#banner.showError('call', error, error.reason === 'MIC_MISSING' ? this.#chooseDevices : undefined);
    });
    call.on('stats', (stats) => {
      if (call !== this.#call) return;
      this.#view.showStats(stats);
      connection.onStats(stats);
    });
    this.#view.observe(call);
  }

  #onState(call: Call, state: CallState): void {
    if (call !== this.#call) return;
    if (state === 'ended') this.#showEnded();
    else this.#showState(state === 'new' ? 'connecting' : state);
  }

  #onEvent(event: CallEvent): void {
    const { userSpeaking, disclosure, recording, recovering } = this.#call?.progress ?? AT_REST;
    this.#controls.mute.classList.toggle('hearing', userSpeaking);
    this.#showCaption();
    this.#view.showDisclosure(disclosure);
    this.#view.showRecording(recording);
    this.#recovery.show(recovering);
    if (this.#transcript.apply(event)) this.#showTranscript();
  }

  #showCaption(): void {
    const { caption } = this.#call?.progress ?? AT_REST;
    this.#view.showCaption(this.#settings.settings.captions ? (caption?.text ?? '') : '');
  }

  async #hangUp(): Promise<void> {
    this.#starting?.abort();
    const call = this.#call;
    this.#showEnded();
    await call?.hangUp();
  }

  #showEnded(): void {
    this.#recovery.clear();
    this.#banner.withdraw('connection', 'input');
    this.#call = undefined;
    this.#push.reset();
    if (window.__talkmesh !== undefined) window.__talkmesh.call = undefined;
    document.body.dataset['phase'] = 'choose';
    this.#view.stop();
    this.#showState('ended');
    this.#settings.refresh();
    this.#controls.call.focus({ preventScroll: true });
  }

  async #say(): Promise<void> {
    const { line } = this.#controls;
    const text = line.value.trim();
    if (text === '' || this.#avatar === undefined) return;
    if (this.#call === undefined && !(await this.#startCall(false))) return;
    line.value = '';
    this.#updateControls();
    const typed = this.#transcript.add('user', text);
    this.#showTranscript();
    await this.#call?.say(text).catch((error: unknown) => {
      this.#transcript.remove(typed);
      this.#showTranscript();
      line.value ||= text;
      this.#updateControls();
      this.#banner.showError('call', error);
    });
  }

  /** In a call that began without a microphone, the button turns it on. */
  async #toggleMute(): Promise<void> {
    const call = this.#call;
    if (call === undefined) return;
    if (call.hasMicrophone) call.mute(!call.muted);
    else
      await call.useMicrophone(this.#settings.settings.microphone).catch((error: unknown) => {
        if (TalkMeshError.from(error).reason !== 'CANCELLED')
          this.#banner.showError('call', error, this.#chooseDevices);
      });
    this.#updateControls();
    this.#settings.refresh();
  }

  async #togglePause(): Promise<void> {
    await this.#ask((call) => (call.state === 'paused' ? call.resume() : call.pause()) as Promise<unknown>);
  }

  async #ask(request: (call: Call) => Promise<unknown>): Promise<void> {
    const call = this.#call;
    if (call !== undefined) await request(call).catch((error: unknown) => this.#banner.showError('call', error));
  }

  #showState(state: CallState): void {
    this.#view.enter(state);
    this.#updateControls();
  }

  get #isInCall(): boolean {
    return this.#call !== undefined || this.#starting !== undefined;
  }

  #updateControls(): void {
    document.body.dataset['talking'] = String(this.#push.talking);
    this.#controls.show({
      call: this.#call,
      inCall: this.#isInCall,
      hasAvatar: this.#avatar !== undefined,
      isPushToTalk: this.#isPushToTalk,
      talking: this.#push.talking,
    });
  }

  #showTranscript(): void {
    showTranscript(this.#transcriptList, this.#transcript.lines);
    const isEmpty = this.#transcript.lines.every(({ role }) => role === 'note');
    for (const id of ['transcript-copy', 'transcript-copy-last']) show(byId(id), !isEmpty);
  }

  async #copyTranscript(button: HTMLElement): Promise<void> {
    const names = { user: 'You', avatar: this.#avatar?.name ?? 'Avatar', note: '' };
    const spoken = this.#transcript.lines.filter(({ role }) => role !== 'note');
    try {
      await navigator.clipboard.writeText(
        spoken.map(({ role, text, cut }) => `${names[role]}: ${text}${cut ? ' —' : ''}`).join('\n'),
      );
    } catch (cause) {
      const text = 'The browser does not allow the page to copy. Select the transcript and copy it by the keyboard.';
      this.#banner.showError('page', new TalkMeshError('INTERNAL', text, { cause }));
      return;
    }
    const label = button.textContent;
    button.textContent = 'Copied';
    setTimeout(() => {
      button.textContent = label;
    }, 1500);
  }
}
