import { DisconnectReason } from '@livekit/rtc-node';
import { MeshError } from '@talkmesh/contracts';
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

/** The library reports a refused join only in the text of its error: the HTTP status of the server's answer. */
export function roomError(thrown: unknown): MeshError {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const isRefused = /\b(401|403|404)\b|unauthorized|invalid token|permission/i.test(text);
  return new MeshError(isRefused ? 'ROOM_REFUSED' : 'ROOM_UNREACHABLE', text, { cause: thrown });
}
