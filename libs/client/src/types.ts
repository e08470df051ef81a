/** One avatar a session can show. */
export interface Avatar {
  readonly id: string;
  readonly name: string;
  readonly style: string;
  /** URL of the reference picture (PNG), relative to the gateway. */
  readonly image: string;
  /** Unix milliseconds when an own picture (style "own") is deleted; undefined for the model's avatars. */
  readonly expiresAtMs?: number;
}

/** Pixels from the left and from the top. */
export type Point = readonly [number, number];

/** One value for each part of a face; left and right are those of whoever looks at the picture. */
export interface OfFace<T> {
  readonly mouth: T;
  readonly leftEye: T;
  readonly rightEye: T;
}

/** What to tell about a picture; everything is found when it is left out. Pixels are those of the picture turned upright. */
export interface PictureOptions {
  /** Shown to people. */
  readonly name?: string;
  /** Centres of mouth and eyes; they win over what is found. */
  readonly landmarks?: OfFace<Point>;
  /** Or boxes around them: left, top, right, bottom. */
  readonly boxes?: OfFace<readonly [number, number, number, number]>;
  /** The square to use. */
  readonly crop?: { readonly left: number; readonly top: number; readonly side: number };
}

/** An avatar made of a picture. */
export interface OwnAvatar extends Avatar {
  /** Pixels of `image`. */
  readonly landmarks: OfFace<Point>;
  readonly boxes?: OfFace<readonly [number, number, number, number]>;
  /** The picture that was sent, and what was taken of it. */
  readonly source: {
    readonly width: number;
    readonly height: number;
    readonly crop: { readonly left: number; readonly top: number; readonly side: number };
    readonly landmarks: OfFace<Point>;
  };
  /** Whether the model was trained for such a picture; if not, why, gravest first. */
  readonly verdict: {
    readonly fits: boolean;
    readonly reasons: readonly { readonly code: string; readonly text: string }[];
  };
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** What to create; everything but `avatar` has a default. */
export interface SessionOptions {
  readonly avatar: string;
  /** Who decides what the avatar says: `parrot` (default), `external`, or any other the deployment has. */
  readonly provider?: string;
  /** `webrtc` (default) for a live call, `record` for a reader of frames. */
  readonly output?: 'webrtc' | 'record';
  /** Seed of the noise, 0 to 2^53-1; random when left out. */
  readonly seed?: number;
}

/** What lets a browser join a session that somebody else created. */
export interface SessionTicket {
  readonly sessionId: string;
  /** Bearer token (JWT) for this session only. */
  readonly token: string;
}

/** A session as the gateway tells it. */
export interface SessionInfo {
  readonly id: string;
  readonly state: 'opening' | 'open' | 'ended';
  readonly avatar: string;
  readonly provider: string;
  readonly output: 'webrtc' | 'record';
  readonly seed: number;
  readonly createdAtMs: number;
}

/** `POST /v1/sessions`. Paths are relative to the gateway. */
export interface CreatedSession {
  readonly session: SessionInfo;
  readonly token: string;
  readonly tokenExpiresAtMs: number;
  readonly whip: string;
  readonly whep: string;
  readonly events: string;
}

interface EventEnvelope {
  readonly v: 1;
  /** Session id. */
  readonly sid: string;
  readonly epoch: number;
  /** Turn the event belongs to; 0 before the first. */
  readonly turn: number;
  /** Unix milliseconds on the service that sent it. */
  readonly atMs: number;
}

/** The services a call occupies. */
export type StageService = 'webrtc-egress' | 'vae-decode' | 'score-model' | 'audio-llm-bridge' | 'audio-ingest';
/** Why a stage went to another worker. */
export type StageCause = 'died' | 'unregistered' | 'cut-off' | 'missing' | 'drained';

/** What happens in a call; `libs/contracts/src/events.ts` is the source. */
export type CallEvent = EventEnvelope &
  (
    | { readonly type: 'speech.started' }
    | { readonly type: 'speech.stopped'; readonly durationMs: number }
    | { readonly type: 'turn.started'; readonly source: 'voice' | 'text' | 'external' }
    | { readonly type: 'turn.finished'; readonly interrupted: boolean; readonly speechMs: number }
    | { readonly type: 'interrupt'; readonly cause: 'barge-in' | 'command' }
    | { readonly type: 'pause' }
    | { readonly type: 'resume' }
    | { readonly type: 'turn.paused'; readonly heardMs: number }
    | { readonly type: 'turn.resumed'; readonly heardMs: number; readonly cause: 'command' | 'interrupt' }
    | {
        readonly type: 'flush';
        readonly fromChunk: number;
        readonly cause: 'interrupt' | 'speech' | 'pause' | 'continue' | 'resume';
      }
    | { readonly type: 'transcript'; readonly role: 'user' | 'avatar'; readonly text: string; readonly final: boolean }
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
    | { readonly type: 'session.ended'; readonly cause: string }
    | { readonly type: 'error'; readonly service: string; readonly reason: string; readonly message: string }
  );

/**
 * - `new`: created, not connected
 * - `connecting`, `reconnecting`: media is being negotiated
 * - `listening`: the picture is live and the avatar is silent
 * - `thinking`: the caller stopped speaking or typed a line, the answer has not begun
 * - `speaking`: the avatar speaks
 * - `paused`: the picture is live and nothing is said until a resume
 * - `ended`: over, for good
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

/** What the receiver measured; undefined where the browser does not say. */
export interface CallStats {
  readonly framesDecoded: number | undefined;
  readonly framesPerSecond: number | undefined;
  readonly widthPx: number | undefined;
  readonly heightPx: number | undefined;
  readonly freezes: number | undefined;
  readonly packetsLost: number | undefined;
  readonly bytesReceived: number | undefined;
  readonly roundTripMs: number | undefined;
  /** Mean time a frame waited in the browser's jitter buffer, milliseconds. */
  readonly jitterBufferMs: number | undefined;
}
