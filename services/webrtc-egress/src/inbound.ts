import { decodeFrame, decodePlayhead, type FrameMessage, MeshError, type PlayheadMessage } from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';

/** What every frame of a session must be. */
export interface FrameShape {
  readonly width: number;
  readonly height: number;
  readonly samples: number;
}

export interface InboundHandlers {
  onFrame(frame: FrameMessage): void;
  onFlush(epoch: number, fromChunk: number): void;
  /** A paused turn goes on. */
  onResumed(turn: number, heardMs: number): void;
}

const RECALL_MS = 3000;

/**
 * What was played of a session before it came here; undefined when nothing was: a playhead that stands at the very first frame
 * is the credit of a session nobody watched yet. @throws MeshError NATS_UNAVAILABLE
 */
export async function recallPlayhead(bus: Bus, sessionId: string): Promise<PlayheadMessage | undefined> {
  const retained = (await bus.recall('playhead', sessionId, { deadlineMs: RECALL_MS })).at(-1);
  if (retained === undefined) return undefined;
  const playhead = decodePlayhead(retained.payload);
  return playhead.chunk === 0 && playhead.frame === 0 ? undefined : playhead;
}

/** Listens to a session's frames and flushes. Frames of another session, size or length are refused. @returns the end of listening */
export function listen(bus: Bus, sessionId: string, shape: FrameShape, handlers: InboundHandlers): () => void {
  const frames = bus.subscribe('frame', sessionId, (payload) => {
    const frame = decodeFrame(payload);
    assertShape(frame, sessionId, shape);
    handlers.onFrame(frame);
  });
  const events = bus.subscribeEvents(sessionId, (event) => {
    if (event.type === 'flush') handlers.onFlush(event.epoch, event.fromChunk);
    else if (event.type === 'turn.resumed') handlers.onResumed(event.turn, event.heardMs);
  });
  return () => {
    frames.unsubscribe();
    events.unsubscribe();
  };
}

function assertShape(frame: FrameMessage, sessionId: string, { width, height, samples }: FrameShape): void {
  if (frame.sessionId !== sessionId)
    throw new MeshError('MESSAGE_MALFORMED', "the frame's session is not its subject's");
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
