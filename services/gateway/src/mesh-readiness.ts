import { OPEN_ORDER } from '@talkmesh/contracts';
import type { WorkerDirectory } from './worker-directory.js';
import type { WorkerWatch } from './worker-watch.js';

export interface MeshReadinessOptions {
  readonly directory: Pick<WorkerDirectory, 'read'>;
  readonly watch: Pick<WorkerWatch, 'follow' | 'stateOf'>;
  /** `name@version` */
  readonly model: string;
}

/**
 * Whether calls can be opened: of every kind of worker this gateway has reached one that serves. Once that was so it stays ready, and
 * `missing` says what is not there at the moment: new calls wait for it, running ones still need their gateway.
 */
export class MeshReadiness {
  private readonly o: MeshReadinessOptions;
  private complete = false;

  constructor(options: MeshReadinessOptions) {
    this.o = options;
  }

  async ask(): Promise<{ ready: boolean; details: { missing: string[] } }> {
    const { directory, watch, model } = this.o;
    const workers = await directory.read().catch(() => undefined);
    for (const worker of workers?.all ?? []) watch.follow(worker);
    const missing = OPEN_ORDER.filter(
      (service) => !workers?.candidates(service, model).some(({ instanceId }) => watch.stateOf(instanceId) === 'up'),
    );
    this.complete ||= missing.length === 0;
    return { ready: this.complete, details: { missing } };
  }
}
