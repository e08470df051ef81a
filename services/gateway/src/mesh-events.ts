import { decodeEvent, MeshError, type MeshEvent, parseSubject } from '@talkmesh/contracts';
import type { Bus, Subscription } from '@talkmesh/service-kit';

/** Events of all sessions; each event reaches one gateway of the mesh. */
export function followMeshEvents(bus: Pick<Bus, 'subscribeAll'>, onEvent: (event: MeshEvent) => void): Subscription {
  return bus.subscribeAll(
    'event',
    (payload, { subject }) => {
      const event = decodeEvent(payload);
      if (parseSubject(subject)?.sessionId !== event.sessionId)
        throw new MeshError('MESSAGE_MALFORMED', "the event's sessionId is not its subject's");
      onEvent(event);
    },
    { queue: 'gateway' },
  );
}
