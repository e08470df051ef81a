import {
  type AudioFrame,
  AudioStream,
  dispose,
  type RemoteParticipant,
  type RemoteTrack,
  type RemoteTrackPublication,
  Room,
  RoomEvent,
  TrackKind,
  type VideoFrameEvent,
  VideoStream,
} from '@livekit/rtc-node';
import { until } from '@talkmesh/service-kit/testing';

const LOUD = 1000;
const BRIGHT = 120;

/** The DOM's type of streams, which the compiler takes, does not know that they can be iterated. */
const valuesOf = <T>(stream: unknown): AsyncIterable<T> => stream as AsyncIterable<T>;

/** Ends the library's threads, which keep the process alive. To be called when all viewers have left. */
export const endRoomLibrary = (): Promise<void> => dispose();

export interface ReadText {
  readonly topic: string;
  readonly from: string;
  readonly text: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** By performance.now(). */
  readonly atMs: number;
}

/** A participant that watches a LiveKit room with LiveKit's own library and measures what it receives. */
export class RoomViewer implements AsyncDisposable {
  readonly room = new Room();
  /** When frames arrived and how bright each is in the middle, by performance.now(), and which of the video tracks so far it is from. */
  readonly frames: { readonly atMs: number; readonly bright: boolean; readonly track: number }[] = [];
  #videoTracks = 0;
  /** When 10 ms blocks of audio arrived, whether they are loud, and their samples at 24 kHz. */
  readonly blocks: { readonly atMs: number; readonly loud: boolean; readonly pcm: Int16Array }[] = [];
  readonly sizes = new Set<string>();
  /** What happened to other participants and their tracks, oldest first. */
  readonly happened: string[] = [];
  /** Text streams of the topics that were asked for, in the order in which they began. */
  readonly texts: ReadText[] = [];

  /** @param topics of text streams */
  static async join(url: string, token: string, topics: readonly string[] = []): Promise<RoomViewer> {
    const viewer = new RoomViewer();
    for (const topic of topics) viewer.#readTexts(topic);
    await viewer.room.connect(url, token, { autoSubscribe: true, dynacast: true });
    return viewer;
  }

  private constructor() {
    this.room
      .on(
        RoomEvent.TrackSubscribed,
        (track: RemoteTrack, publication: RemoteTrackPublication, participant: RemoteParticipant) => {
          this.happened.push(`subscribed ${publication.name} of ${participant.identity}`);
          // Other participants may speak too.
          if (!publication.name?.startsWith('avatar')) return;
          void (track.kind === TrackKind.KIND_VIDEO ? this.#watch(track) : this.#listen(track));
        },
      )
      .on(RoomEvent.TrackUnsubscribed, () => this.happened.push('unsubscribed'))
      .on(RoomEvent.ParticipantConnected, ({ identity }) => this.happened.push(`joined ${identity}`))
      .on(RoomEvent.ParticipantDisconnected, ({ identity }) => this.happened.push(`left ${identity}`));
  }

  /** Frames per second over the last `n` frames. */
  fps(n: number): number {
    const last = this.frames.slice(-n);
    return ((last.length - 1) * 1000) / ((last.at(-1)?.atMs ?? 0) - (last[0]?.atMs ?? 0));
  }

  /** Resolves when `n` more frames have arrived. */
  async more(n: number, timeoutMs = 30_000): Promise<void> {
    const wanted = this.frames.length + n;
    await until(`${n} more frames in the room`, () => this.frames.length >= wanted, timeoutMs);
  }

  #readTexts(topic: string): void {
    this.room.registerTextStreamHandler(topic, (reader, { identity }) => {
      const { attributes = {} } = reader.info;
      const atMs = performance.now();
      // All of it is in the buffer of the library, so texts do not overtake each other.
      void reader.readAll().then((text) => this.texts.push({ topic, from: identity, text, attributes, atMs }));
    });
  }

  async #watch(track: RemoteTrack): Promise<void> {
    this.#videoTracks += 1;
    const number = this.#videoTracks;
    for await (const { frame } of valuesOf<VideoFrameEvent>(new VideoStream(track))) {
      this.sizes.add(`${frame.width}x${frame.height}`);
      const middle = frame.data[(frame.height >> 1) * frame.width + (frame.width >> 1)] ?? 0;
      this.frames.push({ atMs: performance.now(), bright: middle > BRIGHT, track: number });
    }
  }

  async #listen(track: RemoteTrack): Promise<void> {
    const stream = new AudioStream(track, { sampleRate: 24_000, numChannels: 1 });
    for await (const { data } of valuesOf<AudioFrame>(stream))
      this.blocks.push({ atMs: performance.now(), loud: data.some((sample) => Math.abs(sample) > LOUD), pcm: data });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.room.disconnect();
  }
}
