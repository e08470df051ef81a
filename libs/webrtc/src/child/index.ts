export { type AttachMedia, type PeerConnection, type PeerMedia, servePeers } from './peers.js';
