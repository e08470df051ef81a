/** What tests outside this service may use of it. */
export { DecodeScheduler } from '../scheduler.js';
export { Peers, tone } from './peers.js';
