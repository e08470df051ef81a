import './library-log.js';

export type { AttachRoomMedia, RoomMedia } from './rooms.js';
export { serveRooms } from './rooms.js';
