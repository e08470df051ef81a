import { MeshError } from '@talkmesh/contracts';
import type { Bus, Counter, Metrics } from '@talkmesh/service-kit';
import type { Demand, Place, RealTimeAdmission } from './schedule/admission.js';

/** A worker's open sessions: each one's inlet (subscriptions) and place (admission). */
export class SessionTable<Inlet extends { close(): void }> {
  readonly #admission: RealTimeAdmission;
  readonly #places = new Map<string, Place>();
  readonly #inlets = new Map<string, Inlet>();

  /** @param recover called for each session after this worker was disconnected from NATS for `awayMs` */
  constructor(
    admission: RealTimeAdmission,
    bus: Pick<Bus, 'onReconnect'>,
    recover: (sessionId: string, awayMs: number) => Promise<void>,
  ) {
    this.#admission = admission;
    bus.onReconnect((awayMs) => {
      for (const sessionId of this.#inlets.keys()) void recover(sessionId, awayMs);
    });
  }

  /** Takes a place and opens the session; a failure to open frees the place. @throws MeshError SESSION_LIMIT; what `open` throws */
  async admit(sessionId: string, demand: Demand, open: () => Promise<void>): Promise<void> {
    const place = this.#admission.enter(demand);
    try {
      await open();
      this.#places.set(sessionId, place);
    } catch (error) {
      place.release();
      throw error;
    }
  }

  add(sessionId: string, inlet: Inlet): void {
    this.#inlets.set(sessionId, inlet);
  }

  inlet(sessionId: string): Inlet | undefined {
    return this.#inlets.get(sessionId);
  }

  /** Stops listening and frees the session's place. */
  remove(sessionId: string): void {
    this.#inlets.get(sessionId)?.close();
    this.#inlets.delete(sessionId);
    this.#places.get(sessionId)?.release();
    this.#places.delete(sessionId);
  }
}

/** Waits until NATS knows the subscriptions: the caller may publish to the session as soon as `open` returns. */
export async function confirmSubscriptions(bus: Pick<Bus, 'flush'>, onFailure: () => void): Promise<void> {
  await bus.flush().catch((error: unknown) => {
    onFailure();
    throw error;
  });
}

/** @throws MeshError CANCELLED when the caller of `open` no longer waits */
export function assertStillWanted(signal: AbortSignal): void {
  if (signal.aborted) throw new MeshError('CANCELLED', 'the caller cancelled before the session was open');
}

/** Waits for a model session, and disposes of it when the caller of `open` no longer waits. @throws MeshError CANCELLED */
export async function openWanted<T extends { dispose(): void }>(opening: Promise<T>, signal: AbortSignal): Promise<T> {
  const opened = await opening;
  try {
    assertStillWanted(signal);
    return opened;
  } catch (error) {
    opened.dispose();
    throw error;
  }
}

export const takeoverCounter = (metrics: Metrics): Counter =>
  metrics.counter('talkmesh_takeovers_total', 'Sessions taken over from another worker, by how exact the state is', [
    'outcome',
  ]);
