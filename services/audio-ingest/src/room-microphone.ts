import { type RoomEnd, type RoomHost, RoomMember, roomFailure } from '@talkmesh/webrtc';
import type { FromListener, ListenerSetup, ToListener } from './room-messages.js';
import type { AudioSource, IngestSession } from './session.js';

export type ListenerHost = Pick<RoomHost<ListenerSetup, ToListener, FromListener>, 'open' | 'post' | 'close'>;

export interface RoomMicrophoneOptions {
  readonly host: ListenerHost;
  readonly session: IngestSession;
  /** ws:// or wss:// URL of the LiveKit server. */
  readonly url: string;
  /** Access token of a hidden participant. */
  readonly token: string;
  /** How long joins are tried, milliseconds. */
  readonly rejoinMs: number;
  readonly setup: ListenerSetup;
}

/** A worker that takes the session over joins in this one's place, and only then is this one closed. */
const CLOSE_AFTER_REPLACED_MS = 3000;

/** The microphone of a session whose caller is in a LiveKit room. The room is joined by a participant that others do not see. */
export class RoomMicrophone {
  readonly #session: IngestSession;
  readonly #member: RoomMember<ListenerSetup, ToListener, FromListener>;
  #source: AudioSource | undefined;
  #replacedTimer: NodeJS.Timeout | undefined;

  constructor(options: RoomMicrophoneOptions) {
    this.#session = options.session;
    this.#member = new RoomMember({
      ...options,
      onJoining: () => this.#pause(),
      // The child says itself when it hears nothing.
      onState: () => {},
      onMessage: (message) => this.#receive(message),
      onCompany: () => {},
      onCrash: () => {
        this.#pause();
        this.#session.heardOf('', '');
      },
      onEnd: (end) => this.#ended(end),
    });
  }

  /** As `RoomMember.join`. @throws MeshError ROOM_REFUSED, ROOM_UNREACHABLE */
  join(awaitsJoin: boolean): Promise<void> {
    return this.#member.join(awaitsJoin);
  }

  async close(): Promise<void> {
    clearTimeout(this.#replacedTimer);
    this.#pause();
    await this.#member.close();
  }

  #receive(message: FromListener): void {
    if (message.type === 'speaker') this.#session.heardOf(message.participant, message.track);
    else if (message.type === 'paused') this.#pause();
    else {
      this.#source ??= this.#session.claim('room');
      this.#source.push(message.pcm, message.sampleRateHz, 1);
    }
  }

  #pause(): void {
    this.#source?.release();
    this.#source = undefined;
  }

  /** The session goes on and hears no one: webrtc-egress decides what the end of the room means for it. */
  #ended(end: RoomEnd): void {
    this.#pause();
    if (end === 'replaced') this.#replacedTimer = setTimeout(() => this.#report(end), CLOSE_AFTER_REPLACED_MS);
    else this.#report(end);
  }

  #report(end: RoomEnd): void {
    this.#session.heardOf('', '');
    const { reason, message } = roomFailure(end, 'the listener');
    this.#session.failed(reason, message);
  }
}
