/**
 * The one table of who publishes what to whom and within which time. NATS permissions, NetworkPolicies, dashboard rows, latency
 * budgets and the README's diagram are derived from it or tested against it.
 *
 * A *stream* is the last token of a NATS subject `tm.v1.<sid>.<stream>`; `subjects.ts` builds the subjects.
 */

export const STREAMS = ['mic', 'speech', 'latent', 'frame', 'playhead', 'event'] as const;
export type Stream = (typeof STREAMS)[number];

export const SERVICES = [
  'gateway',
  'audio-ingest',
  'audio-llm-bridge',
  'score-model',
  'vae-decode',
  'webrtc-egress',
] as const;
/** Streams whose newest messages JetStream retains; `retention.ts` defines how many. */
export const RETAINED_STREAMS = ['speech', 'latent', 'playhead', 'event'] as const satisfies readonly Stream[];
export type RetainedStream = (typeof RETAINED_STREAMS)[number];

export type ServiceName = (typeof SERVICES)[number];

/** JetStream KV buckets; `subjects.ts` says what each of them holds. */
export const BUCKETS = [
  'talkmesh_workers',
  'talkmesh_sessions',
  'talkmesh_pictures',
  'talkmesh_avatars',
  'talkmesh_webhooks',
] as const;
export type BucketName = (typeof BUCKETS)[number];
/**
 * `put-own`: only records whose key begins with the service's name. Who may put records also creates the bucket when it is missing.
 * `erase`: removes records without a trace, where deleting them leaves one until the bucket's records expire.
 */
export type BucketUse = 'get' | 'list' | 'put' | 'put-own' | 'erase';

export interface StageContract {
  /** What the service does, in one line. */
  readonly does: string;
  /** Streams it may subscribe to. */
  readonly subscribes: readonly Stream[];
  /** Streams it may publish. */
  readonly publishes: readonly Stream[];
  /** Retained streams that it may read back, to take a session over or to fill a gap. */
  readonly readsBack: readonly RetainedStream[];
  /** Retained streams that it may follow for all sessions together, from a position on. */
  readonly follows: readonly RetainedStream[];
  /** What it may do with which KV bucket. */
  readonly buckets: Readonly<Partial<Record<BucketName, readonly BucketUse[]>>>;
  /** The queue group in which it may subscribe to its streams; null: none, so that it cannot take messages away from other processes. */
  readonly queueGroup: string | null;
  /** gRPC services it serves (fully qualified names are `talkmesh.v1.<name>`). */
  readonly serves: readonly string[];
  /** Services whose gRPC it calls. */
  readonly calls: readonly ServiceName[];
  /** Budget for the 95th percentile of the time between input and output, milliseconds; `chunk`: one chunk's duration; null: the provider decides. */
  readonly budgetP95Ms: number | 'chunk' | null;
}

export const PIPELINE: Readonly<Record<ServiceName, StageContract>> = {
  gateway: {
    does: 'public entry: REST, gRPC, WHIP/WHEP signalling, the Realtime protocol, the avatar socket, tokens, placement, the demo page',
    subscribes: ['speech', 'event'],
    publishes: ['event'],
    readsBack: ['event'],
    follows: ['event'],
    buckets: {
      talkmesh_workers: ['list'],
      talkmesh_sessions: ['get', 'list', 'put'],
      talkmesh_pictures: ['get', 'put'],
      talkmesh_avatars: ['get', 'list', 'put'],
      talkmesh_webhooks: ['get', 'put', 'erase'],
    },
    queueGroup: 'gateway',
    serves: ['SessionService', 'AudioIngest', 'RecordService'],
    calls: ['audio-ingest', 'audio-llm-bridge', 'score-model', 'vae-decode', 'webrtc-egress'],
    budgetP95Ms: 50,
  },
  'audio-ingest': {
    does: 'microphone in (WHIP, a LiveKit room or gRPC StreamAudio), 24 kHz mono out, voice activity events',
    subscribes: ['playhead'],
    publishes: ['mic', 'event'],
    readsBack: [],
    follows: [],
    buckets: { talkmesh_workers: ['put-own'], talkmesh_sessions: ['get'] },
    queueGroup: null,
    serves: ['StageService', 'SignallingService', 'AudioIngest'],
    calls: [],
    budgetP95Ms: 40,
  },
  'audio-llm-bridge': {
    does: 'runs the conversation provider: turns microphone audio and typed text into speech and turns',
    subscribes: ['mic', 'event', 'playhead'],
    publishes: ['speech', 'event'],
    readsBack: ['speech', 'playhead', 'event'],
    follows: [],
    buckets: { talkmesh_workers: ['put-own'], talkmesh_sessions: ['get'] },
    queueGroup: null,
    serves: ['StageService', 'ConversationService'],
    calls: [],
    budgetP95Ms: null,
  },
  'score-model': {
    does: 'speech in, latent chunks out, each with its own audio; the only service that raises the epoch',
    subscribes: ['speech', 'event', 'playhead'],
    publishes: ['latent', 'event'],
    readsBack: ['speech', 'latent', 'playhead', 'event'],
    follows: [],
    buckets: { talkmesh_workers: ['put-own'], talkmesh_sessions: ['get'], talkmesh_pictures: ['get'] },
    queueGroup: null,
    serves: ['StageService'],
    calls: [],
    budgetP95Ms: 'chunk',
  },
  'vae-decode': {
    does: 'latent chunks in, I420 frames out, each with its slice of the audio',
    subscribes: ['latent', 'event'],
    publishes: ['frame', 'event'],
    readsBack: ['latent', 'playhead', 'event'],
    follows: [],
    buckets: { talkmesh_workers: ['put-own'], talkmesh_sessions: ['get'], talkmesh_pictures: ['get'] },
    queueGroup: null,
    serves: ['StageService', 'PictureService'],
    calls: [],
    budgetP95Ms: 'chunk',
  },
  'webrtc-egress': {
    does: 'plays frames and audio on one clock, to WebRTC (WHEP), a LiveKit room, a recorder or the avatar socket; reports the playhead; takes the speech of a LiveKit agent or of that socket in; tells a room what is said; records calls',
    subscribes: ['frame', 'event', 'mic'],
    publishes: ['playhead', 'event', 'mic'],
    readsBack: ['playhead', 'event'],
    follows: [],
    buckets: { talkmesh_workers: ['put-own'], talkmesh_sessions: ['get'] },
    queueGroup: null,
    serves: ['StageService', 'SignallingService', 'RecordService', 'AvatarService'],
    calls: [],
    budgetP95Ms: 60,
  },
};

/** The stages of a session in the order in which they are opened: consumers first, so that every message has a subscriber. */
export const OPEN_ORDER = [
  'webrtc-egress',
  'vae-decode',
  'score-model',
  'audio-llm-bridge',
  'audio-ingest',
] as const satisfies readonly ServiceName[];
export type WorkerName = (typeof OPEN_ORDER)[number];

/** Sample rate of speech audio everywhere in the mesh (PCM16 little-endian, mono). */
export const SPEECH_RATE_HZ = 24_000;
/** Duration of one `mic` or `speech` message, milliseconds. */
export const AUDIO_FRAME_MS = 20;
/** Payload limit of every message, bytes: the NATS server's default `max_payload`. */
export const MAX_PAYLOAD_BYTES = 1_048_576;
