import type { LocalParticipant, LocalTrackPublication } from '@livekit/rtc-node';
import { type RoomText, TRANSCRIPTION, TRANSCRIPTION_TOPIC } from '../room-texts.js';

/** Texts that wait while the room does not take them; beyond, new ones are dropped, since what is read late is of no use. */
const MAX_WAITING = 64;

/** Sends texts to all participants of one joined room, one after the other, so that a client sees them in their order. */
export class TextWriter {
  readonly #local: LocalParticipant;
  readonly #heard: LocalTrackPublication;
  #waiting = 0;
  #sending: Promise<void> = Promise.resolve();

  /** @param heard the avatar's sound, whose id changes when the library restores the connection */
  constructor(local: LocalParticipant, heard: LocalTrackPublication) {
    this.#local = local;
    this.#heard = heard;
  }

  write(text: RoomText): void {
    if (this.#waiting >= MAX_WAITING) return;
    this.#waiting += 1;
    this.#sending = this.#sending
      .then(() => this.#send(text))
      // A room that is being left takes nothing; what follows goes to the next join.
      .catch(() => undefined)
      .finally(() => {
        this.#waiting -= 1;
      });
  }

  async #send({ topic, text, attributes, speaker }: RoomText): Promise<void> {
    const isOfAvatar = topic === TRANSCRIPTION_TOPIC && speaker === '';
    const stream = await this.#local.streamText({
      topic,
      attributes: { ...attributes, ...(isOfAvatar && { [TRANSCRIPTION.track]: this.#heard.sid ?? '' }) },
      ...(speaker !== '' && { senderIdentity: speaker }),
    });
    await stream.write(text);
    await stream.close();
  }
}
