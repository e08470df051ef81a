import type { Call } from '../call.js';
import { AT_REST } from '../call-progress.js';
import { TalkMeshClient } from '../client.js';
import { ConnectionWatch } from '../connection-watch.js';
import { DevicePicker, playOnSpeaker } from '../device-picker.js';
import { TalkMeshError } from '../http.js';
import { Messages } from '../messages.js';
import { savesData } from '../playback.js';
import { PushToTalk } from '../push-to-talk.js';
import { Transcript } from '../transcript.js';
import type { CallEvent, CallProgress, CallState, CallStats, ConnectOptions, SessionOptions } from '../types.js';
import { fetchTicket } from './fetch-ticket.js';
import { View } from './view.js';

/** Detail of the component's events, which do not bubble. */
export interface TalkMeshEvents {
  /** The call's state. */
  readonly state: CallState;
  /** Every event of the session, see docs/events.md. */
  readonly event: CallEvent;
  /** The phrase that begins to be heard; undefined when its turn is over. */
  readonly caption: CallProgress['caption'];
  /** Every second while the attribute `stats` is set. */
  readonly stats: CallStats;
  readonly error: TalkMeshError;
}

const OBSERVED = ['avatar', 'base-url', 'captions', 'stats', 'idle', 'devices', 'transcript'] as const;
const CHOICES = ['avatar', 'provider', 'language', 'voice', 'input', 'quality'] as const;

/** Servers render pages without HTMLElement; the class must still be importable there. */
const Base = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);

/**
 * `<talk-mesh avatar="mia" token-url="/token">`: a call with an avatar. Attributes:
 * - `token-url`: the page's own server, which mints session tokens (`@talkmesh/client/server`)
 * - `base-url`: the gateway; by default where the script was loaded from
 * - `avatar`, `provider`, `language`, `voice`, `quality`, `size`: wishes, which the token server grants or replaces
 * - `input="push-to-talk"`: such a wish too; the user holds a button to talk
 * - `microphone="off"`, `captions="off"`, `stats`
 * - `idle`: before a call the avatar moves as the model recorded it, for models that have recordings
 * - `devices`: the user can choose microphone and speaker, and sees the level
 * - `transcript`: what both sides said, below the controls
 *
 * Slots: `poster`, `controls`. Parts and custom properties are listed in the README.
 */
export class TalkMeshElement extends Base {
  static readonly observedAttributes: readonly string[] = OBSERVED;
  /** Gateway of elements without `base-url`; empty: the origin of the page. */
  static defaultBaseUrl = '';
  readonly #view: View;
  #call: Call | undefined;
  #starting: AbortController | undefined;
  #caption: CallProgress['caption'];
  readonly #messages = new Messages((message) =>
    this.#view.showError([message?.title, message?.text].filter(Boolean).join(' ')),
  );
  readonly #push = new PushToTalk({
    call: () => this.#call,
    onTalking: () => this.#show(),
    onError: (error) => this.#report(error),
  });
  readonly #transcript = new Transcript();
  readonly #chosen = { microphone: '', speaker: '' };
  #picker: DevicePicker | undefined;

  constructor() {
    super();
    this.#view = new View(this.attachShadow({ mode: 'open' }));
    const view = this.#view;
    view.onPress('call', () => void this.connect().catch(() => undefined));
    view.onPress('hang-up', () => void this.hangUp());
    view.onPress('mute', () => this.#call?.mute(!this.#call.muted));
    view.onPress('mute', () => this.#show());
    view.onPress('pause', () =>
      this.#ask((call) => (call.progress.paused ? call.resume() : call.pause()) as Promise<unknown>),
    );
    view.onPress('interrupt', () => this.#ask((call) => call.interrupt()));
    view.onLine((text) => this.#say(text));
    view.onTalk(this.#push);
  }

  /** The call that goes on, with everything that it can do; undefined before and after. */
  get call(): Call | undefined {
    return this.#call;
  }

  get state(): CallState {
    return this.#call?.state ?? 'new';
  }

  connectedCallback(): void {
    globalThis.addEventListener('pagehide', this.#onPageHide);
    this.#showPoster();
    this.#showDevices();
    this.#show();
  }

  /** Moving an element within the page also disconnects it, for a moment. */
  disconnectedCallback(): void {
    globalThis.removeEventListener('pagehide', this.#onPageHide);
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.#picker?.close();
      void this.hangUp();
    });
  }

  attributeChangedCallback(name: (typeof OBSERVED)[number]): void {
    if (name === 'avatar' || name === 'base-url' || name === 'idle') this.#showPoster();
    else if (name === 'captions') this.#showProgress();
    else if (name === 'devices') this.#showDevices();
    else if (name === 'transcript') this.#showTranscript();
    else this.#showStats();
  }

  /**
   * Gets a token from `token-url` and connects. Does nothing during a call.
   * @throws TalkMeshError, after it was shown and dispatched as `error`
   */
  async connect(options: ConnectOptions = {}): Promise<void> {
    if (this.#call !== undefined || this.#starting !== undefined) return;
    const starting = new AbortController();
    this.#starting = starting;
    this.#messages.put('call', undefined);
    this.#transcript.clear();
    this.#showTranscript();
    this.#show('connecting');
    try {
      const call = await this.#join(starting.signal);
      this.#attach(call);
      void this.#view.play(call.stream);
      const wanted = this.getAttribute('microphone') !== 'off' && (this.#chosen.microphone || true);
      await call.connect({ microphone: options.microphone ?? wanted });
    } catch (thrown) {
      await this.#abandon();
      if (starting.signal.aborted) return;
      const error = TalkMeshError.from(thrown);
      this.#report(error);
      throw error;
    } finally {
      if (this.#starting === starting) this.#starting = undefined;
      this.#show();
      await this.#picker?.refresh();
    }
  }

  /** Ends the call. Never throws. */
  async hangUp(): Promise<void> {
    this.#starting?.abort();
    this.#starting = undefined;
    await this.#abandon();
  }

  readonly #onPageHide = (): void => void this.#call?.hangUpNow();

  get #baseUrl(): string {
    return this.getAttribute('base-url') ?? TalkMeshElement.defaultBaseUrl;
  }

  async #join(signal: AbortSignal): Promise<Call> {
    const url = this.getAttribute('token-url');
    if (url === null)
      throw new TalkMeshError('TOKEN_MISSING', 'The attribute token-url is missing. Name the path that mints tokens.');
    const chosen: Partial<Record<(typeof CHOICES)[number], string>> = {};
    for (const name of CHOICES) if (this.hasAttribute(name)) chosen[name] = this.getAttribute(name) ?? '';
    const size = this.getAttribute('size');
    const wanted = { ...chosen, ...(size !== null && { size: Number(size) }) } as Partial<SessionOptions>;
    const { token } = await fetchTicket(url, wanted, signal);
    const client = new TalkMeshClient({ baseUrl: this.#baseUrl, token });
    const call = client.join();
    if (!signal.aborted) return call;
    await call.hangUp();
    throw new TalkMeshError('CANCELLED', 'The call was cancelled.');
  }

  #attach(call: Call): void {
    this.#call = call;
    const connection = new ConnectionWatch((trouble) => this.#messages.put('connection', trouble));
    call.on('state', (state) => {
      connection.onState(state);
      if (call !== this.#call) return;
      if (state === 'ended') this.#forget();
      else {
        if (state === 'speaking') this.#messages.put('call', undefined);
        this.#show();
        this.#dispatch('state', state);
      }
    });
    call.on('event', (event) => {
      this.#dispatch('event', event);
      if (this.#transcript.apply(event)) this.#showTranscript();
      this.#showProgress();
    });
    call.on('input', (problem) => {
      this.#messages.put('input', problem && { title: '', text: problem.text, mild: true });
    });
    call.on('error', (error) => {
      if (call === this.#call) this.#report(error);
    });
    call.on('stats', (stats) => {
      if (call !== this.#call) return;
      this.#showStats(stats);
      connection.onStats(stats);
    });
    call.observe(this.#view.video);
  }

  async #abandon(): Promise<void> {
    const call = this.#call;
    this.#forget();
    await call?.hangUp();
  }

  /** Back to how it was before the call. */
  #forget(): void {
    const hadCall = this.#call !== undefined;
    this.#call = undefined;
    this.#push.reset();
    this.#messages.put('input', undefined);
    this.#messages.put('connection', undefined);
    this.#showProgress();
    this.#view.stop();
    this.#show();
    void this.#picker?.refresh();
    if (hadCall) this.#dispatch('state', 'ended');
  }

  #ask(request: (call: Call) => Promise<unknown>): void {
    const call = this.#call;
    if (call !== undefined) request(call).catch((error: unknown) => this.#report(TalkMeshError.from(error)));
  }

  /** @returns whether the line was accepted */
  async #say(text: string): Promise<boolean> {
    try {
      if (this.#call === undefined) await this.connect({ microphone: false });
    } catch {
      return false;
    }
    const call = this.#call;
    if (call === undefined) return false;
    this.#messages.put('call', undefined);
    this.#transcript.add('user', text);
    this.#showTranscript();
    this.#ask(() => call.say(text));
    return true;
  }

  #showPoster(): void {
    const avatar = this.getAttribute('avatar') ?? '';
    const url = `${this.#baseUrl.replace(/\/+$/, '')}/v1/avatars/${encodeURIComponent(avatar)}`;
    this.#view.showPoster(
      avatar === '' ? undefined : `${url}/image`,
      avatar === '' || !this.hasAttribute('idle') || savesData() ? undefined : `${url}/idle`,
      avatar,
    );
  }

  #showDevices(): void {
    const wanted = this.isConnected && this.hasAttribute('devices');
    this.#view.showDevices(wanted);
    if (!wanted) {
      this.#picker?.close();
      return;
    }
    this.#picker ??= new DevicePicker({
      parts: this.#view.deviceParts,
      chosen: this.#chosen,
      // The element is there as soon as the page is.
      opensMicrophone: false,
      callMicrophone: () => this.#call?.microphone,
      onMicrophone: async (id) => {
        await this.#call?.useMicrophone(id);
        this.#chosen.microphone = id;
      },
      onSpeaker: async (id) => {
        await playOnSpeaker(this.#view.video, id);
        this.#chosen.speaker = id;
      },
    });
    void this.#picker.open();
  }

  #showTranscript(): void {
    this.#view.showTranscript(this.hasAttribute('transcript') ? this.#transcript.lines : undefined);
  }

  #showProgress(): void {
    const { caption, disclosure, recording } = this.#call?.progress ?? AT_REST;
    this.#view.showDisclosure(disclosure);
    this.#view.showRecording(recording);
    this.#view.showCaption(this.getAttribute('captions') === 'off' ? '' : (caption?.text ?? ''));
    if (caption === this.#caption) return;
    this.#caption = caption;
    this.#dispatch('caption', caption);
  }

  #showStats(stats?: CallStats): void {
    const shown = this.hasAttribute('stats') ? stats : undefined;
    this.#view.showStats(shown);
    if (shown !== undefined) this.#dispatch('stats', shown);
  }

  #show(state: CallState = this.state === 'new' && this.#starting !== undefined ? 'connecting' : this.state): void {
    this.#view.show({
      state,
      inCall: this.#call !== undefined || this.#starting !== undefined,
      hasMicrophone: this.#call?.hasMicrophone === true,
      muted: this.#call?.muted === true,
      isPushToTalk: this.getAttribute('input') === 'push-to-talk',
      talking: this.#push.talking,
    });
  }

  #report(error: TalkMeshError): void {
    this.#messages.put('call', { title: '', text: error.message, mild: false });
    this.#dispatch('error', error);
  }

  #dispatch<K extends keyof TalkMeshEvents>(type: K, detail: TalkMeshEvents[K]): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
