import wrtc from '@roamhq/wrtc';
import type { PeerConnection, PeerMedia } from '@talkmesh/webrtc/child';
import type { FromViewer, ToViewer, ViewerSetup } from '../viewer-messages.js';
import { ClockedPlayout } from './clocked-playout.js';

const { nonstandard } = wrtc;

/** One viewer: a video and an audio track, fed by one playout clock while the peer is connected. */
export class ViewerPeer implements PeerMedia<ToViewer> {
  readonly #video = new nonstandard.RTCVideoSource();
  readonly #audio = new nonstandard.RTCAudioSource();
  readonly #connection: PeerConnection;
  readonly #tracks: MediaStreamTrack[] = [];
  readonly #playout: ClockedPlayout;

  constructor(connection: PeerConnection, setup: ViewerSetup, emit: (message: FromViewer) => void) {
    this.#connection = connection;
    // Both tracks must share one stream, otherwise the receiver does not synchronise them.
    const stream = new wrtc.MediaStream();
    if (setup.hasAudio) this.#tracks.push(this.#audio.createTrack());
    if (setup.hasVideo) this.#tracks.push(this.#video.createTrack());
    for (const track of this.#tracks) connection.addTrack(track, stream);
    const { width, height, sampleRateHz } = setup;
    const outlet = {
      video: (i420: Uint8Array) => this.#video.onFrame({ width, height, data: i420 }),
      audio: (samples: Int16Array) => this.#audio.onData({ samples, sampleRate: sampleRateHz }),
    };
    this.#playout = new ClockedPlayout(setup, outlet, emit);
  }

  /** A viewer only receives: media that it offers to send is declined. */
  negotiating(): void {
    for (const transceiver of this.#connection.getTransceivers()) {
      if (transceiver.direction === 'stopped') continue;
      const { track } = transceiver.sender;
      transceiver.direction = track !== null && this.#tracks.includes(track) ? 'sendonly' : 'inactive';
    }
  }

  handle(message: ToViewer): void {
    this.#playout.handle(message);
  }

  stateChanged(state: string): void {
    this.#playout.run(state === 'connected');
  }

  close(): void {
    this.stateChanged('closed');
    for (const track of this.#tracks) track.stop();
  }
}
