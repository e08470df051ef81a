import { MeshError } from '@talkmesh/contracts';
import type { OpenRequest, WorkerHandlers } from '@talkmesh/service-kit';
import { type CountedSession, sessionStats } from './chunk-worker.js';

/** Session life cycle of a worker: the one object where gRPC requests, NATS messages and the scheduler meet. */
export interface ChunkSessions {
  readonly count: number;
  stats(): readonly CountedSession[];
  close(sessionId: string): void;
}

export interface WorkerHandlersParts {
  readonly capacity: number;
  readonly model: string;
  readonly sessions: ChunkSessions;
  /** @throws MeshError ARGUMENT_INVALID, SESSION_LIMIT, CANCELLED */
  open(request: OpenRequest, signal: AbortSignal): Promise<void>;
}

/** gRPC handlers of a chunk worker; only `open` differs between services. */
export const workerHandlers = ({ capacity, model, sessions, open }: WorkerHandlersParts): WorkerHandlers => ({
  capacity,
  model,
  open,
  sessions: () => sessions.count,
  close: async (sessionId) => sessions.close(sessionId),
  stats: () => sessionStats(sessions.stats()),
});

/** @throws MeshError ARGUMENT_INVALID when the request has no options for this service */
export function requiredOptions<T>(options: T | null | undefined, service: string, name: string): T {
  if (options !== null && options !== undefined) return options;
  throw new MeshError('ARGUMENT_INVALID', `${service} is opened with options "${name}"`);
}
