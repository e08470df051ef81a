import type { LatentMessage, Ledger } from '@talkmesh/contracts';
import { isTraced, ledgerAfter, StageSpan, type Trail } from '@talkmesh/service-kit';
import type { DecodeOutput } from './scheduler.js';

/** The traces of the chunks of this worker. A span begins when its chunk arrives, is known with the first frame and ends with the last one. */
export class ChunkTrace {
  readonly #trails = new WeakMap<LatentMessage, Trail>();
  readonly #spans = new WeakMap<LatentMessage, StageSpan>();

  arrived(message: LatentMessage, trail: Trail): void {
    this.#trails.set(message, trail);
  }

  /** Publishes the first frame of a chunk. Chunks that are decoded once more, which nothing has brought, have no trail. */
  publishFirst(source: LatentMessage, publish: (ledger?: Ledger) => void): void {
    const trail = this.#trails.get(source);
    if (trail === undefined) {
      publish();
      return;
    }
    const ledger = ledgerAfter(trail, 'vae-decode');
    if (!isTraced(trail.context)) {
      publish(ledger);
      return;
    }
    const span = this.#begin(source, trail).setLedger(ledger);
    this.#spans.set(source, span);
    span.run(() => publish(ledger));
  }

  /** The last frame of a chunk was published, or the rest of it was flushed. A late chunk outside any trace gets one of its own. */
  end({ source, outcome, queueMs, computeMs, degraded }: DecodeOutput & { type: 'chunk' }, count: () => void): void {
    const trail = this.#trails.get(source);
    const isLate = outcome === 'late';
    const span = this.#spans.get(source) ?? (isLate && trail !== undefined ? this.#begin(source, trail) : undefined);
    if (span === undefined) {
      count();
      return;
    }
    span.set({ 'talkmesh.outcome': outcome, 'talkmesh.queue_ms': queueMs, 'talkmesh.compute_ms': computeMs });
    if (degraded !== undefined) span.set({ 'talkmesh.degraded': degraded });
    if (isLate) span.keep();
    span.run(count);
    span.end();
  }

  #begin({ sessionId, turn, chunk, epoch }: LatentMessage, trail: Trail): StageSpan {
    const attributes = { 'talkmesh.turn': turn, 'talkmesh.chunk': chunk, 'talkmesh.epoch': epoch };
    const { context: parent, arrivedAtMs: startMs } = trail;
    return new StageSpan({ name: 'decode', stage: 'vae-decode', sessionId, parent, startMs, attributes });
  }
}
