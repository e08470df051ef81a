/**
 * THE table: who publishes what to whom, within which time. NATS permissions, NetworkPolicies, dashboard rows, latency
 * budgets and the README's diagram are derived from it or tested against it.
 *
 * A *stream* is the last token of a NATS subject `tm.v1.<sid>.<stream>`; `libs/contracts/src/subjects.ts` builds them.
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
/** Streams whose last messages NATS keeps for a while; `retention.ts` says how many. */
export const RETAINED_STREAMS = ['speech', 'latent', 'playhead', 'event'] as const satisfies readonly Stream[];
export type RetainedStream = (typeof RETAINED_STREAMS)[number];

export type ServiceName = (typeof SERVICES)[number];

export interface StageContract {
  /** What the service does, one line. */
  readonly does: string;
  /** Streams it may subscribe to. */
  readonly subscribes: readonly Stream[];
  /** Streams it may publish. */
  readonly publishes: readonly Stream[];
  /** Retained streams it may read back, to take a session over or to fill a gap. */
  readonly recalls: readonly RetainedStream[];
  /** gRPC services it serves (fully qualified names are `talkmesh.v1.<name>`). */
  readonly serves: readonly string[];
  /** Services whose gRPC it calls. */
  readonly calls: readonly ServiceName[];
  /** 95th percentile of the time between input and output, milliseconds; null where a provider decides. */
  readonly budgetP95Ms: number | 'chunk' | null;
}

export const PIPELINE: Readonly<Record<ServiceName, StageContract>> = {
  gateway: {
    does: 'the edge: REST, gRPC, WHIP/WHEP signalling, tokens, placement, the demo page',
    subscribes: ['event'],
    publishes: ['event'],
    recalls: [],
    serves: ['SessionService', 'AudioIngest', 'RecordService'],
    calls: ['audio-ingest', 'audio-llm-bridge', 'score-model', 'vae-decode', 'webrtc-egress'],
    budgetP95Ms: 50,
  },
  'audio-ingest': {
    does: 'microphone in (WHIP or gRPC StreamAudio), 24 kHz mono out, voice activity events',
    subscribes: ['playhead'],
    publishes: ['mic', 'event'],
    recalls: [],
    serves: ['StageService', 'SignallingService', 'AudioIngest'],
    calls: [],
    budgetP95Ms: 40,
  },
  'audio-llm-bridge': {
    does: 'conversation provider: what was heard or typed becomes speech and turns',
    subscribes: ['mic', 'event', 'playhead'],
    publishes: ['speech', 'event'],
    recalls: ['speech', 'playhead', 'event'],
    serves: ['StageService', 'ConversationService'],
    calls: [],
    budgetP95Ms: null,
  },
  'score-model': {
    does: 'speech in, latent chunks out, each with the audio it speaks; owner of the epoch',
    subscribes: ['speech', 'event', 'playhead'],
    publishes: ['latent', 'event'],
    recalls: ['speech', 'latent', 'playhead', 'event'],
    serves: ['StageService'],
    calls: [],
    budgetP95Ms: 'chunk',
  },
  'vae-decode': {
    does: 'latent chunks in, I420 frames out, each with its slice of the audio',
    subscribes: ['latent', 'event'],
    publishes: ['frame', 'event'],
    recalls: ['latent', 'playhead', 'event'],
    serves: ['StageService', 'PictureService'],
    calls: [],
    budgetP95Ms: 'chunk',
  },
  'webrtc-egress': {
    does: 'one clock for picture and sound: WebRTC (WHEP) or a recorder; reports the playhead',
    subscribes: ['frame', 'event'],
    publishes: ['playhead', 'event'],
    recalls: ['playhead'],
    serves: ['StageService', 'SignallingService', 'RecordService'],
    calls: [],
    budgetP95Ms: 60,
  },
};

/** The services a session occupies, in the order they are opened: consumers before producers, so nothing is published to nobody. */
export const OPEN_ORDER = [
  'webrtc-egress',
  'vae-decode',
  'score-model',
  'audio-llm-bridge',
  'audio-ingest',
] as const satisfies readonly ServiceName[];
export type WorkerName = (typeof OPEN_ORDER)[number];

/** Speech audio anywhere in the mesh: PCM16 little-endian, mono. */
export const SPEECH_RATE_HZ = 24_000;
/** Duration of one `mic` or `speech` message, milliseconds. */
export const AUDIO_FRAME_MS = 20;
/** NATS payload limit every message stays under (the server's default `max_payload`), bytes. */
export const MAX_PAYLOAD_BYTES = 1_048_576;
