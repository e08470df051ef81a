import type { SessionStats } from '../stage/worker.js';

/** Figures of a session that has done nothing yet. */
export const emptyStats = (sessionId: string): SessionStats => ({
  sessionId,
  epoch: 0,
  chunk: 0,
  itemsIn: 0,
  itemsOut: 0,
  dropped: 0,
  p50Ms: 0,
  p95Ms: 0,
  late: 0,
});
