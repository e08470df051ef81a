import wrtc from '@roamhq/wrtc';
import type { PeerConnection, PeerMedia } from '@talkmesh/webrtc/child';
import type { FromMic, ToMic } from '../mic-messages.js';
import { BlockJoiner, type SoundBlock } from './block-joiner.js';

type AudioSink = InstanceType<typeof wrtc.nonstandard.RTCAudioSink>;

/** One microphone: forwards the audio of the first audio track to the service. */
export class MicPeer implements PeerMedia<ToMic> {
  readonly #connection: PeerConnection;
  readonly #joiner: BlockJoiner;
  #track: MediaStreamTrack | undefined;
  #sink: AudioSink | undefined;

  constructor(connection: PeerConnection, emit: (message: FromMic) => void) {
    this.#connection = connection;
    this.#joiner = new BlockJoiner(emit);
    connection.addEventListener('track', ({ track }) => this.#listen(track));
  }

  /** Declines video: only the microphone is used. */
  negotiating(): void {
    for (const transceiver of this.#connection.getTransceivers())
      if (transceiver.direction !== 'stopped' && transceiver.receiver.track.kind === 'video')
        transceiver.direction = 'inactive';
  }

  handle(): void {}

  stateChanged(): void {}

  close(): void {
    this.#sink?.stop();
    this.#track?.stop();
  }

  #listen(track: MediaStreamTrack): void {
    if (track.kind !== 'audio' || this.#sink !== undefined) return;
    this.#track = track;
    this.#sink = new wrtc.nonstandard.RTCAudioSink(track);
    this.#sink.ondata = (block: SoundBlock) => this.#joiner.push(block);
  }
}
