export { EdgeBench, type Neighbour } from './edge-bench.js';
export type { Change, PeerReport } from './messages.js';
export { type OfferedMedia, writeOffer } from './offers.js';
export { TestPeer } from './test-peer.js';
