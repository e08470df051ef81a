import wrtc from '@roamhq/wrtc';
import type { PeerConnection, PeerMedia } from '@talkmesh/webrtc/child';
import type { FromViewer, ToViewer, ViewerSetup } from '../viewer-messages.js';
import { Playout } from './playout.js';

const { nonstandard } = wrtc;

/** One viewer: a picture track and a sound track fed by one clock while the connection stands. */
export class ViewerPeer implements PeerMedia<ToViewer> {
  readonly #video = new nonstandard.RTCVideoSource();
  readonly #audio = new nonstandard.RTCAudioSource();
  readonly #tracks: MediaStreamTrack[] = [];
  readonly #playout: Playout;
  #timer: NodeJS.Timeout | undefined;
  #connected = false;

  constructor(connection: PeerConnection, setup: ViewerSetup, emit: (message: FromViewer) => void) {
    // One stream for both tracks, or the receiver does not synchronise them.
    const stream = new wrtc.MediaStream();
    if (setup.hasAudio) this.#tracks.push(this.#audio.createTrack());
    if (setup.hasVideo) this.#tracks.push(this.#video.createTrack());
    for (const track of this.#tracks) connection.addTrack(track, stream);
    const { width, height, sampleRateHz, fps } = setup;
    this.#playout = new Playout({
      fps,
      sampleRateHz,
      now: () => performance.now(),
      video: (i420) => this.#video.onFrame({ width, height, data: i420 }),
      audio: (samples) => this.#audio.onData({ samples, sampleRate: sampleRateHz }),
      onPlayed: (report) => emit({ type: 'played', report }),
      onHeld: () => emit({ type: 'held' }),
      onStall: (stalledMs) => emit({ type: 'stalled', stalledMs }),
    });
    this.#discarded = (serials) => emit({ type: 'discarded', serials });
  }

  readonly #discarded: (serials: readonly number[]) => void;

  handle(message: ToViewer): void {
    if (message.type === 'flush') {
      const serials = this.#playout.flush(message.epoch, message.fromChunk);
      if (serials.length > 0) this.#discarded(serials);
      return;
    }
    // Arrays from another process are views of a larger buffer; native code takes the whole buffer of a view.
    const { i420, pcm } = message.frame;
    this.#playout.push({ ...message.frame, i420: new Uint8Array(i420), pcm: new Int16Array(pcm) });
    if (this.#timer === undefined) this.#tick();
  }

  stateChanged(state: string): void {
    this.#connected = state === 'connected';
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#connected) this.#tick();
    else this.#playout.pause();
  }

  close(): void {
    this.stateChanged('closed');
    for (const track of this.#tracks) track.stop();
  }

  #tick(): void {
    if (!this.#connected) return;
    const waitMs = this.#playout.tick();
    this.#timer = waitMs === undefined ? undefined : setTimeout(() => this.#tick(), waitMs);
  }
}
