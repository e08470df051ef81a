import { encodeLatent, type LatentMessage, type Ledger, MeshError, splitLatent } from '@talkmesh/contracts';
import type { Bus, Logger, Trail } from '@talkmesh/service-kit';
import type { Flush } from './chunk-planner.js';
import { ChunkTrace } from './chunk-trace.js';
import type { ScoreMetrics } from './metrics.js';
import type { PauseChange } from './pause.js';
import type { CommandResult, ScoreOutput } from './scheduler.js';

/** Above any lead: without a playhead the oldest chunks are no longer kept. */
const MAX_UNPLAYED = 64;

export class Outbound {
  readonly #bus: Bus;
  readonly #metrics: ScoreMetrics;
  readonly #log: Logger;
  /** Chunks of the open sessions that may not have been played yet, in order. */
  readonly #sent = new Map<string, LatentMessage[]>();
  readonly #traces = new Map<string, ChunkTrace>();

  constructor(bus: Bus, metrics: ScoreMetrics, log: Logger) {
    this.#bus = bus;
    this.#metrics = metrics;
    this.#log = log;
  }

  open(sessionId: string): void {
    this.#sent.set(sessionId, []);
  }

  /** Nothing more is published for the session, not even a chunk that is being generated. */
  close(sessionId: string): void {
    this.#sent.delete(sessionId);
    this.#traces.delete(sessionId);
  }

  /** Speech of a turn has arrived, also before `open`. */
  trail(sessionId: string, turn: number, trail: Trail): void {
    this.#traceOf(sessionId).arrived(turn, trail);
  }

  #traceOf(sessionId: string): ChunkTrace {
    const trace = this.#traces.get(sessionId) ?? new ChunkTrace(sessionId);
    this.#traces.set(sessionId, trace);
    return trace;
  }

  /** Chunks before `chunk` were played. */
  played(sessionId: string, chunk: number): void {
    const sent = this.#sent.get(sessionId);
    while (sent?.[0] !== undefined && sent[0].chunk < chunk) sent.shift();
  }

  /** After a disconnect from NATS: published chunks may not have arrived. */
  republishUnplayed(sessionId: string): void {
    for (const message of this.#sent.get(sessionId) ?? []) this.#publish(message);
  }

  output(output: ScoreOutput): void {
    if (output.type === 'discarded') this.#metrics.chunks.inc({ outcome: 'flushed' });
    else if (output.type === 'failed') this.#failed(output);
    else this.#latent(output);
  }

  flush(sessionId: string, flush: Flush): void {
    const { fromChunk, cause } = flush;
    this.#bus.publishEvent({ sessionId, type: 'flush', ...flush });
    this.#metrics.flushes.inc({ cause });
    const sent = this.#sent.get(sessionId);
    if (sent !== undefined)
      this.#sent.set(
        sessionId,
        sent.filter(({ chunk }) => chunk < fromChunk),
      );
  }

  commandResult(sessionId: string, { epoch, flush, change }: CommandResult): void {
    if (flush !== undefined) this.flush(sessionId, flush);
    if (change !== undefined) this.#changed(sessionId, epoch, change);
  }

  #changed(sessionId: string, epoch: number, change: PauseChange): void {
    const head = { sessionId, epoch, turn: change.turn };
    if (change.type === 'paused') {
      const { heardMs, cause } = change;
      this.#bus.publishEvent({ ...head, type: 'turn.paused', heardMs, cause });
    } else {
      const { heardMs, cause, pausedMs } = change;
      this.#bus.publishEvent({ ...head, type: 'turn.resumed', heardMs, cause });
      this.#metrics.pauseSeconds.observe({ ended: cause }, pausedMs / 1000);
    }
  }

  error(sessionId: string, epoch: number, error: MeshError): void {
    const { reason, message } = error;
    const body = { type: 'error', service: 'score-model', reason, message: message.slice(0, 1000) } as const;
    this.#bus.publishEvent({ sessionId, epoch, turn: 0, ...body });
  }

  #latent(output: ScoreOutput & { type: 'latent' }): void {
    const { message } = output;
    const sent = this.#sent.get(message.sessionId);
    if (sent === undefined) return;
    sent.push(message);
    if (sent.length > MAX_UNPLAYED) sent.shift();
    this.#traceOf(message.sessionId).publish(output, (ledger) => this.#send(output, ledger));
  }

  #send(
    { message, queueMs, computeMs, late, degraded: reason }: ScoreOutput & { type: 'latent' },
    ledger: Ledger,
  ): void {
    const startMs = performance.now();
    this.#publish(message, ledger);
    const { chunks, seconds, degraded } = this.#metrics;
    seconds.observe({ phase: 'queue' }, queueMs / 1000);
    seconds.observe({ phase: 'compute' }, computeMs / 1000);
    seconds.observe({ phase: 'publish' }, (performance.now() - startMs) / 1000);
    if (reason !== undefined) degraded.inc({ step: message.held ? 'held' : 'fewer_steps', reason });
    chunks.inc({ outcome: late ? 'late' : message.held ? 'held' : message.degraded ? 'degraded' : 'ok' });
  }

  #publish(message: LatentMessage, ledger?: Ledger): void {
    for (const part of splitLatent(message)) this.#bus.publish('latent', message.sessionId, encodeLatent(part), ledger);
  }

  #failed({ sessionId, epoch, error }: ScoreOutput & { type: 'failed' }): void {
    this.#metrics.chunks.inc({ outcome: 'failed' });
    this.#log.error({ err: error, sessionId }, 'a chunk failed; the session ends');
    this.error(sessionId, epoch, MeshError.from(error));
  }
}
