import { AT_REST, progressAfter } from '@talkmesh/client';
import { decodedEvents, type MeshEvent, type SessionRecord } from '@talkmesh/contracts';
import type { Bus } from '@talkmesh/service-kit';

const READ_BACK_DEADLINE_MS = 3000;
const isSpoken = ({ type }: MeshEvent): boolean => type.startsWith('turn.') || type.startsWith('speech.');

/** Finds sessions in which neither side has spoken for as long as they may be idle. It reads what NATS retains, so any gateway can tell. */
export class IdleWatch {
  readonly #bus: Pick<Bus, 'readBack'>;
  /** When a session can be idle at the earliest, on the clock of `performance.now()`. */
  readonly #notBeforeMs = new Map<string, number>();

  constructor(bus: Pick<Bus, 'readBack'>) {
    this.#bus = bus;
  }

  /** @param ageMs of the session @throws MeshError NATS_UNAVAILABLE */
  async isIdle({ id, state, limits }: SessionRecord, ageMs: number): Promise<boolean> {
    const { idleMs } = limits ?? {};
    if (idleMs === undefined || state !== 'open' || ageMs < idleMs) return false;
    if (performance.now() < (this.#notBeforeMs.get(id) ?? 0)) return false;
    const payloads = await this.#bus.readBack('event', id, { deadlineMs: READ_BACK_DEADLINE_MS });
    const events = payloads.flatMap(({ payload }) => decodedEvents(payload));
    const { turns, userSpeaking } = events.reduce(progressAfter, AT_REST);
    const lastMs = events.findLast(isSpoken)?.atMs;
    const quietMs =
      turns.length > 0 || userSpeaking ? 0 : Math.max(0, lastMs === undefined ? ageMs : Date.now() - lastMs);
    if (quietMs >= idleMs) return true;
    this.#notBeforeMs.set(id, performance.now() + idleMs - quietMs);
    return false;
  }

  /** @param present ids of all sessions */
  forget(present: ReadonlySet<string>): void {
    for (const id of this.#notBeforeMs.keys()) if (!present.has(id)) this.#notBeforeMs.delete(id);
  }
}
