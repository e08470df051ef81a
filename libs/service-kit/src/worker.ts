import type { v1 } from '@talkmesh/contracts';

type Stage = (typeof v1.StageService)['service'];
/** `talkmesh.v1.OpenRequest` as the server reads it. */
export type OpenRequest = ReturnType<Stage['Open']['requestDeserialize']>;
type AllStats = ReturnType<Stage['Stats']['responseDeserialize']>['sessions'][number];
/** `talkmesh.v1.SessionStats`; only the owner of a pause tells whether a call is paused. */
export type SessionStats = Omit<AllStats, 'paused'> & Partial<Pick<AllStats, 'paused'>>;
export type DescribeResponse = ReturnType<Stage['Describe']['responseDeserialize']>;

/** What a worker service does for StageService; the kit keeps admission, idempotency, draining, registry and metrics. */
export interface WorkerHandlers {
  /** Sessions it admits at once. */
  readonly capacity: number;
  /** "name@version" of the model it serves, or empty. */
  readonly model: string;
  /** Sessions it holds now. */
  sessions(): number;
  /** Called once per session, after id, options and capacity were checked. `signal`: the caller gave up. */
  open(request: OpenRequest, signal: AbortSignal): Promise<void>;
  /** Called once for a session that was opened; releases everything of it. */
  close(sessionId: string, reason: string): Promise<void>;
  /** One entry per session it holds: a session missing here, and in `sessions()`, may be opened again. */
  stats(): SessionStats[];
}
