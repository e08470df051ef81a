import { serveRooms } from '@talkmesh/webrtc/room-child';
import type { FromViewer, RoomSetup, ToViewer } from '../viewer-messages.js';
import { RoomPeer } from './room-peer.js';

serveRooms<RoomSetup, ToViewer, FromViewer>((setup, emit) => new RoomPeer(setup, emit));
