import { OPEN_ORDER } from '@talkmesh/contracts';
import type { HealthWatch } from './health-watch.js';
import { otherThan, type WorkerDirectory } from './worker-directory.js';

export interface MeshReadinessOptions {
  readonly directory: Pick<WorkerDirectory, 'read'>;
  readonly watch: Pick<HealthWatch, 'follow' | 'stateOf'>;
  /** `name@version` */
  readonly model: string;
}

/**
 * Whether sessions can be opened: this gateway has reached a healthy worker of every service. It stays ready from then on, because
 * open sessions still need their gateway; `missing` lists the services without a worker, for which new sessions wait;
 * `why` says that workers run another model, or chunks of another length.
 */
export class MeshReadiness {
  readonly #options: MeshReadinessOptions;
  #complete = false;

  constructor(options: MeshReadinessOptions) {
    this.#options = options;
  }

  async check(): Promise<{ ready: boolean; details: { missing: string[]; why?: string } }> {
    const { directory, watch, model } = this.#options;
    const workers = await directory.read().catch(() => undefined);
    for (const worker of workers?.all ?? []) watch.follow(worker);
    const missing = OPEN_ORDER.filter(
      (service) => !workers?.candidates(service, model).some(({ instanceId }) => watch.stateOf(instanceId) === 'up'),
    );
    this.#complete ||= missing.length === 0;
    const others = missing.length === 0 ? [] : (workers?.otherModels(model) ?? []);
    const why = others.length === 0 ? {} : { why: `none is ready for ${otherThan(model, others)}` };
    return { ready: this.#complete, details: { missing, ...why } };
  }
}
