import { DisconnectReason } from '@livekit/rtc-node';
import type { RoomEnd } from '../room-protocol.js';

const FINAL: Partial<Record<DisconnectReason, RoomEnd>> = {
  [DisconnectReason.DUPLICATE_IDENTITY]: 'replaced',
  [DisconnectReason.PARTICIPANT_REMOVED]: 'removed',
  [DisconnectReason.ROOM_DELETED]: 'room-closed',
  [DisconnectReason.ROOM_CLOSED]: 'room-closed',
  [DisconnectReason.USER_REJECTED]: 'removed',
};

/** How a disconnection ends the membership; undefined when the room may be joined again. */
export function roomEnd(reason: DisconnectReason): RoomEnd | undefined {
  return FINAL[reason];
}
