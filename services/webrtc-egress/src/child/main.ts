import { servePeers } from '@talkmesh/webrtc/child';
import type { FromViewer, ToViewer, ViewerSetup } from '../viewer-messages.js';
import { ViewerPeer } from './viewer-peer.js';

servePeers<ViewerSetup, ToViewer, FromViewer>((connection, setup, emit) => new ViewerPeer(connection, setup, emit));
