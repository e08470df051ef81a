import type { HeldSession } from './control.js';
import { RoomMicrophone } from './room-microphone.js';

export interface Opening extends Pick<HeldSession, 'session'> {
  /** @throws MeshError ARGUMENT_INVALID: the room's server is not allowed */
  readonly connect: () => HeldSession['microphone'];
  /** Resolves when NATS has the session's subscriptions. */
  readonly flush: () => Promise<void>;
  /** Whether a room must be joined before the session counts as open. */
  readonly awaitsJoin: boolean;
}

/** Adds a session to those that are held. When that fails, its microphone is closed too: a room that is joined later would be heard for no session. */
export async function openHeld(
  sessions: Map<string, HeldSession>,
  sessionId: string,
  { session, connect, flush, awaitsJoin }: Opening,
): Promise<void> {
  let microphone: HeldSession['microphone'] | undefined;
  try {
    microphone = connect();
    sessions.set(sessionId, { session, microphone });
    await flush();
    if (microphone instanceof RoomMicrophone) await microphone.join(awaitsJoin);
  } catch (thrown) {
    sessions.delete(sessionId);
    await microphone?.close();
    await session.close('failed');
    throw thrown;
  }
}
