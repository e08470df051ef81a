import { encodeLatent, MeshError, splitLatent } from '@talkmesh/contracts';
import type { Bus, Logger } from '@talkmesh/service-kit';
import type { Flush } from './call.js';
import type { ScoreMetrics } from './metrics.js';
import type { ScoreOutput } from './stage.js';

export class Outbound {
  readonly #bus: Bus;
  readonly #metrics: ScoreMetrics;
  readonly #log: Logger;

  constructor(bus: Bus, metrics: ScoreMetrics, log: Logger) {
    this.#bus = bus;
    this.#metrics = metrics;
    this.#log = log;
  }

  output(output: ScoreOutput): void {
    if (output.type === 'discarded') this.#metrics.chunks.inc({ outcome: 'flushed' });
    else if (output.type === 'failed') this.#failed(output);
    else this.#latent(output);
  }

  flush(sessionId: string, { epoch, turn, fromChunk, cause }: Flush): void {
    this.#bus.publishEvent({ sid: sessionId, epoch, turn, type: 'flush', fromChunk, cause });
    this.#metrics.flushes.inc({ cause });
  }

  error(sessionId: string, epoch: number, error: MeshError): void {
    const { reason, message } = error;
    const body = { type: 'error', service: 'score-model', reason, message: message.slice(0, 1000) } as const;
    this.#bus.publishEvent({ sid: sessionId, epoch, turn: 0, ...body });
  }

  #latent({ message, queueMs, computeMs, late, degraded: reason }: ScoreOutput & { type: 'latent' }): void {
    const startMs = performance.now();
    for (const part of splitLatent(message)) this.#bus.publish('latent', message.sessionId, encodeLatent(part));
    const { chunks, seconds, degraded } = this.#metrics;
    seconds.observe({ phase: 'queue' }, queueMs / 1000);
    seconds.observe({ phase: 'compute' }, computeMs / 1000);
    seconds.observe({ phase: 'publish' }, (performance.now() - startMs) / 1000);
    if (reason !== undefined) degraded.inc({ step: message.held ? 'held' : 'fewer_steps', reason });
    chunks.inc({ outcome: late ? 'late' : message.held ? 'held' : message.degraded ? 'degraded' : 'ok' });
  }

  #failed({ sessionId, epoch, error }: ScoreOutput & { type: 'failed' }): void {
    this.#metrics.chunks.inc({ outcome: 'failed' });
    this.#log.error({ err: error, session_id: sessionId }, 'a chunk failed, the session is given up');
    this.error(sessionId, epoch, MeshError.from(error));
  }
}
