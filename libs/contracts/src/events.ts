import { z } from 'zod';
import { MeshError, sentence } from './errors.js';
import { isSessionId } from './ids.js';
import { OPEN_ORDER } from './pipeline.js';
import { RECORDING_LOSSES, RECORDING_SIDES } from './recording.js';

const speechStarted = z.object({ type: z.literal('speech.started') });
/** `cancelled`: the program withdrew it (push-to-talk), so there is no answer. */
const speechStopped = z.object({
  type: z.literal('speech.stopped'),
  durationMs: z.number().nonnegative(),
  cancelled: z.literal(true).optional(),
});
const turnSource = z.enum(['voice', 'text', 'external']);
/**
 * The life of a turn: `turn.queued`, then either `turn.started` and `turn.finished`, or `turn.cancelled`. All but the first follow the
 * playhead, so they say what the listener hears, not what was generated or sent.
 */
const turnQueued = z.object({ type: z.literal('turn.queued'), source: turnSource });
/** The first frame of the turn is played. */
const turnStarted = z.object({ type: z.literal('turn.started'), source: turnSource });
/** A phrase of the turn begins to be heard `fromMs` after the turn's first sample. Its time is in proportion to its characters. */
const caption = z.object({
  type: z.literal('caption'),
  text: z.string().max(500),
  fromMs: z.number().nonnegative(),
});
/**
 * `interrupted`: whether the turn was cut; `speechMs`: duration of the speech that was sent to score-model; `heardMs`: duration of what
 * was played; `heardText`: the part of the turn's transcript that was heard, when there is a transcript.
 */
const turnFinished = z.object({
  type: z.literal('turn.finished'),
  interrupted: z.boolean(),
  speechMs: z.number().nonnegative(),
  heardMs: z.number().nonnegative(),
  heardText: z.string().max(10_000).optional(),
});
/**
 * The bridge was lost before it had all speech of the turn. `speechMs` of it, from its first sample, survive and are spoken; a sender of
 * speech continues from there. The turn ends as interrupted.
 */
const turnTruncated = z.object({ type: z.literal('turn.truncated'), speechMs: z.number().nonnegative() });
/** The turn ends before any of it was heard: it was cut, or no speech came. */
const turnCancelled = z.object({ type: z.literal('turn.cancelled') });
/** The bridge asks score-model to cut the running turn; score-model answers with `flush`. It also ends a pause. */
const interrupt = z.object({ type: z.literal('interrupt'), cause: z.enum(['barge-in', 'command']) });
const PAUSE_CAUSES = ['command', 'user-speech'] as const;
const RESUME_CAUSES = ['command', 'too-short', 'no-words', 'back-channel'] as const;
/** Older senders name no cause: all their pauses are commands. */
const pauseCause = z.enum(PAUSE_CAUSES).default('command');
/**
 * The bridge asks score-model to stop speech and keep what is left of it (`pause`), or to continue (`resume`). score-model does not answer
 * when the session already is in that state for the same cause.
 */
const pause = z.object({ type: z.literal('pause'), cause: pauseCause });
const resume = z.object({ type: z.literal('resume'), cause: z.enum(RESUME_CAUSES).default('command') });
/** Speech has stopped after `heardMs` of the turn were played. Turn 0: no speech was left. */
const turnPaused = z.object({ type: z.literal('turn.paused'), heardMs: z.number().nonnegative(), cause: pauseCause });
/** A pause is over. `interrupt`: the turn was cut; else it continues at the first sample that was not played. */
const turnResumed = z.object({
  type: z.literal('turn.resumed'),
  heardMs: z.number().nonnegative(),
  cause: z.enum([...RESUME_CAUSES, 'interrupt']),
});
/** webrtc-egress asks the bridge to cut all turns: the LiveKit agent whose speech they are has cleared its output. */
const clear = z.object({ type: z.literal('clear') });
const FLUSH_CAUSES = ['interrupt', 'speech', 'pause', 'resume', 'takeover'] as const;
/** A new epoch: chunks >= fromChunk of older epochs are dropped everywhere. `epoch` in the envelope is the new one. */
const flush = z.object({
  type: z.literal('flush'),
  fromChunk: z.number().int().nonnegative(),
  /**
   * The player also stops what it plays: frames of older epochs from this chunk on, which lies before `fromChunk`, are dropped, and
   * `fromChunk` follows at once. Absent: chunks before `fromChunk` are played to their end.
   */
  cutFrom: z.number().int().nonnegative().optional(),
  cause: z.enum(FLUSH_CAUSES),
});
/** Words of one side. A user's transcript has the number of the turn that answers it, as far as that is known. */
const transcript = z.object({
  type: z.literal('transcript'),
  role: z.enum(['user', 'avatar']),
  text: z.string().max(10_000),
  final: z.boolean(),
});
/**
 * The model calls a function of the program that embeds the session. That program answers within `deadlineMs`
 * (`POST /v1/sessions/{id}/tool-results`, or gRPC AnswerTool); otherwise the model is told that there is no answer.
 */
const toolCall = z.object({
  type: z.literal('tool.call'),
  callId: z.string().min(1).max(200),
  name: z.string().min(1).max(64),
  /** A JSON object, as the model wrote it. */
  arguments: z.string().max(10_000),
  deadlineMs: z.number().positive(),
});
export const TOOL_OUTCOMES = ['answered', 'expired', 'cancelled'] as const;
/** `answered`: the model has the result. `expired`: the deadline passed. `cancelled`: the model no longer waits for it. */
const toolFinished = z.object({
  type: z.literal('tool.finished'),
  callId: z.string().min(1).max(200),
  outcome: z.enum(TOOL_OUTCOMES),
});
const INPUT_PROBLEMS = ['silent', 'too-quiet', 'clipped'] as const;
/**
 * The microphone is of little use; `text` says what the user can do. `silent`: digital silence, as of a muted device. `too-quiet`: speech
 * is below the level that is understood well. `clipped`: it is distorted. It is sent once, until `input.recovered`.
 */
const inputProblem = z.object({
  type: z.literal('input.problem'),
  code: z.enum(INPUT_PROBLEMS),
  text: z.string().max(500),
});
/** The problem is over. */
const inputRecovered = z.object({ type: z.literal('input.recovered'), code: z.enum(INPUT_PROBLEMS) });
/** Which participant of a LiveKit room is heard, and by which track, as the room names them; empty: none at the moment. */
const inputSource = z.object({
  type: z.literal('input.source'),
  participant: z.string().max(200),
  track: z.string().max(100),
});
/**
 * The avatar's first frame of the session is played: from now on the listener must know that it is generated by AI (EU AI Act, article 50).
 * `label` says it; `badge`: whether the label is drawn into the picture, otherwise the program that shows the picture shows it.
 */
const disclosure = z.object({ type: z.literal('disclosure'), label: z.string().max(60), badge: z.boolean() });
/**
 * The first frame of a recording is played: from now on the caller must know that the call is recorded. A worker that takes the session
 * over continues in the next `part`, which is told the same way.
 */
const recordingStarted = z.object({
  type: z.literal('recording.started'),
  part: z.number().int().positive(),
  sides: z.enum(RECORDING_SIDES),
});
/** The recording is over. `limit`: its longest time or largest size is reached, and the call goes on. `stopped`, `deleted`: a program did so. */
const recordingFinished = z.object({
  type: z.literal('recording.finished'),
  part: z.number().int().positive(),
  cause: z.enum(['ended', 'limit', 'stopped', 'deleted']),
  /** Of this part. */
  durationMs: z.number().nonnegative(),
  bytes: z.number().nonnegative(),
});
/** The recording ended early, and the call goes on. What was recorded until then is kept, if anything. */
const recordingFailed = z.object({
  type: z.literal('recording.failed'),
  part: z.number().int().nonnegative(),
  code: z.enum(RECORDING_LOSSES),
  message: z.string().max(500),
});
const viewerConnected = z.object({ type: z.literal('viewer.connected') });
const viewerGone = z.object({ type: z.literal('viewer.gone'), cause: z.string().max(100) });
/** Frames may not have reached webrtc-egress: vae-decode decodes the chunks from the playhead on once more. */
const framesMissed = z.object({ type: z.literal('frames.missed') });
export const STAGE_CAUSES = ['died', 'unregistered', 'cut-off', 'missing', 'drained'] as const;
/** A stage of the session has no worker at the moment; the session continues when another worker takes the stage over. */
const stageRecovering = z.object({
  type: z.literal('stage.recovering'),
  service: z.enum(OPEN_ORDER),
  cause: z.enum(STAGE_CAUSES),
});
/**
 * Another worker took over a stage of the session, `tookMs` after the loss of the old one was detected. Peer connections cannot move:
 * after a takeover of webrtc-egress the viewer, and after one of audio-ingest the microphone, must send a new SDP offer.
 */
const stageMoved = z.object({
  type: z.literal('stage.moved'),
  service: z.enum(OPEN_ORDER),
  cause: z.enum(STAGE_CAUSES),
  tookMs: z.number().nonnegative(),
});
/** All stages of the session are open. */
const sessionStarted = z.object({
  type: z.literal('session.started'),
  avatar: z.string().max(100),
  provider: z.string().max(100),
  createdAtMs: z.number().nonnegative(),
});
const sessionEnded = z.object({ type: z.literal('session.ended'), cause: z.string().max(100) });
const failure = z.object({
  type: z.literal('error'),
  service: z.string().max(40),
  reason: z.string().max(60),
  message: z.string().max(1000),
});

/** What depends on the type of an event. */
export const eventBody = z.discriminatedUnion('type', [
  speechStarted,
  speechStopped,
  turnQueued,
  turnStarted,
  caption,
  turnFinished,
  turnTruncated,
  turnCancelled,
  interrupt,
  pause,
  resume,
  turnPaused,
  turnResumed,
  clear,
  flush,
  transcript,
  toolCall,
  toolFinished,
  inputProblem,
  inputRecovered,
  inputSource,
  disclosure,
  recordingStarted,
  recordingFinished,
  recordingFailed,
  viewerConnected,
  viewerGone,
  framesMissed,
  stageRecovering,
  stageMoved,
  sessionStarted,
  sessionEnded,
  failure,
]);
/**
 * Version 2: `sid` became `sessionId`; the flush causes `continue` and `resume` became `resume` and `takeover`; every event has an `id`;
 * `turn.started` became `turn.queued`, and a new `turn.started` follows the playhead.
 */
export const EVENT_VERSION = 2;

/** What every event has. */
export const eventEnvelope = z.object({
  v: z.literal(EVENT_VERSION),
  /** Unique within the session; two events of one sender have different ids in the order in which they were sent. */
  id: z.string().regex(/^[\w.-]{1,80}$/),
  sessionId: z.string().refine(isSessionId),
  epoch: z.number().int().nonnegative(),
  turn: z.number().int().nonnegative(),
  atMs: z.number().nonnegative(),
});

export type EventBody = z.infer<typeof eventBody>;
export type MeshEvent = z.infer<typeof eventEnvelope> & EventBody;
export type EventType = EventBody['type'];
/**
 * Why chunks are dropped.
 * `interrupt`: a turn was cut. `speech`: a turn begins while idle chunks wait to be played. `pause`: speech that was not played is kept for
 * later. `resume`: a pause ends while idle chunks wait to be played. `takeover`: another worker continues the session.
 */
export type FlushCause = (typeof FLUSH_CAUSES)[number];
/**
 * Why speech stopped and is kept.
 * `command`: a program asked for it. `user-speech`: the user speaks, and it is not decided yet whether that interrupts the avatar.
 */
export type PauseCause = (typeof PAUSE_CAUSES)[number];
/**
 * Why speech continues after a pause.
 * `command`: a program asked for it. The others say why the user's speech was no interruption. `too-short`: a sound such as a cough.
 * `no-words`: nothing was understood. `back-channel`: a sign of listening, such as "mhm".
 */
export type ResumeCause = (typeof RESUME_CAUSES)[number];
/**
 * Why a stage moved.
 * `died`: the worker's process has exited. `unregistered`: the worker is not in the registry and does not answer. `cut-off`: the worker lost
 * its NATS connection. `missing`: the worker does not have the session. `drained`: the worker is draining.
 */
export type StageCause = (typeof STAGE_CAUSES)[number];

/** Encodes an event for `tm.v1.<sid>.event`. Events are JSON because they are small and rare, and any NATS tool can show them. */
export function encodeEvent(event: Omit<MeshEvent, 'v' | 'atMs'> & EventBody, atMs = Date.now()): Uint8Array {
  const message = event.type === 'error' ? { message: sentence(event.message) } : {};
  return new TextEncoder().encode(JSON.stringify({ v: EVENT_VERSION, atMs, ...event, ...message }));
}

/** 10,000 characters of a transcript take up to 30,000 bytes. */
const MAX_EVENT_BYTES = 65_536;

/** @throws MeshError MESSAGE_VERSION, MESSAGE_MALFORMED */
export function decodeEvent(payload: Uint8Array): MeshEvent {
  if (payload.byteLength > MAX_EVENT_BYTES)
    throw new MeshError(
      'MESSAGE_MALFORMED',
      `an event of ${payload.byteLength} bytes is over the limit of ${MAX_EVENT_BYTES}`,
    );
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch (cause) {
    throw new MeshError('MESSAGE_MALFORMED', 'event: it is not valid JSON in UTF-8', { cause });
  }
  const version = (json as { v?: unknown } | null)?.v;
  if (version !== EVENT_VERSION)
    throw new MeshError('MESSAGE_VERSION', `event version ${String(version)} is not supported, only ${EVENT_VERSION}`);
  const head = eventEnvelope.safeParse(json);
  const rest = eventBody.safeParse(json);
  if (!head.success || !rest.success) {
    const issue = (head.error ?? rest.error)?.issues[0];
    throw new MeshError('MESSAGE_MALFORMED', `event: ${issue?.path.join('.')} ${issue?.message}`);
  }
  return { ...head.data, ...rest.data };
}

/** An event that was read back; as of live ones, a malformed one is left out. */
export function decodedEvents(payload: Uint8Array): MeshEvent[] {
  try {
    return [decodeEvent(payload)];
  } catch (error) {
    if (error instanceof MeshError) return [];
    throw error;
  }
}
