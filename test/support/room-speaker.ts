import { AudioFrame, AudioSource, LocalAudioTrack, Room, TrackPublishOptions, TrackSource } from '@livekit/rtc-node';

const BLOCKS_PER_SECOND = 100;
const LOUDNESS = 8000;

const SILENCE = (): number => 0;

/** One microphone: a loop that gives the library a block of 10 ms after the other, which takes them in real time once its queue is full. */
interface Microphone {
  readonly source: AudioSource;
  readonly sid: string;
  sampleAt: (index: number) => number;
  at: number;
  isOpen: boolean;
  readonly ended: Promise<void>;
}

/** A participant of a LiveKit room that speaks into one microphone at a time. */
export class RoomSpeaker implements AsyncDisposable {
  readonly room = new Room();
  #microphone: Microphone | undefined;

  static async join(url: string, token: string): Promise<RoomSpeaker> {
    const speaker = new RoomSpeaker();
    await speaker.room.connect(url, token, { autoSubscribe: false, dynacast: true });
    return speaker;
  }

  get trackSid(): string {
    return this.#microphone?.sid ?? '';
  }

  /** Opens a microphone of this rate. It sends silence until there is something to say. */
  async open(rateHz: number, kind = TrackSource.SOURCE_MICROPHONE): Promise<void> {
    const source = new AudioSource(rateHz, 1);
    const track = LocalAudioTrack.createAudioTrack('microphone', source);
    const options = new TrackPublishOptions({ source: kind });
    const published = await this.room.localParticipant?.publishTrack(track, options);
    const microphone = { source, sid: published?.sid ?? '', sampleAt: SILENCE, at: 0, isOpen: true };
    const ended = run(microphone);
    // The room may be left while a block waits; who speaks is told.
    ended.catch(() => undefined);
    this.#microphone = Object.assign(microphone, { ended });
  }

  /** A continuous tone, until something else is said. */
  tone(hz: number): void {
    const { sampleRate = 1 } = this.#microphone?.source ?? {};
    this.#play((i) => Math.round(LOUDNESS * Math.sin((2 * Math.PI * hz * i) / sampleRate)));
  }

  /** @param pcm at the rate of the microphone; silence follows @returns when all of it was given to the library */
  async say(pcm: Int16Array): Promise<void> {
    const said = new Promise<void>((resolve) =>
      this.#play((i) => {
        if (i === pcm.length) resolve();
        return pcm[i] ?? 0;
      }),
    );
    // A library that takes no more sound must not look like a long speech.
    const failed = this.#microphone?.ended.then(() => {
      throw new Error('the microphone was closed while it spoke');
    });
    await Promise.race([said, failed ?? Promise.reject(new Error('no microphone is open'))]);
  }

  async closeMicrophone(): Promise<void> {
    const microphone = this.#microphone;
    if (microphone === undefined) return;
    this.#microphone = undefined;
    microphone.isOpen = false;
    await microphone.ended;
    await this.room.localParticipant?.unpublishTrack(microphone.sid);
    await microphone.source.close();
  }

  #play(sampleAt: (index: number) => number): void {
    if (this.#microphone !== undefined) Object.assign(this.#microphone, { sampleAt, at: 0 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#microphone !== undefined) this.#microphone.isOpen = false;
    await this.room.disconnect();
  }
}

async function run(microphone: Omit<Microphone, 'ended'>): Promise<void> {
  const { source } = microphone;
  const size = source.sampleRate / BLOCKS_PER_SECOND;
  while (microphone.isOpen) {
    const { sampleAt, at } = microphone;
    const block = Int16Array.from({ length: size }, (_, i) => sampleAt(at + i));
    if (microphone.sampleAt === sampleAt) microphone.at += size;
    await source.captureFrame(new AudioFrame(block, source.sampleRate, 1, size));
  }
}
