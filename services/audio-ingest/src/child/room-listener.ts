import {
  type AudioFrame,
  AudioStream,
  ParticipantKind,
  type RemoteParticipant,
  type RemoteTrack,
  type RemoteTrackPublication,
  type Room,
  RoomEvent,
  TrackKind,
  TrackSource,
} from '@livekit/rtc-node';
import { AUDIO_FRAME_MS, SPEECH_RATE_HZ } from '@talkmesh/contracts';
import type { RoomMedia } from '@talkmesh/webrtc/room-child';
import type { FromListener, ListenerSetup, ToListener } from '../room-messages.js';
import { chooseSpeaker } from './choose-speaker.js';

/** Whatever may change who is heard, or by which track. */
const CHANGES = [
  RoomEvent.ParticipantConnected,
  RoomEvent.ParticipantDisconnected,
  RoomEvent.ParticipantAttributesChanged,
  RoomEvent.TrackPublished,
  RoomEvent.TrackUnpublished,
  RoomEvent.TrackSubscribed,
  RoomEvent.TrackUnsubscribed,
  RoomEvent.TrackMuted,
  RoomEvent.TrackUnmuted,
] as const;

/** A sound that is being read. */
interface Listening {
  readonly track: RemoteTrack;
  readonly reader: ReadableStreamDefaultReader<AudioFrame>;
}

/** Hears one participant of a LiveKit room at a time, and subscribes to nothing but that one's microphone. */
export class RoomListener implements RoomMedia<ToListener> {
  readonly subscribes = false;
  readonly #setup: ListenerSetup;
  readonly #emit: (message: FromListener) => void;
  #room: Room | undefined;
  #speaker: string | undefined;
  /** The track that was announced; undefined: nothing was. */
  #track: string | undefined;
  #listening: Listening | undefined;

  constructor(setup: ListenerSetup, emit: (message: FromListener) => void) {
    this.#setup = setup;
    this.#emit = emit;
  }

  async joined(room: Room): Promise<void> {
    this.#stop();
    this.#room = room;
    for (const change of CHANGES) room.on(change, () => this.#update(room));
    this.#update(room);
  }

  handle(): void {}

  /** While the connection is restored nothing is heard. What the room then says about its tracks starts the sound again. */
  stateChanged(state: string): void {
    if (state !== 'connected') this.#stop();
    else if (this.#room !== undefined) this.#update(this.#room);
  }

  close(): void {
    this.#room = undefined;
    this.#stop();
  }

  #update(room: Room): void {
    if (room !== this.#room) return;
    const participants = [...room.remoteParticipants.values()];
    this.#speaker = chooseSpeaker(this.#setup, participants.map(toCandidate), this.#speaker);
    const heard = participants.find(({ identity }) => identity === this.#speaker);
    const microphone = heard === undefined ? undefined : microphoneOf(heard);
    this.#announce(this.#speaker ?? '', microphone?.sid ?? '');
    for (const participant of participants)
      for (const publication of participant.trackPublications.values()) {
        const isWanted = publication === microphone;
        if (publication.subscribed !== isWanted) publication.setSubscribed(isWanted);
      }
    const track = microphone?.muted === true ? undefined : (microphone?.track as RemoteTrack | undefined);
    if (track === this.#listening?.track) return;
    this.#stop();
    if (track !== undefined) this.#start(track);
  }

  #announce(participant: string, track: string): void {
    if (track === this.#track) return;
    this.#track = track;
    this.#emit({ type: 'speaker', participant: track === '' ? '' : participant, track });
  }

  /** The library resamples, whatever the track's rate is and becomes. */
  #start(track: RemoteTrack): void {
    const format = { sampleRate: SPEECH_RATE_HZ, numChannels: 1, frameSizeMs: AUDIO_FRAME_MS };
    const reader = new AudioStream(track, format).getReader() as ReadableStreamDefaultReader<AudioFrame>;
    this.#listening = { track, reader };
    void this.#read(reader);
  }

  async #read(reader: ReadableStreamDefaultReader<AudioFrame>): Promise<void> {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.#listening?.reader !== reader) return;
      this.#emit({ type: 'audio', pcm: value.data, sampleRateHz: value.sampleRate });
    }
  }

  #stop(): void {
    const listening = this.#listening;
    if (listening === undefined) return;
    this.#listening = undefined;
    void listening.reader.cancel();
    this.#emit({ type: 'paused' });
  }
}

function toCandidate(participant: RemoteParticipant) {
  const { identity, kind, attributes, info } = participant;
  const isAgent = kind === ParticipantKind.AGENT;
  const hasMicrophone = microphoneOf(participant) !== undefined;
  return { identity, isAgent, attributes, hasMicrophone, joinedAtMs: Number(info.joinedAt ?? 0) };
}

/** The newest microphone; for programs that do not say what their sound is, the newest sound that is not that of a screen. */
function microphoneOf({ trackPublications }: RemoteParticipant): RemoteTrackPublication | undefined {
  const sounds = [...trackPublications.values()].filter(
    ({ kind, source }) => kind === TrackKind.KIND_AUDIO && source !== TrackSource.SOURCE_SCREENSHARE_AUDIO,
  );
  return sounds.findLast(({ source }) => source === TrackSource.SOURCE_MICROPHONE) ?? sounds.at(-1);
}
