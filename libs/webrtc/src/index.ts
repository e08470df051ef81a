export * from './config.js';
export * from './peer-host.js';
export type { PeerState } from './protocol.js';
export * from './sdp.js';
