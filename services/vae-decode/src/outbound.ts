import type { ChunkMetrics } from '@talkmesh/chunk-worker';
import { encodeFrame, MeshError } from '@talkmesh/contracts';
import type { Bus, Logger } from '@talkmesh/service-kit';
import type { DecodeOutput } from './scheduler.js';

export class Outbound {
  readonly #bus: Bus;
  readonly #metrics: ChunkMetrics;
  readonly #log: Logger;

  constructor(bus: Bus, metrics: ChunkMetrics, log: Logger) {
    this.#bus = bus;
    this.#metrics = metrics;
    this.#log = log;
  }

  output(output: DecodeOutput): void {
    if (output.type === 'frame') this.#bus.publish('frame', output.message.sessionId, encodeFrame(output.message));
    else if (output.type === 'chunk') this.#count(output);
    else {
      this.#metrics.chunks.inc({ outcome: 'failed' });
      this.#log.error({ err: output.error, sessionId: output.sessionId }, 'a chunk failed; the session ends');
      this.error(output.sessionId, output.epoch, MeshError.from(output.error));
    }
  }

  error(sessionId: string, epoch: number, error: MeshError): void {
    const { reason, message } = error;
    const body = { type: 'error', service: 'vae-decode', reason, message: message.slice(0, 1000) } as const;
    this.#bus.publishEvent({ sessionId, epoch, turn: 0, ...body });
  }

  /** Chunks that never reached the decoder. */
  dropped(outcome: 'flushed' | 'overflow' | 'duplicate', count: number): void {
    this.#metrics.chunks.inc({ outcome }, count);
  }

  #count({
    outcome,
    degraded: reason,
    missing,
    queueMs,
    computeMs,
    publishMs,
  }: DecodeOutput & { type: 'chunk' }): void {
    const { chunks, seconds, degraded } = this.#metrics;
    if (reason !== undefined) degraded.inc({ step: 'held', reason });
    chunks.inc({ outcome });
    chunks.inc({ outcome: 'missing' }, missing);
    seconds.observe({ phase: 'queue' }, queueMs / 1000);
    seconds.observe({ phase: 'compute' }, computeMs / 1000);
    seconds.observe({ phase: 'publish' }, publishMs / 1000);
  }
}
