import type { EventType, MeshEvent } from '@talkmesh/contracts';

/** A text stream of LiveKit's data protocol, to all participants of the room. */
export interface RoomText {
  readonly topic: string;
  readonly text: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Identity of the participant whose words these are; empty: the avatar's. */
  readonly speaker: string;
}

/** The topic and the attributes that LiveKit's clients show as transcriptions; LiveKit Agents sends the same. */
export const TRANSCRIPTION_TOPIC = 'lk.transcription';
export const TRANSCRIPTION = {
  segment: 'lk.segment_id',
  final: 'lk.transcription_final',
  track: 'lk.transcribed_track_id',
} as const;
/** Each text is one event as JSON, with the fields that a stream of the gateway has. */
export const EVENTS_TOPIC = 'talkmesh.events';

/**
 * Events that all participants may read. Those left out are the mesh's own, show words before they are heard, or are for the program
 * that embeds the session: calls of its functions, and errors.
 */
const PUBLIC: ReadonlySet<EventType> = new Set<EventType>([
  ...(['speech.started', 'speech.stopped', 'input.source', 'input.problem', 'input.recovered'] as const),
  ...(['turn.queued', 'turn.started', 'turn.paused', 'turn.resumed'] as const),
  ...(['turn.finished', 'turn.truncated', 'turn.cancelled', 'caption'] as const),
  ...(['disclosure', 'stage.recovering', 'stage.moved'] as const),
  ...(['recording.started', 'recording.finished', 'recording.failed'] as const),
]);

/**
 * What participants of a room read: the words of the avatar as they are heard, those of the caller when the caller is one of them, and
 * events. Each text of a segment has all of its words so far, so that a client replaces the one before. Pure: events in, texts out.
 */
export class RoomTexts {
  /** Of the turn that is heard. */
  #caption = { turn: 0, text: '' };
  /** The caller, while the room is where their microphone is. */
  #caller = { identity: '', track: '' };
  /** The caller's segment that still grows; empty: the next words open one. */
  #segment = '';

  /** Takes an event in. A worker that takes the session over gives it those that are retained, and sends nothing of them. */
  after(event: MeshEvent): RoomText[] {
    return [...this.#words(event), ...this.#told(event)];
  }

  #words(event: MeshEvent): RoomText[] {
    switch (event.type) {
      case 'input.source':
        this.#caller = { identity: event.participant, track: event.track };
        return [];
      case 'caption': {
        const before = this.#caption.turn === event.turn ? `${this.#caption.text} ` : '';
        this.#caption = { turn: event.turn, text: before + event.text };
        return [spoken(`turn-${event.turn}`, this.#caption.text, false)];
      }
      case 'turn.finished': {
        const { turn, text } = this.#caption;
        if (turn !== event.turn || text === '') return [];
        this.#caption = { turn: 0, text: '' };
        return [spoken(`turn-${turn}`, event.heardText ?? text, true)];
      }
      case 'transcript':
        return event.role === 'user' ? this.#heard(event.id, event.text, event.final) : [];
      default:
        return [];
    }
  }

  /** Others in the room hear the caller only while the caller is one of them. */
  #heard(id: string, text: string, final: boolean): RoomText[] {
    if (this.#segment === '') this.#segment = `user-${id}`;
    const segment = this.#segment;
    if (final) this.#segment = '';
    const { identity, track } = this.#caller;
    return identity === '' ? [] : [spoken(segment, text, final, identity, track)];
  }

  #told(event: MeshEvent): RoomText[] {
    if (!PUBLIC.has(event.type)) return [];
    return [{ topic: EVENTS_TOPIC, text: JSON.stringify(event), attributes: {}, speaker: '' }];
  }
}

/** @param track of the caller; the avatar's is known where its room is joined */
function spoken(segment: string, text: string, final: boolean, speaker = '', track = ''): RoomText {
  const attributes = {
    [TRANSCRIPTION.segment]: segment,
    [TRANSCRIPTION.final]: String(final),
    ...(track !== '' && { [TRANSCRIPTION.track]: track }),
  };
  return { topic: TRANSCRIPTION_TOPIC, text, attributes, speaker };
}
