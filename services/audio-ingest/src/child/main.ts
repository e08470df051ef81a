import { servePeers } from '@talkmesh/webrtc/child';
import type { FromMic, MicSetup, ToMic } from '../mic-messages.js';
import { MicPeer } from './mic-peer.js';

servePeers<MicSetup, ToMic, FromMic>((connection, _setup, emit) => new MicPeer(connection, emit));
