/** What tests outside this service may use of it. */
export type { Flush } from '../chunk-planner.js';
export { ScoreScheduler } from '../scheduler.js';
