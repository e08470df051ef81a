import { followEvents } from './event-feed.js';
import { type Http, TalkMeshError } from './http.js';
import { openMicrophone } from './microphone.js';
import { type CreatePeer, PeerLink, type PeerLinkOptions } from './peer.js';
import { summarise } from './stats.js';
import { TokenKeeper } from './token.js';
import type { CallEvent, CallState, CallStats, SessionTicket, StageService } from './types.js';

export interface CallListeners {
  /** Every event of the session, as the mesh sent it. */
  event: (event: CallEvent) => void;
  state: (state: CallState) => void;
  /** Something failed; the call goes on unless `state` says `ended`. */
  error: (error: TalkMeshError) => void;
}

export interface CallDependencies {
  readonly http: Http;
  readonly ticket: SessionTicket;
  readonly apiKey: string | undefined;
  readonly createPeer: CreatePeer;
  readonly createStream: () => MediaStream;
  readonly mediaDevices: Pick<MediaDevices, 'getUserMedia'> | undefined;
  readonly iceServers: RTCIceServer[];
  readonly gatherMs: number;
  readonly connectMs: number;
}

export interface ConnectOptions {
  /** `true` (default) asks for the microphone, a MediaStream is used as it is, `false` only listens and types. */
  readonly microphone?: MediaStream | boolean;
}

/** A pause the conversation provider decides not to answer must not look like thinking for ever. */
const THINKING_LIMIT_MS = 20_000;

const LIVE: ReadonlySet<CallState> = new Set(['listening', 'thinking', 'speaking', 'paused']);

/** One call with one avatar. Made by `TalkMeshClient`; over after `hangUp()` or state `ended`. */
export class Call {
  /** Picture and sound of the avatar: `video.srcObject = call.stream`. Stays the same object over reconnects. */
  readonly stream: MediaStream;
  private readonly d: CallDependencies;
  private readonly tokens: TokenKeeper;
  private readonly over = new AbortController();
  private readonly listeners: { [K in keyof CallListeners]: Set<CallListeners[K]> } = {
    event: new Set(),
    state: new Set(),
    error: new Set(),
  };
  private current: CallState = 'new';
  private viewer: PeerLink | undefined;
  private voice: PeerLink | undefined;
  private microphone: MediaStream | undefined;
  private ownsMicrophone = false;
  private silenced = false;
  private sessionOver = false;
  private followed = false;
  /** A turn runs, whatever happens to the picture meanwhile. */
  private talking = false;
  private paused = false;
  private doubt: ReturnType<typeof setTimeout> | undefined;

  constructor(dependencies: CallDependencies) {
    this.d = dependencies;
    this.stream = dependencies.createStream();
    this.tokens = new TokenKeeper({
      http: dependencies.http,
      ticket: dependencies.ticket,
      apiKey: dependencies.apiKey,
      onRefused: (error) => this.finish(error),
    });
  }

  /** Session id. */
  get id(): string {
    return this.d.ticket.sessionId;
  }

  get state(): CallState {
    return this.current;
  }

  /** Whether a microphone is being sent. */
  get hasMicrophone(): boolean {
    return this.voice?.pc !== undefined;
  }

  get muted(): boolean {
    return this.silenced;
  }

  /** Listens; the returned function stops listening. */
  on<K extends keyof CallListeners>(type: K, listener: CallListeners[K]): () => void {
    this.listeners[type].add(listener);
    return () => this.listeners[type].delete(listener);
  }

  /**
   * Connects picture and sound (WHEP), then the microphone (WHIP). Without a usable microphone the call goes on and an
   * `error` (MIC_DENIED, MIC_MISSING) is emitted: lines can still be typed.
   * @throws TalkMeshError when the picture cannot be connected; the session still exists, so it may be tried again.
   */
  async connect(options: ConnectOptions = {}): Promise<void> {
    if (this.current !== 'new') throw new TalkMeshError('INTERNAL', `connect() was called in state ${this.current}.`);
    this.enter('connecting');
    if (!this.followed) {
      this.followed = true;
      this.tokens.start();
      void this.follow();
    }
    const wanted = options.microphone ?? true;
    // The question for the microphone stands on the screen while the picture connects.
    const microphone = this.takeMicrophone(wanted).catch((error: TalkMeshError) => this.report(error));
    this.viewer = this.link('whep', {
      prepare: (pc) => this.receive(pc),
      onUp: () => this.enter(this.atRest),
      onDown: () => this.enter('reconnecting'),
      onLost: (error) => this.finish(error),
    });
    try {
      await this.viewer.open();
    } catch (error) {
      void microphone.then(() => this.giveMicrophoneBack());
      if (this.state === 'connecting') this.enter('new');
      throw error;
    }
    if ((await microphone) === undefined || this.over.signal.aborted) return;
    await this.sendVoice().catch((error: TalkMeshError) => this.report(error));
  }

  /** Says a line. @throws TalkMeshError TTS_UNAVAILABLE tells what to install */
  async say(text: string): Promise<{ turn: number }> {
    const before = this.current;
    if (before === 'listening') this.enter('thinking');
    try {
      return await this.ask('say', { text });
    } catch (error) {
      if (this.state === 'thinking') this.enter(before);
      throw error;
    }
  }

  /** Stops what the avatar is saying; false when it was silent. */
  interrupt(): Promise<{ interrupted: boolean }> {
    return this.ask('interrupt');
  }

  /**
   * The avatar says nothing until `resume()`, and goes on living; nothing that is left to be said is lost, and new lines wait.
   * An `interrupt()`, or the user speaking over it, ends the pause. False when it was paused already.
   */
  pause(): Promise<{ paused: boolean }> {
    return this.ask('pause');
  }

  /** Goes on with the sample where the listener stopped hearing; false when it was not paused. */
  resume(): Promise<{ resumed: boolean }> {
    return this.ask('resume');
  }

  /** Silences the microphone without giving it back. */
  mute(silent: boolean): void {
    this.silenced = silent;
    for (const track of this.microphone?.getAudioTracks() ?? []) track.enabled = !silent;
  }

  /** Ends the session for everybody and gives the microphone back. Never throws: a dead server ends it by itself. */
  async hangUp(): Promise<void> {
    if (this.current === 'ended') return;
    const end = this.d.http.send('DELETE', this.path(), { bearer: this.tokens.token, keepalive: true });
    this.sessionOver = true;
    this.finish();
    await end.catch(() => undefined);
  }

  /** For `pagehide`: a request that outlives the page. True when the browser took it. */
  hangUpNow(beacon: (url: string, body: string) => boolean = (url, body) => navigator.sendBeacon(url, body)): boolean {
    if (this.sessionOver) return false;
    return beacon(this.d.http.url(`${this.path()}/beacon`), JSON.stringify({ token: this.tokens.token }));
  }

  /** @throws TalkMeshError NETWORK while nothing is connected */
  async stats(): Promise<CallStats> {
    const report = await this.viewer?.pc?.getStats();
    if (report === undefined) throw new TalkMeshError('NETWORK', 'The picture is not connected.');
    return summarise(report as unknown as ReadonlyMap<string, unknown>);
  }

  /** What a live picture shows when nothing is being thought about. */
  private get atRest(): CallState {
    if (this.paused) return 'paused';
    return this.talking ? 'speaking' : 'listening';
  }

  private path(): string {
    return `/v1/sessions/${this.id}`;
  }

  private ask<T>(verb: 'say' | 'interrupt' | 'pause' | 'resume', body: unknown = {}): Promise<T> {
    return this.d.http.json<T>('POST', `${this.path()}/${verb}`, {
      body,
      bearer: this.tokens.token,
      signal: this.over.signal,
    });
  }

  private link(
    protocol: 'whip' | 'whep',
    o: Pick<PeerLinkOptions, 'prepare' | 'onUp' | 'onDown' | 'onLost'>,
  ): PeerLink {
    return new PeerLink(
      {
        http: this.d.http,
        path: `/v1/${protocol}/${this.id}`,
        bearer: () => this.tokens.token,
        createPeer: this.d.createPeer,
        iceServers: this.d.iceServers,
        gatherMs: this.d.gatherMs,
        connectMs: this.d.connectMs,
        ...o,
      },
      this.over.signal,
    );
  }

  private receive(pc: RTCPeerConnection): void {
    pc.addTransceiver('video', { direction: 'recvonly' });
    pc.addTransceiver('audio', { direction: 'recvonly' });
    pc.addEventListener('track', ({ track }) => {
      for (const old of this.stream.getTracks()) if (old.kind === track.kind) this.stream.removeTrack(old);
      this.stream.addTrack(track);
    });
  }

  private async takeMicrophone(wanted: MediaStream | boolean): Promise<MediaStream | undefined> {
    if (wanted === false) return undefined;
    this.ownsMicrophone = wanted === true;
    const stream = wanted === true ? await openMicrophone(this.d.mediaDevices) : wanted;
    this.microphone = stream;
    if (this.over.signal.aborted) this.giveMicrophoneBack();
    this.mute(this.silenced);
    return stream;
  }

  private async sendVoice(): Promise<void> {
    const [track] = this.microphone?.getAudioTracks() ?? [];
    if (track === undefined) throw new TalkMeshError('MIC_MISSING', 'The microphone stream has no audio track.');
    this.voice = this.link('whip', {
      prepare: (pc) => pc.addTransceiver(track, { direction: 'sendonly' }),
      onUp: () => undefined,
      onDown: () => undefined,
      onLost: (error) => this.report(error),
    });
    await this.voice.open();
  }

  private giveMicrophoneBack(): void {
    if (this.ownsMicrophone) for (const track of this.microphone?.getTracks() ?? []) track.stop();
    this.microphone = undefined;
  }

  private follow(): Promise<void> {
    return followEvents({
      http: this.d.http,
      path: `${this.path()}/events`,
      bearer: () => this.tokens.token,
      signal: this.over.signal,
      onEvent: (event) => this.take(event),
      onError: (error) => this.finish(error),
    });
  }

  private take(event: CallEvent): void {
    this.emit('event', event);
    if (event.type === 'turn.started' || event.type === 'turn.finished') this.talking = event.type === 'turn.started';
    if (event.type === 'turn.paused' || event.type === 'turn.resumed') this.paused = event.type === 'turn.paused';
    if (event.type === 'session.ended') {
      this.sessionOver = true;
      this.finish();
    } else if (event.type === 'stage.moved') this.reconnect(event.service);
    else if (event.type === 'error') this.report(new TalkMeshError(event.reason, event.message));
    else if (!LIVE.has(this.current)) return;
    else if (event.type.startsWith('turn.')) this.enter(this.atRest);
    else if (event.type === 'speech.stopped' && this.current === 'listening') this.enter('thinking');
    else if (event.type === 'speech.started' && this.current === 'thinking') this.enter('listening');
  }

  /** A peer connection does not travel with its stage: the new worker needs an offer of its own, before the old one times out. */
  private reconnect(service: StageService): void {
    if (service === 'webrtc-egress') void this.viewer?.renew();
    else if (service === 'audio-ingest') void this.voice?.renew();
  }

  private enter(state: CallState): void {
    if (this.current === state || this.current === 'ended') return;
    this.current = state;
    clearTimeout(this.doubt);
    if (state === 'thinking') this.doubt = setTimeout(() => this.enter('listening'), THINKING_LIMIT_MS);
    this.emit('state', state);
  }

  /** A listener that throws is the page's error, not the call's. */
  private emit<K extends keyof CallListeners>(type: K, value: Parameters<CallListeners[K]>[0]): void {
    for (const listener of this.listeners[type] as Set<(value: unknown) => void>)
      try {
        listener(value);
      } catch (error) {
        reportError(error);
      }
  }

  private report(error: TalkMeshError): undefined {
    if (this.over.signal.aborted) return;
    this.emit('error', TalkMeshError.from(error));
  }

  private finish(error?: TalkMeshError): void {
    if (this.current === 'ended') return;
    if (error !== undefined) this.report(error);
    this.over.abort();
    this.tokens.stop();
    this.giveMicrophoneBack();
    this.enter('ended');
  }
}
