import {
  type AudioMessage,
  decodeAudio,
  decodeEvent,
  decodePlayhead,
  type EventType,
  type MeshEvent,
  type PauseCause,
  type PlayheadMessage,
  SPEECH_RATE_HZ,
} from '@talkmesh/contracts';
import { type Bus, type RetainedMessage, type Trail, traceOf } from '@talkmesh/service-kit';
import { Captions } from './captions.js';
import type { Utterance } from './providers/provider.js';
import type { UnfinishedTurn } from './turns.js';

/** What a bridge needs in order to continue a conversation that another bridge led. */
export interface ConversationState {
  readonly epoch: number;
  /** Number of the newest turn; 0 when there was none. */
  readonly turns: number;
  readonly sequence: number;
  readonly sentSamples: number;
  /** Why the session is paused, or that its last pause is over; undefined: there was none. */
  readonly pause: PauseCause | 'over' | undefined;
  /** What both sides said, oldest first. */
  readonly history: readonly Utterance[];
  /** Oldest first. */
  readonly unfinished: readonly UnfinishedTurn[];
  /** Turns that were queued and of which no speech was sent, oldest first: their speech is lost. */
  readonly unspoken: readonly number[];
}

const READ_BACK_DEADLINE_MS = 3000;
const msOf = (samples: number): number => (samples * 1000) / SPEECH_RATE_HZ;

export interface RetainedConversation {
  readonly state: ConversationState;
  /** Of each turn that is not over and belongs to a trace: its span in the bridge that led it last. */
  readonly traces: ReadonlyMap<number, Trail['context']>;
}

/** Reads back what NATS retains of a session. @throws MeshError NATS_UNAVAILABLE */
export async function readBackConversation(bus: Bus, sessionId: string): Promise<RetainedConversation> {
  const options = { deadlineMs: READ_BACK_DEADLINE_MS };
  const [retainedSpeech, retainedEvents, playheads] = await Promise.all([
    bus.readBack('speech', sessionId, options),
    bus.readBack('event', sessionId, options),
    bus.readBack('playhead', sessionId, options),
  ]);
  const [playhead] = playheads.slice(-1).map(({ payload }) => decodePlayhead(payload));
  const speech = retainedSpeech.map(({ payload }) => decodeAudio(payload));
  const events = retainedEvents.map(({ payload }) => decodeEvent(payload));
  const state = stateOfConversation(speech, events, playhead);
  const traces = new Map<number, Trail['context']>();
  const isOpen = (turn: number): boolean =>
    state.unspoken.includes(turn) || state.unfinished.some(({ number }) => number === turn);
  const note = (turn: number, message: RetainedMessage | undefined): void => {
    const trace = message && isOpen(turn) ? traceOf(message) : undefined;
    if (trace !== undefined) traces.set(turn, trace);
  };
  // Only the bridge sends these two. The newest wins, because it knows whether the turn is late.
  for (const [i, { type, turn }] of events.entries()) if (type === 'turn.queued') note(turn, retainedEvents[i]);
  for (const [i, { turn }] of speech.entries()) note(turn, retainedSpeech[i]);
  return { state, traces };
}

/** @param speech and `events`: oldest first */
export function stateOfConversation(
  speech: readonly AudioMessage[],
  events: readonly MeshEvent[],
  playhead: PlayheadMessage | undefined,
): ConversationState {
  const messages = [...speech, ...events, ...(playhead === undefined ? [] : [playhead])];
  const lastRequest = events.findLast(({ type }) => type === 'pause' || type === 'resume' || type === 'interrupt');
  const turnsOf = (...types: EventType[]): Set<number> =>
    new Set(events.flatMap(({ type, turn }) => (types.includes(type) ? [turn] : [])));
  const [started, finished] = [turnsOf('turn.started'), turnsOf('turn.finished', 'turn.cancelled')];
  const sources = new Map(
    events.flatMap((event) => (event.type === 'turn.queued' ? [[event.turn, event.source]] : [])),
  );
  const furthest = furthestOfTurns(speech);
  const last = [...furthest.values()].sort((a, b) => a.turn - b.turn).at(-1);
  const ended = new Set(speech.flatMap(({ turn, endOfTurn }) => (endOfTurn ? [turn] : [])));
  const heard = new Map(events.flatMap((event) => ('heardMs' in event ? [[event.turn, event.heardMs]] : [])));
  const unfinished = [...furthest]
    .filter(([number]) => number > 0 && !finished.has(number))
    .sort(([a], [b]) => a - b)
    .map(
      ([number, { fromSample, pcm }]): UnfinishedTurn => ({
        number,
        source: sources.get(number) ?? 'external',
        sentMs: msOf(fromSample + pcm.length),
        playedMs: playhead?.turn === number ? playhead.turnPlayedMs : (heard.get(number) ?? 0),
        ended: ended.has(number),
        started: started.has(number),
        ...transcriptOf(number, events),
      }),
    );
  return {
    epoch: Math.max(0, ...messages.map(({ epoch }) => epoch)),
    turns: Math.max(0, ...messages.map(({ turn }) => turn)),
    sequence: last === undefined ? 0 : last.sequence + 1,
    sentSamples: last === undefined ? 0 : Math.round((last.mediaTimeUs * SPEECH_RATE_HZ) / 1e6) + last.pcm.length,
    pause: lastRequest?.type === 'pause' ? lastRequest.cause : lastRequest && 'over',
    history: events.flatMap((event) =>
      event.type === 'transcript' && event.final ? [{ role: event.role, text: event.text }] : [],
    ),
    unfinished,
    unspoken: [...sources.keys()].filter((turn) => !finished.has(turn) && !furthest.has(turn)).sort((a, b) => a - b),
  };
}

/** What the avatar says in the turn, and the last caption of it that was shown. */
function transcriptOf(turn: number, events: readonly MeshEvent[]): Pick<UnfinishedTurn, 'text' | 'lastCaption'> {
  let lastCaption = '';
  const captions = new Captions();
  for (const event of events) {
    if (event.turn !== turn) continue;
    if (event.type === 'transcript' && event.role === 'avatar') captions.add(event.text, event.final);
    if (event.type === 'caption') lastCaption = event.text;
  }
  return { text: captions.text, lastCaption };
}

/**
 * The message of each turn that reaches furthest. It need not be the newest one: after a NATS outage, speech is republished from the
 * oldest unheard message on, and the bridge may have stopped before it reached the end.
 */
function furthestOfTurns(speech: readonly AudioMessage[]): Map<number, AudioMessage> {
  const furthest = new Map<number, AudioMessage>();
  const end = ({ fromSample, pcm }: AudioMessage): number => fromSample + pcm.length;
  for (const message of speech) {
    const known = furthest.get(message.turn);
    if (known === undefined || end(message) >= end(known)) furthest.set(message.turn, message);
  }
  return furthest;
}
