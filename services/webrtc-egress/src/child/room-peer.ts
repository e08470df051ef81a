import {
  AudioFrame,
  AudioSource,
  LocalAudioTrack,
  LocalVideoTrack,
  type Room,
  TrackPublishOptions,
  TrackSource,
  VideoBufferType,
  VideoCodec,
  VideoFrame,
  VideoSource,
} from '@livekit/rtc-node';
import type { RoomMedia } from '@talkmesh/webrtc/room-child';
import type { FromRoomPeer, RoomSetup, ToRoom } from '../viewer-messages.js';
import { AgentStreams } from './agent-streams.js';
import { ClockedPlayout } from './clocked-playout.js';
import { TextWriter } from './text-writer.js';

/** Both tracks carry this stream name, so that subscribers synchronise them. */
const STREAM = 'avatar';
/** Below this side a second, smaller picture is of no use to anyone. */
const SIMULCAST_SIDE = 480;
/** The playout clock paces the audio, so the library must not queue it: what it holds would be late, and counted as heard. */
const NO_QUEUE_MS = 0;

/** The avatar in a LiveKit room: a video and an audio track, fed by one playout clock while the room is joined. */
export class RoomPeer implements RoomMedia<ToRoom> {
  readonly subscribes = false;
  readonly #setup: RoomSetup;
  readonly #playout: ClockedPlayout;
  readonly #agent: AgentStreams | undefined;
  #writer: TextWriter | undefined;
  #sources: { readonly video: VideoSource; readonly audio: AudioSource } | undefined;

  constructor(setup: RoomSetup, emit: (message: FromRoomPeer) => void) {
    this.#setup = setup;
    const outlet = {
      video: (i420: Uint8Array) => this.#showFrame(i420),
      audio: (samples: Int16Array) => this.#playBlock(samples),
    };
    this.#playout = new ClockedPlayout(setup, outlet, emit);
    if (setup.agent !== '') this.#agent = new AgentStreams(setup.agent, (message) => emit({ type: 'agent', message }));
  }

  prepare(room: Room): void {
    this.#agent?.listen(room);
  }

  /** Publishes audio, then video: agents wait for the video track. */
  async joined(room: Room): Promise<void> {
    const { width, height, fps, sampleRateHz, maxKbps } = this.#setup;
    await this.#closeSources();
    const video = new VideoSource(width, height);
    const audio = new AudioSource(sampleRateHz, 1, NO_QUEUE_MS);
    this.#sources = { video, audio };
    const { localParticipant } = room;
    if (localParticipant === undefined) throw new Error('a joined room has a local participant');
    // Before the tracks: an agent that sees them may call at once.
    this.#agent?.joined(localParticipant);
    const heard = await localParticipant.publishTrack(
      LocalAudioTrack.createAudioTrack('avatar_audio', audio),
      new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE, stream: STREAM, dtx: false }),
    );
    await localParticipant.publishTrack(
      LocalVideoTrack.createVideoTrack('avatar_video', video),
      new TrackPublishOptions({
        source: TrackSource.SOURCE_CAMERA,
        stream: STREAM,
        videoCodec: VideoCodec.VP8,
        simulcast: Math.min(width, height) >= SIMULCAST_SIDE,
        videoEncoding: { maxBitrate: BigInt(maxKbps * 1000), maxFramerate: fps },
      }),
    );
    this.#writer = new TextWriter(localParticipant, heard);
  }

  handle(message: ToRoom): void {
    if (message.type === 'report') this.#agent?.report(message.report);
    else if (message.type === 'text') this.#writer?.write(message.text);
    else this.#playout.handle(message);
  }

  stateChanged(state: string): void {
    this.#playout.run(state === 'connected');
  }

  close(): void {
    this.#playout.run(false);
    void this.#closeSources();
  }

  #showFrame(i420: Uint8Array): void {
    const { width, height } = this.#setup;
    this.#sources?.video.captureFrame(new VideoFrame(i420, width, height, VideoBufferType.I420));
  }

  #playBlock(samples: Int16Array): void {
    // A block that comes while the room is being left is refused; the playhead then does not move either.
    this.#sources?.audio
      .captureFrame(new AudioFrame(samples, this.#setup.sampleRateHz, 1, samples.length))
      .catch(() => undefined);
  }

  async #closeSources(): Promise<void> {
    const sources = this.#sources;
    this.#sources = undefined;
    await sources?.video.close();
    await sources?.audio.close();
  }
}
