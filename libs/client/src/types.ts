import type { TalkMeshError } from './http.js';
import type { Quality } from './offer.js';

export type { ConversationOffer, Quality } from './offer.js';

/** An avatar that a session can show. */
export interface Avatar {
  readonly id: string;
  readonly name: string;
  readonly style: string;
  /** URL of the reference picture (PNG), relative to the gateway. */
  readonly image: string;
  /** URL of an AVIF image sequence of the avatar in silence, which repeats; undefined where the model has none. */
  readonly idle?: string;
  /** When an avatar made from a user's picture (style "own") is deleted, Unix milliseconds; undefined for the model's avatars. */
  readonly expiresAtMs?: number;
}

/** x and y in pixels, from the left and from the top. */
export type Point = readonly [number, number];

/** One value for each part of a face. Left and right are as the viewer of the picture sees them. */
export interface OfFace<T> {
  readonly mouth: T;
  readonly leftEye: T;
  readonly rightEye: T;
}

/** Details of a picture. The server detects what is left out. Pixels count after the picture is turned upright (EXIF orientation). */
export interface PictureOptions {
  /** Name shown to users. */
  readonly name?: string;
  /** Centres of mouth and eyes; they are used instead of detected ones. */
  readonly landmarks?: OfFace<Point>;
  /** Boxes around mouth and eyes: left, top, right, bottom. */
  readonly boxes?: OfFace<readonly [number, number, number, number]>;
  /** The square of the picture to use. */
  readonly crop?: { readonly left: number; readonly top: number; readonly side: number };
}

/** An avatar made from a user's picture. */
export interface OwnAvatar extends Omit<Avatar, 'idle'> {
  /** In pixels of `image`; absent when the model needs none. */
  readonly landmarks?: OfFace<Point>;
  readonly boxes?: OfFace<readonly [number, number, number, number]>;
  /** The picture that was sent, and which part of it is used. */
  readonly source: {
    readonly width: number;
    readonly height: number;
    readonly crop: { readonly left: number; readonly top: number; readonly side: number };
    readonly landmarks?: OfFace<Point>;
  };
  /** Whether the picture is like those the model was trained with; if not, the reasons, most serious first. */
  readonly verdict: {
    readonly fits: boolean;
    readonly reasons: readonly { readonly code: string; readonly text: string }[];
  };
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** The session to create; all options but `avatar` have a default. */
export interface SessionOptions {
  readonly avatar: string;
  /** Conversation provider, which produces the avatar's speech; the deployment's default when left out. */
  readonly provider?: string;
  /** What the model is told about its role. */
  readonly instructions?: string;
  /** By the provider's own names. */
  readonly voice?: string;
  /** BCP 47 tag, such as `de` or `pt-BR`; the provider detects the language when left out. */
  readonly language?: string;
  /** How the user's turns begin and end: by their voice (default), or by `startInput()` and `commitInput()` of the call. */
  readonly input?: 'voice-activity' | 'push-to-talk';
  /** `webrtc` (default) for a live call; `record` for a reader of RecordService; `frames` for a program at /v1/avatar. */
  readonly output?: 'webrtc' | 'record' | 'frames';
  /** Draws the label of `SessionInfo.disclosure` into the picture. The deployment may do so always. */
  readonly badge?: boolean;
  /** Records the call on the server, when the deployment allows it; nothing is recorded without it. The caller sees that it is. */
  readonly recording?: RecordingOptions;
  /** A `Quality` of the deployment, or its size, such as `3x4`; the deployment's default when left out. */
  readonly quality?: string;
  /** Width of the video, pixels, such as 256 or 512, as far as the model makes it; the deployment's default when left out. */
  readonly size?: number;
  /**
   * Shows the avatar in a LiveKit room, as one participant. Watch it there, with LiveKit's own client: `Call.connect()` is for sessions
   * without it.
   */
  readonly transport?: { readonly livekit: LivekitTransport };
  /** Seed of the noise, 0 to 2^53-1; random when left out. */
  readonly seed?: number;
  /** Longest time of the session; it also ends when neither side has spoken for `idleSeconds`. */
  readonly maxSeconds?: number;
  readonly idleSeconds?: number;
  /** Pages that may use the session's token, such as `https://shop.example.com`. */
  readonly origins?: readonly string[];
}

/** `both` mixes the caller's voice in; `avatar` (default) records what the avatar says. */
export interface RecordingOptions {
  readonly sides?: 'avatar' | 'both';
  /** `mp4` by default. */
  readonly format?: 'mp4' | 'webm';
  /** Longest playing time; the call goes on without being recorded. */
  readonly maxSeconds?: number;
}

/** A room of a LiveKit server that the deployment allows. Either `token` or `room` is set. */
export interface LivekitTransport {
  /** `ws://` or `wss://` URL; the deployment's first server when left out. */
  readonly url?: string;
  /** LiveKit access token of the avatar's participant. */
  readonly token?: string;
  /** Name of the room, when the deployment has the server's key and makes the token. */
  readonly room?: string;
  /** Of the avatar in the room; `avatar-<session id>` when left out. */
  readonly identity?: string;
  /** Identity of the LiveKit agent that speaks through the avatar; `token` may name it too (`lk.publish_on_behalf`). */
  readonly agent?: string;
  /** Hears the room. Without it the microphone comes over WHIP or StreamAudio. */
  readonly microphone?: LivekitMicrophone;
}

/**
 * Who in the room is heard: the participant of that identity, or those with all of these attributes; without either, everyone but agents.
 * Of several it is the one that joined first and has a microphone, until it leaves.
 */
export interface LivekitMicrophone {
  readonly identity?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  /** LiveKit access token of a participant with the grants `hidden` and `canSubscribe`; for a deployment without the server's key. */
  readonly token?: string;
}

/** Lets a browser join a session that a server created. */
export interface SessionTicket {
  readonly sessionId: string;
  /** Bearer token (JWT) for this session only. */
  readonly token: string;
}

/** A session as the gateway describes it. */
export interface SessionInfo {
  readonly id: string;
  readonly state: 'opening' | 'open' | 'ended';
  readonly avatar: string;
  readonly provider: string;
  readonly output: 'webrtc' | 'record' | 'frames';
  readonly transport?: { readonly livekit: { readonly url: string; readonly room: string; readonly identity: string } };
  readonly disclosure?: Disclosure;
  /** The call is recorded: the caller must be told. */
  readonly recording?: {
    readonly sides: 'avatar' | 'both';
    readonly format: 'mp4' | 'webm';
    readonly maxSeconds: number;
  };
  readonly quality: Quality;
  /** Width of the video, pixels; sessions of older gateways leave it out. */
  readonly size?: number;
  readonly seed: number;
  readonly createdAtMs: number;
}

/** Answer of `POST /v1/sessions`. Paths are relative to the gateway. */
export interface CreatedSession {
  readonly session: SessionInfo;
  readonly token: string;
  readonly tokenExpiresAtMs: number;
  readonly whip: string;
  readonly whep: string;
  readonly events: string;
}

interface EventEnvelope {
  readonly v: 2;
  /** Unique within the session. */
  readonly id: string;
  /** Session id. */
  readonly sessionId: string;
  readonly epoch: number;
  /** Number of the turn the event belongs to; 0 before the first turn. */
  readonly turn: number;
  /** Unix milliseconds, by the clock of the service that sent the event. */
  readonly atMs: number;
}

/** The stages of the pipeline that a session occupies. */
export type StageService = 'webrtc-egress' | 'vae-decode' | 'score-model' | 'audio-llm-bridge' | 'audio-ingest';
/** Why a stage moved to another worker. */
export type StageCause = 'died' | 'unregistered' | 'cut-off' | 'missing' | 'drained';

/** A turn that is not over. */
export interface TurnProgress {
  readonly turn: number;
  readonly source: 'voice' | 'text' | 'external';
  /** Whether the listener has heard its first sound. */
  readonly audible: boolean;
}

/** Why the microphone is of little use, and what the user can do. */
export interface InputProblem {
  /** The latter two are known to the browser only; they are in no event. */
  readonly code: 'silent' | 'too-quiet' | 'clipped' | 'unplugged' | 'system-muted';
  readonly text: string;
}

/** What the mesh hears of the microphone. */
export type HeardProblem = InputProblem & { readonly code: 'silent' | 'too-quiet' | 'clipped' };

/** How the call says that its avatar is generated by AI (EU AI Act, article 50). */
export interface Disclosure {
  readonly label: string;
  /** The label is drawn into the picture; otherwise the program that shows the picture shows it. */
  readonly badge: boolean;
}

/** What is going on in a call, as the listener sees and hears it. */
export interface CallProgress {
  /** Turns that wait or are heard, oldest first. */
  readonly turns: readonly TurnProgress[];
  /** Whether a program asked for the pause. The avatar also stops for a moment while the user's speech may be an interruption. */
  readonly paused: boolean;
  readonly userSpeaking: boolean;
  /** Until the microphone works again. */
  readonly inputProblem?: HeardProblem;
  /** Since the avatar's first frame: listeners must know that it is generated by AI. */
  readonly disclosure?: Disclosure;
  /** The call is being recorded: the caller must know. `both`: with the caller's voice. */
  readonly recording?: { readonly sides: 'avatar' | 'both' };
  /** The phrase that is being heard. */
  readonly caption?: { readonly turn: number; readonly text: string };
  /** Stages that have no worker at the moment. */
  readonly recovering: readonly StageService[];
}

/** First event of an event stream that does not continue an earlier one. Its `id` is that of the last event in it. */
export type SessionSnapshot = EventEnvelope & { readonly type: 'session.snapshot'; readonly progress: CallProgress };

export type CallEvent = SessionEvent | SessionSnapshot;

/** `user-speech`: the user speaks, and it is not decided yet whether that interrupts the avatar. */
export type PauseCause = 'command' | 'user-speech';

/** All but `command` say why the user's speech was no interruption. */
export type ResumeCause = 'command' | 'too-short' | 'no-words' | 'back-channel';

/** An event of a session. `libs/contracts/src/events.ts` defines the events; this copy keeps the client free of dependencies. */
export type SessionEvent = EventEnvelope &
  (
    | { readonly type: 'speech.started' }
    | { readonly type: 'speech.stopped'; readonly durationMs: number; readonly cancelled?: true | undefined }
    | { readonly type: 'turn.queued'; readonly source: 'voice' | 'text' | 'external' }
    | { readonly type: 'turn.started'; readonly source: 'voice' | 'text' | 'external' }
    | { readonly type: 'caption'; readonly text: string; readonly fromMs: number }
    | {
        readonly type: 'turn.finished';
        readonly interrupted: boolean;
        readonly speechMs: number;
        readonly heardMs: number;
        readonly heardText?: string | undefined;
      }
    | { readonly type: 'turn.truncated'; readonly speechMs: number }
    | { readonly type: 'turn.cancelled' }
    | { readonly type: 'interrupt'; readonly cause: 'barge-in' | 'command' }
    | { readonly type: 'clear' }
    | { readonly type: 'pause'; readonly cause: PauseCause }
    | { readonly type: 'resume'; readonly cause: ResumeCause }
    | { readonly type: 'turn.paused'; readonly heardMs: number; readonly cause: PauseCause }
    | { readonly type: 'turn.resumed'; readonly heardMs: number; readonly cause: ResumeCause | 'interrupt' }
    | {
        readonly type: 'flush';
        readonly fromChunk: number;
        readonly cutFrom?: number | undefined;
        readonly cause: 'interrupt' | 'speech' | 'pause' | 'resume' | 'takeover';
      }
    | { readonly type: 'transcript'; readonly role: 'user' | 'avatar'; readonly text: string; readonly final: boolean }
    | {
        readonly type: 'tool.call';
        readonly callId: string;
        readonly name: string;
        /** A JSON object, as the model wrote it. */
        readonly arguments: string;
        readonly deadlineMs: number;
      }
    | {
        readonly type: 'tool.finished';
        readonly callId: string;
        readonly outcome: 'answered' | 'expired' | 'cancelled';
      }
    | { readonly type: 'input.problem'; readonly code: HeardProblem['code']; readonly text: string }
    | { readonly type: 'input.recovered'; readonly code: HeardProblem['code'] }
    | { readonly type: 'input.source'; readonly participant: string; readonly track: string }
    | { readonly type: 'disclosure'; readonly label: string; readonly badge: boolean }
    | { readonly type: 'recording.started'; readonly part: number; readonly sides: 'avatar' | 'both' }
    | {
        readonly type: 'recording.finished';
        readonly part: number;
        readonly cause: 'ended' | 'limit' | 'stopped' | 'deleted';
        readonly durationMs: number;
        readonly bytes: number;
      }
    | {
        readonly type: 'recording.failed';
        readonly part: number;
        readonly code: 'disk-full' | 'storage' | 'too-slow' | 'encoder' | 'worker-full';
        readonly message: string;
      }
    | { readonly type: 'viewer.connected' }
    | { readonly type: 'viewer.gone'; readonly cause: string }
    | { readonly type: 'frames.missed' }
    | { readonly type: 'stage.recovering'; readonly service: StageService; readonly cause: StageCause }
    | {
        readonly type: 'stage.moved';
        readonly service: StageService;
        readonly cause: StageCause;
        readonly tookMs: number;
      }
    | {
        readonly type: 'session.started';
        readonly avatar: string;
        readonly provider: string;
        readonly createdAtMs: number;
      }
    | { readonly type: 'session.ended'; readonly cause: string }
    | { readonly type: 'error'; readonly service: string; readonly reason: string; readonly message: string }
  );

/**
 * - `new`: created, not connected
 * - `connecting`, `reconnecting`: media is being negotiated
 * - `listening`: the video is live and the avatar is silent
 * - `thinking`: the user stopped speaking or typed a line, and the answer is not heard yet
 * - `speaking`: the avatar is heard
 * - `paused`: the video is live and the avatar is silent until a resume
 * - `ended`: the call is over and cannot be connected again
 */
export type CallState =
  | 'new'
  | 'connecting'
  | 'reconnecting'
  | 'listening'
  | 'thinking'
  | 'speaking'
  | 'paused'
  | 'ended';

/** Measurements of the receiver; undefined where the browser does not report the value. */
export interface CallStats {
  readonly framesDecoded: number | undefined;
  readonly framesPerSecond: number | undefined;
  readonly widthPx: number | undefined;
  readonly heightPx: number | undefined;
  readonly freezes: number | undefined;
  /** How long the picture stood still in all freezes together, milliseconds. */
  readonly frozenMs: number | undefined;
  readonly packetsLost: number | undefined;
  readonly bytesReceived: number | undefined;
  readonly roundTripMs: number | undefined;
  /** Variation of the arrival of the sound's packets (RFC 3550, 6.4.1), milliseconds. */
  readonly jitterMs: number | undefined;
  /** Mean time a frame waited in the browser's jitter buffer, milliseconds. */
  readonly jitterBufferMs: number | undefined;
  /**
   * Lip sync of the last second, milliseconds: positive when the picture is ahead of its sound, negative when it is behind. This one and
   * the three below need `Call.observe`.
   */
  readonly avSkewMs: number | undefined;
  /** From the arrival of a frame until it is on the display, and from the arrival of a sample until it is heard, milliseconds. */
  readonly pictureDelayMs: number | undefined;
  readonly soundDelayMs: number | undefined;
  /** From `connect()`, or from the loss of the connection, until a frame was on the display, milliseconds. */
  readonly firstFrameMs: number | undefined;
  /**
   * The same as `avSkewMs`, but by the sender's clock (difference of both estimatedPlayoutTimestamp), milliseconds. Known only some seconds
   * after the connection, and coarse.
   */
  readonly senderClockSkewMs: number | undefined;
}

export interface CallListeners {
  /** Every event of the session, unchanged. */
  event: (event: CallEvent) => void;
  state: (state: CallState) => void;
  /** Once a second while a video is observed (`observe`) and connected. */
  stats: (stats: CallStats) => void;
  /** Why the user cannot be heard well; undefined when that is over. */
  input: (problem: InputProblem | undefined) => void;
  /** A failure. The call continues unless its state is `ended`. */
  error: (error: TalkMeshError) => void;
}

export interface ConnectOptions {
  /**
   * `true` (default) opens the system's microphone, a string the one with this id (`listAudioDevices`); a MediaStream is sent as it is and
   * never stopped; `false` sends no audio.
   */
  readonly microphone?: MediaStream | string | boolean;
}
