import { serveRooms } from '@talkmesh/webrtc/room-child';
import type { EarSetup, FromEar, ToEar } from '../room-messages.js';
import { RoomEar } from './room-ear.js';

serveRooms<EarSetup, ToEar, FromEar>((setup, emit) => new RoomEar(setup, emit));
