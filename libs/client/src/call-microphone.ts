import { TalkMeshError } from './http.js';
import { MicrophoneOpener, stopTracks } from './microphone.js';
import type { PeerLink, PeerLinkOptions } from './peer.js';
import type { InputProblem } from './types.js';

/** What `Call` needs of `navigator.mediaDevices`; the latter two, so that a microphone that comes back is used again. */
export type CallMediaDevices = Pick<MediaDevices, 'getUserMedia'> &
  Partial<Pick<MediaDevices, 'enumerateDevices' | 'addEventListener'>>;

export interface CallMicrophoneOptions {
  readonly devices: CallMediaDevices | undefined;
  readonly createLink: (hooks: Pick<PeerLinkOptions, 'prepare' | 'onUp' | 'onDown' | 'onLost'>) => PeerLink;
  /** Aborted when the call ends. */
  readonly ended: AbortSignal;
  /** Its trouble has changed. */
  readonly onTrouble: () => void;
  readonly onError: (error: TalkMeshError) => void;
}

type Trouble = InputProblem & { readonly code: 'unplugged' | 'system-muted' };

const TROUBLES: Readonly<Record<Trouble['code'], Trouble>> = {
  unplugged: { code: 'unplugged', text: 'The microphone was unplugged. Connect it again, or choose another one.' },
  'system-muted': {
    code: 'system-muted',
    text: 'The system mutes the microphone. Unmute it there, or by the switch or key of the device.',
  },
};

/** The microphone of a call: the device that is open, and its connection (WHIP). The device may change while the connection stays. */
export class CallMicrophone {
  readonly #options: CallMicrophoneOptions;
  readonly #opener: MicrophoneOpener;
  #link: PeerLink | undefined;
  #stream: MediaStream | undefined;
  /** The user's device, which is stopped with the call; a stream that the page brought is not. */
  #isOwn = false;
  #deviceId = '';
  #isMuted = false;
  #trouble: Trouble | undefined;

  constructor(options: CallMicrophoneOptions) {
    this.#options = options;
    this.#opener = new MicrophoneOpener(options.devices);
    options.devices?.addEventListener?.('devicechange', () => void this.#onDevices(), { signal: options.ended });
  }

  get isConnected(): boolean {
    return this.#link?.pc !== undefined;
  }

  get stream(): MediaStream | undefined {
    return this.#stream;
  }

  get muted(): boolean {
    return this.#isMuted;
  }

  /** Why nothing can be heard, as far as the browser knows. */
  get trouble(): Trouble | undefined {
    return this.#trouble;
  }

  mute(silent: boolean): void {
    this.#isMuted = silent;
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !silent;
  }

  /**
   * Opens a device, or takes the page's stream, in place of the one before.
   * @param wanted device id (empty: the system's microphone), or a stream
   * @throws TalkMeshError MIC_DENIED, MIC_MISSING; CANCELLED: another one was chosen meanwhile. The one before is kept
   */
  async acquire(wanted: string | MediaStream): Promise<void> {
    const isOwn = typeof wanted === 'string';
    if (!isOwn) this.#opener.cancel();
    const stream = isOwn ? await this.#opener.open(wanted) : wanted;
    const [track] = stream.getAudioTracks();
    if (track === undefined) throw new TalkMeshError('MIC_MISSING', 'The microphone stream has no audio track.');
    this.release();
    this.#isOwn = isOwn;
    this.#deviceId = isOwn ? wanted : '';
    this.#stream = stream;
    if (this.#options.ended.aborted) return this.release();
    this.mute(this.#isMuted);
    this.#watch(track);
    await this.#send();
  }

  /** Connects what was acquired. Nothing was: does nothing. @throws TalkMeshError */
  async connect(): Promise<void> {
    if (this.#track === undefined || this.#link !== undefined) return;
    const link = this.#options.createLink({
      prepare: (pc) => {
        if (this.#track !== undefined) pc.addTransceiver(this.#track, { direction: 'sendonly' });
      },
      // The device may have changed while the connection was made.
      onUp: () => void this.#send(),
      onDown: () => undefined,
      onLost: (error) => {
        this.#link = undefined;
        this.#options.onError(error);
      },
    });
    this.#link = link;
    try {
      await link.open();
    } catch (error) {
      this.#link = undefined;
      throw error;
    }
  }

  /** The worker that received it has changed. */
  renew(): void {
    void this.#link?.renew();
  }

  release(): void {
    if (this.#isOwn) stopTracks(this.#stream);
    this.#stream = undefined;
  }

  get #track(): MediaStreamTrack | undefined {
    return this.#stream?.getAudioTracks()[0];
  }

  async #send(): Promise<void> {
    const [sender] = this.#link?.pc?.getSenders() ?? [];
    if (sender !== undefined && sender.track !== this.#track) await sender.replaceTrack(this.#track ?? null);
  }

  #watch(track: MediaStreamTrack): void {
    const tell = (trouble: Trouble['code'] | undefined) => (): void => {
      if (track !== this.#track) return;
      this.#trouble = trouble === undefined ? undefined : TROUBLES[trouble];
      this.#options.onTrouble();
    };
    track.addEventListener('ended', tell('unplugged'));
    track.addEventListener('mute', tell('system-muted'));
    track.addEventListener('unmute', tell(undefined));
    tell(track.muted ? 'system-muted' : undefined)();
  }

  /** A microphone that was unplugged is connected again, or the system uses another one now. */
  async #onDevices(): Promise<void> {
    if (this.#trouble?.code !== 'unplugged') return;
    const devices = (await this.#options.devices?.enumerateDevices?.()) ?? [];
    const isThere = devices.some(
      ({ kind, deviceId }) => kind === 'audioinput' && (this.#deviceId === '' || deviceId === this.#deviceId),
    );
    // What the user chooses meanwhile counts, not the device before.
    if (isThere && !this.#opener.isOpening) await this.acquire(this.#deviceId).catch(() => undefined);
  }
}
