import type { Ledger } from '@talkmesh/contracts';
import { isTraced, ledgerAfter, NO_TRACE, StageSpan, type Trail } from '@talkmesh/service-kit';
import type { ScoreOutput } from './scheduler.js';

/** More turns than wait to be spoken. */
const MAX_TURNS = 32;

interface TurnTrail {
  readonly trail: Trail;
  /** Whether a chunk of the turn was generated. */
  begun: boolean;
}

/** The traces of one session's turns: which span a chunk follows from, and how long the turn had to wait for its first chunk. */
export class ChunkTrace {
  readonly #sessionId: string;
  readonly #turns = new Map<number, TurnTrail>();

  constructor(sessionId: string) {
    this.#sessionId = sessionId;
  }

  /** A message of a turn has arrived. The first one counts. */
  arrived(turn: number, trail: Trail): void {
    if (this.#turns.has(turn)) return;
    this.#turns.set(turn, { trail, begun: false });
    const [oldest] = this.#turns.keys();
    if (this.#turns.size > MAX_TURNS && oldest !== undefined) this.#turns.delete(oldest);
  }

  /** Publishes a chunk in its span. Chunks outside any turn have a span only when they are late, and then a trace of their own. */
  publish(output: ScoreOutput & { type: 'latent' }, publish: (ledger: Ledger) => void): void {
    const { message, queueMs, computeMs, late, degraded } = output;
    const turn = this.#turns.get(message.turn);
    const tookMs = queueMs + computeMs;
    const ledger =
      turn === undefined || turn.begun ? { 'score-model': tookMs } : ledgerAfter(turn.trail, 'score-model');
    if (turn !== undefined) turn.begun = true;
    const parent = turn?.trail.context ?? NO_TRACE;
    if (!isTraced(parent) && !late) {
      publish(ledger);
      return;
    }
    const span = new StageSpan({
      name: 'generate',
      stage: 'score-model',
      sessionId: this.#sessionId,
      parent,
      startMs: performance.now() - tookMs,
      attributes: {
        'talkmesh.turn': message.turn,
        'talkmesh.chunk': message.chunk,
        'talkmesh.epoch': message.epoch,
        'talkmesh.steps': message.steps,
        'talkmesh.queue_ms': queueMs,
        'talkmesh.compute_ms': computeMs,
        ...(degraded !== undefined && { 'talkmesh.degraded': degraded }),
      },
    });
    span.setLedger(ledger);
    if (late) span.keep();
    span.run(() => publish(ledger));
    span.end();
  }
}
