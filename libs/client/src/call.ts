import { type CallMediaDevices, CallMicrophone } from './call-microphone.js';
import { AT_REST, progressAfter } from './call-progress.js';
import { followEvents } from './event-feed.js';
import { type Http, TalkMeshError } from './http.js';
import { Listeners } from './listeners.js';
import { type CreatePeer, PeerLink, type PeerLinkOptions } from './peer.js';
import { PlaybackMeter } from './playback-meter.js';
import { QualityReports } from './quality-report.js';
import { TokenKeeper } from './token.js';
import type {
  CallEvent,
  CallListeners,
  CallProgress,
  CallState,
  CallStats,
  ConnectOptions,
  InputProblem,
  SessionTicket,
  StageService,
} from './types.js';

export interface CallDependencies {
  readonly http: Http;
  readonly ticket: SessionTicket;
  readonly apiKey: string | undefined;
  readonly createPeer: CreatePeer;
  readonly createStream: () => MediaStream;
  readonly mediaDevices: CallMediaDevices | undefined;
  readonly iceServers: RTCIceServer[];
  readonly gatherMs: number;
  readonly connectMs: number;
}

/** A conversation provider may decide not to answer: after this time no answer is awaited any more. */
const THINKING_LIMIT_MS = 20_000;

const LIVE: ReadonlySet<CallState> = new Set(['listening', 'thinking', 'speaking', 'paused']);

/** One call with one avatar. `TalkMeshClient` creates it; after `hangUp()` or in state `ended` it cannot be used again. */
export class Call {
  /** Video and audio of the avatar: `video.srcObject = call.stream`. It stays the same object when the call reconnects. */
  readonly stream: MediaStream;
  readonly #dependencies: CallDependencies;
  readonly #tokens: TokenKeeper;
  readonly #ended = new AbortController();
  readonly #listeners = new Listeners<CallListeners>();
  readonly #microphone: CallMicrophone;
  readonly #meter: PlaybackMeter;
  readonly #quality: QualityReports;
  #state: CallState = 'new';
  #viewerLink: PeerLink | undefined;
  #inputProblem: InputProblem | undefined;
  #isSessionOver = false;
  #isReadingEvents = false;
  /** Kept apart from the state, because turns go on while the video reconnects. */
  #progress: CallProgress = AT_REST;
  /** Whether the user has said or typed something that is not answered yet. */
  #isAnswerAwaited = false;
  #thinkingTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(dependencies: CallDependencies) {
    this.#dependencies = dependencies;
    this.stream = dependencies.createStream();
    this.#tokens = new TokenKeeper({
      http: dependencies.http,
      ticket: dependencies.ticket,
      apiKey: dependencies.apiKey,
      onRefused: (error) => this.#end(error),
    });
    this.#microphone = new CallMicrophone({
      devices: dependencies.mediaDevices,
      createLink: (hooks) => this.#createLink('whip', hooks),
      ended: this.#ended.signal,
      onTrouble: () => this.#showInputProblem(),
      onError: (error) => this.#report(error),
    });
    this.#meter = new PlaybackMeter({
      pc: () => this.#viewerLink?.pc,
      onStats: (stats) => {
        this.#quality.add(stats);
        this.#listeners.emit('stats', stats);
      },
    });
    this.#quality = new QualityReports((body) => {
      const request = { body, bearer: this.#tokens.token, keepalive: true };
      // A report that is lost changes nothing for the caller.
      dependencies.http.send('POST', `${this.#path()}/quality`, request).catch(() => undefined);
    });
  }

  get id(): string {
    return this.#dependencies.ticket.sessionId;
  }

  get state(): CallState {
    return this.#state;
  }

  /** Turns, caption and stages as the listener sees and hears them. */
  get progress(): CallProgress {
    return this.#progress;
  }

  /** Whether a microphone is connected; true also while it is muted. */
  get hasMicrophone(): boolean {
    return this.#microphone.isConnected;
  }

  /** What the microphone records; undefined without one. Do not stop it. */
  get microphone(): MediaStream | undefined {
    return this.#microphone.stream;
  }

  get muted(): boolean {
    return this.#microphone.muted;
  }

  /** Why the user cannot be heard well: what the browser knows of the device, or what the mesh hears. Silence of a muted one is no problem. */
  get inputProblem(): InputProblem | undefined {
    return this.#inputProblem;
  }

  /** Adds a listener; the returned function removes it. */
  on<K extends keyof CallListeners>(type: K, listener: CallListeners[K]): () => void {
    return this.#listeners.on(type, listener);
  }

  /**
   * Connects video and audio (WHEP), then the microphone (WHIP). Without a usable microphone the call continues and an
   * `error` (MIC_DENIED, MIC_MISSING) is emitted; `say()` still works.
   * @throws TalkMeshError when the video cannot be connected; the session still exists, so `connect()` may be called again.
   */
  async connect(options: ConnectOptions = {}): Promise<void> {
    if (this.#state !== 'new')
      throw new TalkMeshError('INTERNAL', `connect() was called in state ${this.#state}. Call it once, in state new.`);
    this.#setState('connecting');
    this.#meter.expectFrame();
    if (!this.#isReadingEvents) {
      this.#isReadingEvents = true;
      this.#tokens.start();
      void this.#readEvents();
    }
    const wanted = options.microphone ?? true;
    // The browser's permission prompt and the video connection run at the same time, because both take seconds.
    const microphone =
      wanted === false
        ? undefined
        : this.#microphone.acquire(wanted === true ? '' : wanted).catch((error: TalkMeshError) => {
            if (error.reason !== 'CANCELLED') this.#report(error);
          });
    this.#viewerLink = this.#createLink('whep', {
      prepare: (pc) => this.#prepareReceiver(pc),
      onUp: () => this.#setState(this.#liveState),
      onDown: () => {
        this.#meter.expectFrame();
        this.#setState('reconnecting');
      },
      onLost: (error) => this.#end(error),
    });
    try {
      await this.#viewerLink.open();
    } catch (error) {
      void Promise.resolve(microphone).then(() => this.#microphone.release());
      if (this.state === 'connecting') this.#setState('new');
      throw error;
    }
    await microphone;
    if (!this.#ended.signal.aborted)
      await this.#microphone.connect().catch((error: TalkMeshError) => this.#report(error));
  }

  /**
   * Uses another microphone; also in a call that began without one. Nothing else of the call changes.
   * @param deviceId of `listAudioDevices`; empty: the one that the system uses
   * @throws TalkMeshError MIC_DENIED, MIC_MISSING: the microphone before is kept; CANCELLED: another one was chosen meanwhile; or the connection cannot be made
   */
  async useMicrophone(deviceId = ''): Promise<void> {
    await this.#microphone.acquire(deviceId);
    await this.#microphone.connect();
  }

  /**
   * Makes the avatar speak a text of 1 to 2,000 characters.
   * @returns number of the turn that speaks it; `cancelled` when an interrupt came before its first sound
   * @throws TalkMeshError TTS_UNAVAILABLE, whose message says what to install
   */
  async say(text: string): Promise<{ turn: number; cancelled: boolean }> {
    this.#awaitAnswer(true);
    try {
      const said = await this.#command<{ turn: number; cancelled: boolean }>('say', { text });
      if (said.cancelled) this.#awaitAnswer(false);
      return said;
    } catch (error) {
      this.#awaitAnswer(false);
      throw error;
    }
  }

  /** Stops the avatar's speech for good; `interrupted` is false when it was silent. */
  interrupt(): Promise<{ interrupted: boolean }> {
    return this.#command('interrupt');
  }

  /**
   * Pauses the avatar's speech until `resume()`. The video continues, the rest of the speech is kept, and new lines wait.
   * `interrupt()` and a barge-in end the pause too. `paused` is false when the avatar was paused already.
   */
  pause(): Promise<{ paused: boolean }> {
    return this.#command('pause');
  }

  /** Continues the speech with the first sample that was not heard; `resumed` is false when the avatar was not paused. */
  resume(): Promise<{ resumed: boolean }> {
    return this.#command('resume');
  }

  /** Push-to-talk: the user begins to speak, which interrupts the avatar; `started` is false when an input is open already. */
  startInput(): Promise<{ started: boolean }> {
    return this.#command('input/start');
  }

  /** Push-to-talk: the user has spoken, and the provider answers; `committed` is false when no input is open. */
  commitInput(): Promise<{ committed: boolean }> {
    return this.#command('input/commit');
  }

  /** Push-to-talk: drops what the user said; `cancelled` is false when no input is open. */
  cancelInput(): Promise<{ cancelled: boolean }> {
    return this.#command('input/cancel');
  }

  /** Sends silence instead of the microphone; the device stays open. */
  mute(silent: boolean): void {
    this.#microphone.mute(silent);
    this.#showInputProblem();
  }

  /** Ends the session and releases the microphone. Never throws: a server that cannot be reached ends the session by its own deadline. */
  async hangUp(): Promise<void> {
    if (this.#state === 'ended') return;
    this.#quality.flush();
    const end = this.#dependencies.http.send('DELETE', this.#path(), { bearer: this.#tokens.token, keepalive: true });
    this.#isSessionOver = true;
    this.#end();
    await end.catch(() => undefined);
  }

  /** Ends the session with a beacon, which the browser sends even when the page is closed: call it on `pagehide`. @returns whether the browser queued it */
  hangUpNow(beacon: (url: string, body: string) => boolean = (url, body) => navigator.sendBeacon(url, body)): boolean {
    if (this.#isSessionOver) return false;
    return beacon(this.#dependencies.http.url(`${this.#path()}/beacon`), JSON.stringify({ token: this.#tokens.token }));
  }

  /**
   * Keeps lips and voice together in the element that plays `stream`, measures how it plays, and reports that to the gateway's metrics.
   * @returns a function that ends it, as the end of the call does
   */
  observe(video: HTMLVideoElement): () => void {
    return this.#meter.observe(video);
  }

  /** Statistics of the video connection. @throws TalkMeshError NETWORK while it is not connected */
  async stats(): Promise<CallStats> {
    const stats = await this.#meter.read();
    if (stats === undefined) throw new TalkMeshError('NETWORK', 'The video is not connected. Call connect() first.');
    return stats;
  }

  /** State while the video is connected. */
  get #liveState(): CallState {
    const { paused, turns } = this.#progress;
    if (paused) return 'paused';
    if (turns.some(({ audible }) => audible)) return 'speaking';
    return turns.length > 0 || this.#isAnswerAwaited ? 'thinking' : 'listening';
  }

  #awaitAnswer(awaited: boolean): void {
    this.#isAnswerAwaited = awaited;
    clearTimeout(this.#thinkingTimer);
    if (awaited) this.#thinkingTimer = setTimeout(() => this.#awaitAnswer(false), THINKING_LIMIT_MS);
    this.#showProgress();
  }

  #showProgress(): void {
    if (LIVE.has(this.#state)) this.#setState(this.#liveState);
  }

  #path(): string {
    return `/v1/sessions/${this.id}`;
  }

  #command<T>(verb: 'say' | 'interrupt' | 'pause' | 'resume' | `input/${string}`, body: unknown = {}): Promise<T> {
    return this.#dependencies.http.json<T>('POST', `${this.#path()}/${verb}`, {
      body,
      bearer: this.#tokens.token,
      signal: this.#ended.signal,
    });
  }

  #createLink(
    protocol: 'whip' | 'whep',
    hooks: Pick<PeerLinkOptions, 'prepare' | 'onUp' | 'onDown' | 'onLost'>,
  ): PeerLink {
    return new PeerLink(
      {
        http: this.#dependencies.http,
        path: `/v1/${protocol}/${this.id}`,
        bearer: () => this.#tokens.token,
        createPeer: this.#dependencies.createPeer,
        iceServers: this.#dependencies.iceServers,
        gatherMs: this.#dependencies.gatherMs,
        connectMs: this.#dependencies.connectMs,
        ...hooks,
      },
      this.#ended.signal,
    );
  }

  #prepareReceiver(pc: RTCPeerConnection): void {
    pc.addTransceiver('video', { direction: 'recvonly' });
    pc.addTransceiver('audio', { direction: 'recvonly' });
    pc.addEventListener('track', ({ track }) => {
      for (const old of this.stream.getTracks()) if (old.kind === track.kind) this.stream.removeTrack(old);
      this.stream.addTrack(track);
    });
  }

  #showInputProblem(): void {
    const heard = this.#progress.inputProblem;
    const known = this.#microphone.muted && heard?.code === 'silent' ? undefined : heard;
    const problem = this.#microphone.trouble ?? known;
    if (problem?.code === this.#inputProblem?.code) return;
    this.#inputProblem = problem;
    this.#listeners.emit('input', problem);
  }

  #readEvents(): Promise<void> {
    return followEvents({
      http: this.#dependencies.http,
      path: `${this.#path()}/events`,
      bearer: () => this.#tokens.token,
      signal: this.#ended.signal,
      onEvent: (event) => this.#onEvent(event),
      onError: (error) => this.#end(error),
    });
  }

  #onEvent(event: CallEvent): void {
    this.#progress = progressAfter(this.#progress, event);
    this.#listeners.emit('event', event);
    this.#showInputProblem();
    if (event.type === 'session.ended') {
      this.#isSessionOver = true;
      this.#end();
    } else if (event.type === 'stage.moved') this.#reconnect(event.service);
    else if (event.type === 'error') this.#report(new TalkMeshError(event.reason, event.message));
    else if (event.type === 'speech.stopped') this.#awaitAnswer(event.cancelled !== true);
    else if (event.type === 'speech.started' || event.type.startsWith('turn.')) this.#awaitAnswer(false);
    else this.#showProgress();
  }

  /** A peer connection ends at one worker. After a move the new worker needs an offer of its own, so the call does not wait for the old connection to time out. */
  #reconnect(service: StageService): void {
    if (service === 'webrtc-egress') void this.#viewerLink?.renew();
    else if (service === 'audio-ingest') this.#microphone.renew();
  }

  #setState(state: CallState): void {
    if (this.#state === state || this.#state === 'ended') return;
    this.#state = state;
    this.#listeners.emit('state', state);
  }

  #report(error: TalkMeshError): undefined {
    if (this.#ended.signal.aborted) return;
    this.#listeners.emit('error', TalkMeshError.from(error));
  }

  #end(error?: TalkMeshError): void {
    if (this.#state === 'ended') return;
    if (error !== undefined) this.#report(error);
    this.#ended.abort();
    this.#tokens.stop();
    this.#meter.stop();
    clearTimeout(this.#thinkingTimer);
    this.#microphone.release();
    this.#setState('ended');
  }
}
