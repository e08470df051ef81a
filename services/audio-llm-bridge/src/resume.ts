import {
  type AudioMessage,
  decodeAudio,
  decodeEvent,
  decodePlayhead,
  type MeshEvent,
  type PlayheadMessage,
  SPEECH_RATE_HZ,
} from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';
import type { TurnSource } from './turns.js';

/** A turn whose speech was sent, at least in part, and that was not told to be over. */
export interface UnfinishedTurn {
  readonly number: number;
  readonly source: TurnSource;
  readonly sentMs: number;
  readonly playedMs: number;
  /** Its last speech was sent. */
  readonly ended: boolean;
}

/** What is left of a conversation that another bridge led. */
export interface Resumed {
  readonly epoch: number;
  /** Number of the newest turn. */
  readonly turns: number;
  readonly sequence: number;
  readonly sentSamples: number;
  /** Whether the last that was asked was a pause; undefined: nothing was. */
  readonly paused: boolean | undefined;
  /** Oldest first. */
  readonly unfinished: readonly UnfinishedTurn[];
}

const RECALL_MS = 3000;
const msOf = (samples: number): number => (samples * 1000) / SPEECH_RATE_HZ;

/** Reads back what NATS retains of a session. @throws MeshError NATS_UNAVAILABLE */
export async function recallConversation(bus: Bus, sessionId: string): Promise<Resumed> {
  const within = { deadlineMs: RECALL_MS };
  const [speech, events, playheads] = await Promise.all([
    bus.recall('speech', sessionId, within),
    bus.recall('event', sessionId, within),
    bus.recall('playhead', sessionId, within),
  ]);
  const [playhead] = playheads.slice(-1).map(({ payload }) => decodePlayhead(payload));
  return conversationSoFar(
    speech.map(({ payload }) => decodeAudio(payload)),
    events.map(({ payload }) => decodeEvent(payload)),
    playhead,
  );
}

/** Messages oldest first. */
export function conversationSoFar(
  speech: readonly AudioMessage[],
  events: readonly MeshEvent[],
  playhead: PlayheadMessage | undefined,
): Resumed {
  const numbers = [...speech, ...events, ...(playhead === undefined ? [] : [playhead])];
  const asked = events.findLast(({ type }) => type === 'pause' || type === 'resume' || type === 'interrupt');
  const finished = new Set(events.flatMap(({ type, turn }) => (type === 'turn.finished' ? [turn] : [])));
  const sources = new Map(
    events.flatMap((event) => (event.type === 'turn.started' ? [[event.turn, event.source]] : [])),
  );
  const sent = furthestOfTurns(speech);
  const last = [...sent.values()].sort((a, b) => a.turn - b.turn).at(-1);
  const ended = new Set(speech.flatMap(({ turn, endOfTurn }) => (endOfTurn ? [turn] : [])));
  const heard = new Map(events.flatMap((event) => ('heardMs' in event ? [[event.turn, event.heardMs]] : [])));
  const unfinished = [...sent]
    .filter(([number]) => number > 0 && !finished.has(number))
    .sort(([a], [b]) => a - b)
    .map(
      ([number, { fromSample, pcm }]): UnfinishedTurn => ({
        number,
        source: sources.get(number) ?? 'external',
        sentMs: msOf(fromSample + pcm.length),
        playedMs: playhead?.turn === number ? playhead.turnPlayedMs : (heard.get(number) ?? 0),
        ended: ended.has(number),
      }),
    );
  return {
    epoch: Math.max(0, ...numbers.map(({ epoch }) => epoch)),
    turns: Math.max(0, ...numbers.map(({ turn }) => turn)),
    sequence: last === undefined ? 0 : last.sequence + 1,
    sentSamples: last === undefined ? 0 : Math.round((last.mediaTimeUs * SPEECH_RATE_HZ) / 1e6) + last.pcm.length,
    paused: asked === undefined ? undefined : asked.type === 'pause',
    unfinished,
  };
}

/** Not the last of each turn: speech is sent again after NATS was away, and that may break off. */
function furthestOfTurns(speech: readonly AudioMessage[]): Map<number, AudioMessage> {
  const furthest = new Map<number, AudioMessage>();
  const end = ({ fromSample, pcm }: AudioMessage): number => fromSample + pcm.length;
  for (const message of speech) {
    const known = furthest.get(message.turn);
    if (known === undefined || end(message) >= end(known)) furthest.set(message.turn, message);
  }
  return furthest;
}
