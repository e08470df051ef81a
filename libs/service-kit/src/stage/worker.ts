import type { ConversationOffer } from '@talkmesh/contracts';
import type { v1 } from '@talkmesh/contracts/protos';

type Stage = (typeof v1.StageService)['service'];
/** `talkmesh.v1.OpenRequest` as the server receives it. */
export type OpenRequest = ReturnType<Stage['Open']['requestDeserialize']>;
type AllStats = ReturnType<Stage['Stats']['responseDeserialize']>['sessions'][number];
/** `talkmesh.v1.SessionStats`. Optional is what only one service reports. */
export type SessionStats = Omit<AllStats, OfOneService> & Partial<Pick<AllStats, OfOneService>>;
type OfOneService = 'paused' | 'streamSamples';
export type DescribeResponse = ReturnType<Stage['Describe']['responseDeserialize']>;

/** What a worker service implements of StageService. The kit adds admission, idempotency, draining, registry and metrics. */
export interface WorkerHandlers {
  /** Most sessions that it holds at the same time. */
  readonly capacity: number;
  /** "name@version" of the loaded model; empty for services without a model. */
  readonly model: string;
  /** What sessions may choose of the conversation; of audio-llm-bridge only. */
  readonly offer?: ConversationOffer;
  /** Whether it records calls; of webrtc-egress only. */
  readonly recordsCalls?: boolean;
  /** Number of sessions that it holds now. */
  sessions(): number;
  /** Called once per session, after id, options and capacity were checked. `signal` is aborted when the caller cancels. */
  open(request: OpenRequest, signal: AbortSignal): Promise<void>;
  /** Called once for each opened session; releases all its state. */
  close(sessionId: string, reason: string): Promise<void>;
  /** One entry per session that it holds. A session that is missing here and in `sessions()` counts as ended and may be opened again. */
  stats(): SessionStats[];
}

/** Handlers of a worker without a model, whose sessions are entries of a map. */
export const mapHandlers = <Entry extends { readonly session: { stats(): SessionStats } }>(
  capacity: number,
  sessions: ReadonlyMap<string, Entry>,
  handlers: Pick<WorkerHandlers, 'open' | 'close'>,
): WorkerHandlers => ({
  capacity,
  model: '',
  sessions: () => sessions.size,
  stats: () => [...sessions.values()].map(({ session }) => session.stats()),
  ...handlers,
});
