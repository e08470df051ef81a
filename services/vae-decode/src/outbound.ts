import type { ChunkMetrics } from '@talkmesh/chunk-worker';
import { encodeFrame, type LatentMessage, MeshError } from '@talkmesh/contracts';
import type { Bus, Logger, Trail } from '@talkmesh/service-kit';
import { ChunkTrace } from './chunk-trace.js';
import type { DecodeOutput } from './scheduler.js';

export class Outbound {
  readonly #bus: Bus;
  readonly #metrics: ChunkMetrics;
  readonly #log: Logger;
  readonly #traces = new ChunkTrace();

  constructor(bus: Bus, metrics: ChunkMetrics, log: Logger) {
    this.#bus = bus;
    this.#metrics = metrics;
    this.#log = log;
  }

  arrived(message: LatentMessage, trail: Trail): void {
    this.#traces.arrived(message, trail);
  }

  output(output: DecodeOutput): void {
    if (output.type === 'frame') this.#frame(output);
    else if (output.type === 'chunk') this.#traces.end(output, () => this.#count(output));
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

  #frame({ message, source }: DecodeOutput & { type: 'frame' }): void {
    const bytes = encodeFrame(message);
    if (message.frame === 0)
      this.#traces.publishFirst(source, (ledger) => this.#bus.publish('frame', message.sessionId, bytes, ledger));
    else this.#bus.publish('frame', message.sessionId, bytes);
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
