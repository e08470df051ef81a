export type { Change, PeerReport } from './messages.js';
export { ServiceProcess } from './service-process.js';
export { TestPeer } from './test-peer.js';
