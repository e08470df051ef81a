import {
  type Avatar,
  type Call,
  type CallEvent,
  type CallState,
  TalkMeshClient,
  type TalkMeshError,
} from '@talkmesh/client';
import { Banner } from './banner.js';
import { byId, show } from './elements.js';
import { Gallery } from './gallery.js';
import { forgetKey, keepKey, takeKey } from './key.js';
import { PictureDialog } from './picture-dialog.js';
import { RecoveryNotice } from './recovery.js';
import { Stage } from './stage.js';
import { type Line, Transcript } from './transcript.js';

declare global {
  interface Window {
    /** A handle for debugging and for tests; not an interface. */
    __talkmesh?: { client: TalkMeshClient; call: Call | undefined };
  }
}

/** Own pictures in the list of avatars. */
const OWN_STYLE = 'own';
const BUSY: ReadonlySet<CallState> = new Set(['connecting', 'reconnecting']);

const TAKING_OVER = {
  title: 'One moment.',
  text: 'Another machine is taking over this call; it goes on by itself.',
  mild: true,
};

/** The demo page: choose, call, talk, type. */
export class App {
  private readonly stage = new Stage();
  private readonly banner = new Banner();
  private readonly gallery = new Gallery((avatar) => this.choose(avatar));
  private readonly picture = new PictureDialog({
    client: () => this.client,
    onTaken: ({ id }) => void this.load(id),
    onGone: () => void this.load(this.avatar?.id),
  });
  private readonly transcript = new Transcript();
  private readonly recovery = new RecoveryNotice((waiting) => {
    if (waiting) this.banner.show(TAKING_OVER);
    else this.banner.hide();
  });
  private readonly list = byId<HTMLOListElement>('transcript');
  private readonly line = byId<HTMLInputElement>('line');
  private readonly buttons = {
    call: byId<HTMLButtonElement>('call'),
    mute: byId<HTMLButtonElement>('mute'),
    pause: byId<HTMLButtonElement>('pause'),
    interrupt: byId<HTMLButtonElement>('interrupt'),
    hangUp: byId<HTMLButtonElement>('hangup'),
    say: byId<HTMLButtonElement>('say-button'),
    forget: byId<HTMLButtonElement>('picture-delete'),
  };
  private client: TalkMeshClient | undefined;
  private avatar: Avatar | undefined;
  private call: Call | undefined;
  private starting: AbortController | undefined;

  start(): void {
    const { call, mute, pause, interrupt, hangUp } = this.buttons;
    call.addEventListener('click', () => void this.begin(true));
    hangUp.addEventListener('click', () => void this.hangUp());
    mute.addEventListener('click', () => this.toggleMute());
    pause.addEventListener('click', () => void this.togglePause());
    interrupt.addEventListener(
      'click',
      () => void this.call?.interrupt().catch((error) => this.banner.showError(error)),
    );
    byId<HTMLFormElement>('say').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.say();
    });
    this.line.addEventListener('input', () => this.refresh());
    this.buttons.forget.addEventListener('click', () => void this.forget());
    window.addEventListener('pagehide', () => this.call?.hangUpNow());
    window.addEventListener('hashchange', () => this.open(takeKey(this.surroundings())));
    byId<HTMLDialogElement>('key-dialog').addEventListener('close', () => {
      const key = byId<HTMLInputElement>('key-input').value.trim();
      if (key === '') return;
      keepKey(sessionStorage, key);
      this.open(key);
    });
    this.open(takeKey(this.surroundings()));
  }

  private surroundings() {
    return { location, storage: sessionStorage, history };
  }

  private open(key: string | undefined): void {
    if (key === undefined) {
      this.askForKey();
      return;
    }
    this.client = new TalkMeshClient({ baseUrl: location.origin, apiKey: key });
    window.__talkmesh = { client: this.client, call: undefined };
    void this.load();
  }

  private askForKey(): void {
    const dialog = byId<HTMLDialogElement>('key-dialog');
    if (!dialog.open) dialog.showModal();
  }

  /** @param chosen the avatar to choose, if it is there */
  private async load(chosen?: string): Promise<void> {
    try {
      const avatars = (await this.client?.avatars()) ?? [];
      this.banner.hide();
      this.gallery.show(avatars, chosen);
      document.body.dataset['phase'] = 'choose';
      this.stage.enter('new');
      this.refresh();
    } catch (thrown) {
      const error = thrown as TalkMeshError;
      if (error.status === 401) forgetKey(sessionStorage);
      const again = error.status === 401 ? () => this.askForKey() : () => void this.load();
      this.banner.showError(error, { label: error.status === 401 ? 'Enter a key' : 'Try again', run: again });
    }
  }

  private choose(avatar: Avatar): void {
    this.avatar = avatar;
    this.stage.choose(avatar);
    show(this.buttons.forget, avatar.style === OWN_STYLE);
  }

  private async forget(): Promise<void> {
    if (this.avatar?.style !== OWN_STYLE) return;
    await this.picture.delete(this.avatar.id).catch((error: unknown) => this.banner.showError(error));
  }

  /** Creates a session and connects it. @returns whether the picture is live */
  private async begin(microphone: boolean): Promise<boolean> {
    if (this.client === undefined || this.avatar === undefined || this.starting !== undefined) return false;
    const starting = new AbortController();
    this.starting = starting;
    this.banner.hide();
    this.transcript.clear();
    this.transcript.add('note', `Say something to ${this.avatar.name}, or type a line below.`);
    this.render();
    document.body.dataset['phase'] = 'call';
    this.enter('connecting');
    try {
      const call = await this.client.createSession({ avatar: this.avatar.id }, starting.signal);
      this.take(call);
      void this.stage.play(call.stream);
      await call.connect({ microphone });
      return call.state !== 'ended';
    } catch (error) {
      const wanted = !starting.signal.aborted;
      await this.call?.hangUp();
      this.leave();
      if (wanted) this.banner.showError(error, { label: 'Call again', run: () => void this.begin(microphone) });
      return false;
    } finally {
      this.starting = undefined;
      this.refresh();
    }
  }

  private take(call: Call): void {
    this.call = call;
    if (window.__talkmesh !== undefined) window.__talkmesh.call = call;
    call.on('state', (state) => this.follow(call, state));
    call.on('event', (event) => this.hear(event));
    call.on('error', (error) => {
      if (call === this.call) this.banner.showError(error);
    });
  }

  private follow(call: Call, state: CallState): void {
    if (call !== this.call) return;
    if (state === 'ended') this.leave();
    else this.enter(state === 'new' ? 'connecting' : state);
  }

  private hear(event: CallEvent): void {
    if (event.type === 'speech.started' || event.type === 'speech.stopped')
      this.buttons.mute.classList.toggle('hearing', event.type === 'speech.started');
    if (event.type === 'transcript' && event.role === 'avatar') this.stage.say(event.text);
    if (event.type === 'turn.finished') this.stage.say('');
    this.recovery.apply(event);
    if (this.transcript.apply(event)) this.render();
  }

  private async hangUp(): Promise<void> {
    this.starting?.abort();
    const call = this.call;
    this.leave();
    await call?.hangUp();
  }

  private leave(): void {
    this.recovery.clear();
    this.call = undefined;
    if (window.__talkmesh !== undefined) window.__talkmesh.call = undefined;
    document.body.dataset['phase'] = 'choose';
    this.stage.stop();
    this.enter('ended');
    this.buttons.call.focus({ preventScroll: true });
  }

  private async say(): Promise<void> {
    const text = this.line.value.trim();
    if (text === '' || this.avatar === undefined) return;
    if (this.call === undefined && !(await this.begin(false))) return;
    this.line.value = '';
    this.refresh();
    this.transcript.add('user', text);
    this.render();
    await this.call?.say(text).catch((error: unknown) => {
      this.line.value ||= text;
      this.refresh();
      this.banner.showError(error);
    });
  }

  private toggleMute(): void {
    if (this.call === undefined) return;
    this.call.mute(!this.call.muted);
    this.refresh();
  }

  private async togglePause(): Promise<void> {
    const call = this.call;
    const asked = call?.state === 'paused' ? call.resume() : call?.pause();
    await asked?.catch((error: unknown) => this.banner.showError(error));
  }

  private enter(state: CallState): void {
    this.stage.enter(state);
    this.refresh();
  }

  private refresh(): void {
    const { call, mute, pause, interrupt, hangUp, say } = this.buttons;
    const state = this.call?.state ?? 'new';
    const inCall = this.call !== undefined || this.starting !== undefined;
    const live = this.call !== undefined && !BUSY.has(state) && state !== 'new';
    show(call, !inCall);
    for (const button of [mute, pause, interrupt, hangUp]) show(button, inCall);
    call.disabled = this.avatar === undefined;
    mute.disabled = this.call?.hasMicrophone !== true;
    mute.setAttribute('aria-pressed', String(this.call?.muted === true));
    (mute.lastElementChild as HTMLElement).textContent = this.call?.muted === true ? 'Unmute' : 'Mute';
    const paused = state === 'paused';
    pause.disabled = !live;
    pause.setAttribute('aria-pressed', String(paused));
    (pause.lastElementChild as HTMLElement).textContent = paused ? 'Resume' : 'Pause';
    interrupt.disabled = !paused && state !== 'speaking' && state !== 'thinking';
    this.line.disabled = this.avatar === undefined;
    say.disabled = this.line.value.trim() === '' || (inCall && !live);
  }

  private render(): void {
    const item = (line: Line): HTMLLIElement => {
      const element = document.createElement('li');
      element.className = [line.role, line.open ? 'open' : '', line.cut ? 'cut' : ''].join(' ').trim();
      element.textContent = line.text;
      return element;
    };
    this.list.replaceChildren(...this.transcript.lines.map(item));
    this.list.scrollTop = this.list.scrollHeight;
  }
}
