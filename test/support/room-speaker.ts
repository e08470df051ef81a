import { AudioFrame, AudioSource, LocalAudioTrack, Room, TrackPublishOptions, TrackSource } from '@livekit/rtc-node';

const BLOCKS_PER_SECOND = 100;
const LOUDNESS = 8000;

/** A participant of a LiveKit room that speaks into one microphone at a time. */
export class RoomSpeaker implements AsyncDisposable {
  readonly room = new Room();
  #source: AudioSource | undefined;
  #trackSid = '';
  #sound = 0;

  static async join(url: string, token: string): Promise<RoomSpeaker> {
    const speaker = new RoomSpeaker();
    await speaker.room.connect(url, token, { autoSubscribe: false, dynacast: true });
    return speaker;
  }

  get trackSid(): string {
    return this.#trackSid;
  }

  /** Opens a microphone of this rate. It sends silence until there is something to say. */
  async open(rateHz: number, source = TrackSource.SOURCE_MICROPHONE): Promise<void> {
    this.#source = new AudioSource(rateHz, 1);
    const track = LocalAudioTrack.createAudioTrack('microphone', this.#source);
    const published = await this.room.localParticipant?.publishTrack(track, new TrackPublishOptions({ source }));
    this.#trackSid = published?.sid ?? '';
    this.#play(rateHz, () => 0);
  }

  /** A continuous tone, until something else is said. */
  tone(hz: number): void {
    const { sampleRate = 1 } = this.#source ?? {};
    this.#play(sampleRate, (i) => Math.round(LOUDNESS * Math.sin((2 * Math.PI * hz * i) / sampleRate)));
  }

  /** @param pcm at the rate of the microphone; silence follows @returns when all of it was given to the library */
  async say(pcm: Int16Array): Promise<void> {
    const { sampleRate = 1 } = this.#source ?? {};
    await new Promise<void>((resolve) => {
      this.#play(sampleRate, (i) => {
        if (i === pcm.length) resolve();
        return pcm[i] ?? 0;
      });
    });
  }

  async closeMicrophone(): Promise<void> {
    this.#sound += 1;
    await this.room.localParticipant?.unpublishTrack(this.#trackSid);
    await this.#source?.close();
  }

  /** The library takes samples in real time, once its queue is full. */
  #play(rateHz: number, sampleAt: (index: number) => number): void {
    this.#sound += 1;
    const [sound, source, size] = [this.#sound, this.#source, rateHz / BLOCKS_PER_SECOND];
    const run = async (): Promise<void> => {
      for (let at = 0; sound === this.#sound; at += size) {
        const block = Int16Array.from({ length: size }, (_, i) => sampleAt(at + i));
        await source?.captureFrame(new AudioFrame(block, rateHz, 1, size));
      }
    };
    // The source may be closed while a block waits.
    run().catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sound += 1;
    await this.room.disconnect();
  }
}
