import {
  type AudioMessage,
  decodeAudio,
  decodedEvents,
  decodeFrame,
  decodePlayhead,
  type EpochStart,
  type FrameMessage,
  MeshError,
  type MeshEvent,
  type PlayheadMessage,
} from '@talkmesh/contracts';
import { type Bus, type Subscription, type Trail, trailOf } from '@talkmesh/service-kit';

/** The size that every frame of a session must have. */
export interface FrameShape {
  readonly width: number;
  readonly height: number;
  readonly samples: number;
}

/** From where on a flush lets nothing older be played. */
export interface Flush extends EpochStart {
  /** Whether a chunk is cut that may be playing. */
  readonly isCut: boolean;
  /** Whether the caller wants silence: then the frame that is playing is silenced too. After a pause its rest would be missing. */
  readonly isInterrupt: boolean;
}

export interface InboundHandlers {
  onFrame(frame: FrameMessage, trail: Trail): void;
  onFlush(flush: Flush): void;
  /** Every event, after those above. */
  onEvent(event: MeshEvent): void;
}

const READ_BACK_MS = 3000;

/**
 * Reads the last playhead that another worker published for a session. Undefined when nothing was played: a playhead at the very
 * first frame only grants credit. @throws MeshError NATS_UNAVAILABLE
 */
export async function readBackPlayhead(bus: Bus, sessionId: string): Promise<PlayheadMessage | undefined> {
  const retained = (await bus.readBack('playhead', sessionId, { deadlineMs: READ_BACK_MS })).at(-1);
  if (retained === undefined) return undefined;
  const playhead = decodePlayhead(retained.payload);
  return playhead.chunk === 0 && playhead.frame === 0 ? undefined : playhead;
}

/** Reads the retained events of a session that is taken over, oldest first. @throws MeshError NATS_UNAVAILABLE */
export async function readBackEvents(bus: Bus, sessionId: string): Promise<MeshEvent[]> {
  const retained = await bus.readBack('event', sessionId, { deadlineMs: READ_BACK_MS });
  return retained.flatMap(({ payload }) => decodedEvents(payload));
}

/** What has been flushed, so that a worker that takes over does not play it. */
export const flushesIn = (events: readonly MeshEvent[]): EpochStart[] =>
  events.flatMap((event) => (event.type === 'flush' ? [startOf(event)] : []));

/** From where on a flush lets nothing older be played. */
const startOf = ({ epoch, cutFrom, fromChunk }: Extract<MeshEvent, { type: 'flush' }>): EpochStart => ({
  epoch,
  fromChunk: cutFrom ?? fromChunk,
});

/** Subscribes to a session's frames and events. Frames of another session or shape are rejected. @returns a function that unsubscribes */
export function listen(bus: Bus, sessionId: string, shape: FrameShape, handlers: InboundHandlers): () => void {
  const frames = bus.subscribe('frame', sessionId, (payload, meta) => {
    const frame = decodeFrame(payload);
    assertShape(frame, sessionId, shape);
    handlers.onFrame(frame, trailOf(meta));
  });
  const events = bus.subscribeEvents(sessionId, (event) => {
    if (event.type === 'flush')
      handlers.onFlush({
        ...startOf(event),
        isCut: event.cutFrom !== undefined,
        isInterrupt: event.cause === 'interrupt',
      });
    handlers.onEvent(event);
  });
  return () => {
    frames.unsubscribe();
    events.unsubscribe();
  };
}

/** Subscribes to the caller's voice, for a recording of both sides. */
export const listenToCaller = (bus: Bus, sessionId: string, onAudio: (audio: AudioMessage) => void): Subscription =>
  bus.subscribe('mic', sessionId, (payload) => onAudio(decodeAudio(payload)));

function assertShape(frame: FrameMessage, sessionId: string, { width, height, samples }: FrameShape): void {
  if (frame.sessionId !== sessionId)
    throw new MeshError('MESSAGE_MALFORMED', "the frame's session does not match its subject");
  if (
    frame.width !== width ||
    frame.height !== height ||
    frame.pcm.length !== samples ||
    frame.frame >= frame.framesInChunk
  )
    throw new MeshError(
      'MESSAGE_MALFORMED',
      `frame ${frame.frame}/${frame.framesInChunk} of ${frame.width}x${frame.height} with ${frame.pcm.length} samples, the session has ${width}x${height} with ${samples}`,
    );
}
