import { AT_REST, progressAfter, type SessionSnapshot } from '@talkmesh/client';
import { decodedEvents, EVENT_VERSION, type MeshEvent, type SessionRecord } from '@talkmesh/contracts';
import { type Bus, isTracedNow, withSpan } from '@talkmesh/service-kit';

/** An event of the mesh, or the state with which a stream of events begins. */
export type StreamedEvent = MeshEvent | SessionSnapshot;

const READ_BACK_DEADLINE_MS = 3000;

/**
 * Passes a session's events on, each once: first those after `lastEventId`, then live ones. Without `lastEventId`, or when NATS retains
 * that event no longer, a snapshot comes first.
 * @returns a function that ends it
 * @throws MeshError NATS_UNAVAILABLE
 */
export async function streamEvents(
  bus: Pick<Bus, 'subscribeEvents' | 'readBack' | 'flush'>,
  { id: sessionId, recording }: Pick<SessionRecord, 'id' | 'recording'>,
  lastEventId: string | undefined,
  onEvent: (event: StreamedEvent) => void,
): Promise<() => void> {
  const early: MeshEvent[] = [];
  let deliver = (event: MeshEvent): void => void early.push(event);
  const subscription = bus.subscribeEvents(sessionId, (event) => deliver(event));
  try {
    await bus.flush();
    const payloads = await bus.readBack('event', sessionId, { deadlineMs: READ_BACK_DEADLINE_MS });
    const retained = payloads.flatMap(({ payload }) => decodedEvents(payload));
    const last = retained.findLastIndex(({ id }) => id === lastEventId);
    if (last < 0) onEvent(snapshotOf(sessionId, recording, retained));
    else retained.slice(last + 1).forEach(onEvent);
    const known = new Set(retained.map(({ id }) => id));
    early.filter(({ id }) => !known.has(id)).forEach(onEvent);
    deliver = (event) => tell(event, onEvent);
  } catch (error) {
    subscription.unsubscribe();
    throw error;
  }
  return () => subscription.unsubscribe();
}

/** The trace of a turn also says when the program was told of its beginning and end. */
function tell(event: MeshEvent, onEvent: (event: MeshEvent) => void): void {
  if (!event.type.startsWith('turn.') || !isTracedNow()) onEvent(event);
  else {
    const attributes = { sessionId: event.sessionId, 'talkmesh.stage': 'gateway', 'talkmesh.turn': event.turn };
    withSpan(`tell ${event.type}`, attributes, () => onEvent(event));
  }
}

/** The beginning of a recording may be too old for the retained events; a caller is rather told of a recording too much than of one too few. */
function snapshotOf(
  sessionId: string,
  recording: SessionRecord['recording'],
  retained: readonly MeshEvent[],
): SessionSnapshot {
  const { id, epoch, turn } = retained.at(-1) ?? { id: 'none', epoch: 0, turn: 0 };
  const progress = retained.reduce(
    progressAfter,
    recording ? { ...AT_REST, recording: { sides: recording.sides } } : AT_REST,
  );
  return { v: EVENT_VERSION, id, sessionId, epoch, turn, atMs: Date.now(), type: 'session.snapshot', progress };
}
