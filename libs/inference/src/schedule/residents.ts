import type { Demand, Place, RealTimeAdmission } from './admission.js';

/** The sessions of a worker and the place each has in it. */
export class Residents {
  readonly #admission: RealTimeAdmission;
  readonly #places = new Map<string, Place>();

  constructor(admission: RealTimeAdmission) {
    this.#admission = admission;
  }

  /** Opens a session in a place that is free again when that fails. @throws MeshError SESSION_LIMIT; what `open` throws */
  async settle(sessionId: string, demand: Demand, open: () => Promise<void>): Promise<void> {
    const place = this.#admission.enter(demand);
    try {
      await open();
      this.#places.set(sessionId, place);
    } catch (error) {
      place.release();
      throw error;
    }
  }

  leave(sessionId: string): void {
    this.#places.get(sessionId)?.release();
    this.#places.delete(sessionId);
  }
}
