import { serveRooms } from '@talkmesh/webrtc/room-child';
import type { FromRoomPeer, RoomSetup, ToRoom } from '../viewer-messages.js';
import { RoomPeer } from './room-peer.js';

serveRooms<RoomSetup, ToRoom, FromRoomPeer>((setup, emit) => new RoomPeer(setup, emit));
