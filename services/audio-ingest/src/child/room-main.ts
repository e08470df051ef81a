import { serveRooms } from '@talkmesh/webrtc/room-child';
import type { FromListener, ListenerSetup, ToListener } from '../room-messages.js';
import { RoomListener } from './room-listener.js';

serveRooms<ListenerSetup, ToListener, FromListener>((setup, emit) => new RoomListener(setup, emit));
