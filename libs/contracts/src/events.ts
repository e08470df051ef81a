import { z } from 'zod';
import { MeshError } from './errors.js';
import { isSessionId } from './ids.js';
import { OPEN_ORDER } from './pipeline.js';

const speechStarted = z.object({ type: z.literal('speech.started') });
const speechStopped = z.object({ type: z.literal('speech.stopped'), durationMs: z.number().nonnegative() });
const turnStarted = z.object({ type: z.literal('turn.started'), source: z.enum(['voice', 'text', 'external']) });
/** `interrupted` tells whether the turn was cut; `speechMs` is all the speech that was sent to the score service. */
const turnFinished = z.object({
  type: z.literal('turn.finished'),
  interrupted: z.boolean(),
  speechMs: z.number().nonnegative(),
});
/** The bridge asks for the running turn to be cut; the score service answers with `flush`. It ends a pause. */
const interrupt = z.object({ type: z.literal('interrupt'), cause: z.enum(['barge-in', 'command']) });
/** The bridge asks for silence that keeps what is left to be said, and for its end; what holds already is not answered. */
const pause = z.object({ type: z.literal('pause') });
const resume = z.object({ type: z.literal('resume') });
/** The avatar says nothing from here on, `heardMs` into the turn; turn 0: nothing was left to be said. */
const turnPaused = z.object({ type: z.literal('turn.paused'), heardMs: z.number().nonnegative() });
/** A pause is over: by `command` the turn goes on where the listener stopped hearing it; after an `interrupt` nothing is left of it. */
const turnResumed = z.object({
  type: z.literal('turn.resumed'),
  heardMs: z.number().nonnegative(),
  cause: z.enum(['command', 'interrupt']),
});
const FLUSH_CAUSES = ['interrupt', 'speech', 'pause', 'continue', 'resume'] as const;
/** A new epoch: chunks >= fromChunk of older epochs are forgotten everywhere. `epoch` in the envelope is the new one. */
const flush = z.object({
  type: z.literal('flush'),
  fromChunk: z.number().int().nonnegative(),
  cause: z.enum(FLUSH_CAUSES),
});
const transcript = z.object({
  type: z.literal('transcript'),
  role: z.enum(['user', 'avatar']),
  text: z.string().max(10_000),
  final: z.boolean(),
});
const viewerConnected = z.object({ type: z.literal('viewer.connected') });
const viewerGone = z.object({ type: z.literal('viewer.gone'), cause: z.string().max(100) });
/** Frames may not have reached the egress: the decoder makes them again, from the playhead on. */
const framesMissed = z.object({ type: z.literal('frames.missed') });
const STAGE_CAUSES = ['died', 'unregistered', 'cut-off', 'missing', 'drained'] as const;
/** A stage of the session has no worker just now; the call goes on when one takes it. */
const stageRecovering = z.object({
  type: z.literal('stage.recovering'),
  service: z.enum(OPEN_ORDER),
  cause: z.enum(STAGE_CAUSES),
});
/**
 * Another worker took over a stage of the session, `tookMs` after the old one was missed. Peer connections do not travel:
 * after webrtc-egress the viewer, after audio-ingest the microphone must offer again.
 */
const stageMoved = z.object({
  type: z.literal('stage.moved'),
  service: z.enum(OPEN_ORDER),
  cause: z.enum(STAGE_CAUSES),
  tookMs: z.number().nonnegative(),
});
const sessionEnded = z.object({ type: z.literal('session.ended'), cause: z.string().max(100) });
const failure = z.object({
  type: z.literal('error'),
  service: z.string().max(40),
  reason: z.string().max(60),
  message: z.string().max(1000),
});

const body = z.discriminatedUnion('type', [
  speechStarted,
  speechStopped,
  turnStarted,
  turnFinished,
  interrupt,
  pause,
  resume,
  turnPaused,
  turnResumed,
  flush,
  transcript,
  viewerConnected,
  viewerGone,
  framesMissed,
  stageRecovering,
  stageMoved,
  sessionEnded,
  failure,
]);
const envelope = z.object({
  v: z.literal(1),
  sid: z.string().refine(isSessionId),
  epoch: z.number().int().nonnegative(),
  turn: z.number().int().nonnegative(),
  atMs: z.number().nonnegative(),
});

export type EventBody = z.infer<typeof body>;
export type MeshEvent = z.infer<typeof envelope> & EventBody;
export type EventType = EventBody['type'];
/**
 * Why chunks are forgotten: `interrupt`: a turn was cut; `speech`: a turn begins while idle chunks wait; `pause`: speech that was
 * not played is kept for later; `continue`: a pause ends while idle chunks wait; `resume`: another worker goes on.
 */
export type FlushCause = (typeof FLUSH_CAUSES)[number];
/**
 * Why a stage moved: `died`: its process is gone; `unregistered`: it left the registry and does not answer; `cut-off`: it lost NATS;
 * `missing`: its worker does not know the session; `drained`: its worker is going away.
 */
export type StageCause = (typeof STAGE_CAUSES)[number];

/** What happens in a call, as JSON on `tm.v1.<sid>.event`: small, rare, readable with any NATS tool. */
export function encodeEvent(event: Omit<MeshEvent, 'v' | 'atMs'> & EventBody, atMs = Date.now()): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ v: 1, atMs, ...event }));
}

const MAX_EVENT_BYTES = 16_384;

/** @throws MeshError MESSAGE_VERSION, MESSAGE_MALFORMED */
export function decodeEvent(payload: Uint8Array): MeshEvent {
  if (payload.byteLength > MAX_EVENT_BYTES)
    throw new MeshError('MESSAGE_MALFORMED', `an event has at most ${MAX_EVENT_BYTES} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch (cause) {
    throw new MeshError('MESSAGE_MALFORMED', 'an event is a JSON object', { cause });
  }
  const version = (json as { v?: unknown } | null)?.v;
  if (version !== 1)
    throw new MeshError('MESSAGE_VERSION', `event version ${String(version)} is not supported, only 1`);
  const head = envelope.safeParse(json);
  const rest = body.safeParse(json);
  if (!head.success || !rest.success) {
    const issue = (head.error ?? rest.error)?.issues[0];
    throw new MeshError('MESSAGE_MALFORMED', `event: ${issue?.path.join('.')} ${issue?.message}`);
  }
  return { ...head.data, ...rest.data };
}
