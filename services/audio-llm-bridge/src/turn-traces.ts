import { type Ledger, ledgerSum, type ServiceName } from '@talkmesh/contracts';
import { ledgerAfter, StageSpan, setUpLinks, type Trail, trailOf } from '@talkmesh/service-kit';
import type { TurnSource } from './turns.js';

/** A share of the time from what a turn answers until its first frame: a stage's own, or `transport`, what no stage has measured. */
export type TurnStage = ServiceName | 'transport';
export type TurnStages = ReadonlyMap<TurnStage, number>;

interface TurnAttributes {
  readonly 'talkmesh.source'?: TurnSource;
  readonly 'talkmesh.taken_over'?: true;
}

interface TracedTurn {
  readonly span: StageSpan;
  /** Of what it answers; undefined: another bridge has begun the turn. */
  readonly trail: Trail | undefined;
  /** Whether no other turn was spoken or waited: only then the stages say where a listener's time went. */
  readonly isAlone: boolean;
  /** Whether its first speech was sent. */
  sent: boolean;
  /** What the first playhead of the turn brought, and when. */
  stages: { readonly ledger: Ledger; readonly atMs: number } | undefined;
}

export interface TurnEnd {
  /** `moved`: the turn continues in another bridge, whose span of it follows from this one. */
  readonly outcome: 'played' | 'interrupted' | 'cancelled' | 'moved';
  readonly speechMs?: number;
  readonly heardMs?: number;
}

/**
 * The traces of one session's turns. The span of a turn begins with what it answers: the end of the user's speech, a line that is said, the
 * first speech of a program. It ends with the turn.
 */
export class TurnTraces {
  readonly #sessionId: string;
  readonly #provider: string;
  readonly #setUp = setUpLinks();
  readonly #turns = new Map<number, TracedTurn>();
  /** Of the end of the user's speech that no turn has answered yet. */
  #heard: Trail | undefined;
  #heldFrames: number | undefined;

  constructor(sessionId: string, provider: string) {
    this.#sessionId = sessionId;
    this.#provider = provider;
  }

  /** The user has stopped speaking; undefined: what was said is withdrawn. */
  heard(trail: Trail | undefined): void {
    this.#heard = trail;
  }

  /** @param trail of what has begun the turn; a turn that answers the user follows from the end of the user's speech instead */
  begin(turn: number, source: TurnSource, trail: Trail = trailOf()): void {
    const origin = (source === 'voice' && this.#heard) || trail;
    if (source === 'voice') this.#heard = undefined;
    const span = this.#span('turn', turn, origin, { 'talkmesh.source': source });
    const isAlone = this.#turns.size === 0;
    this.#turns.set(turn, { span, trail: origin, isAlone, sent: false, stages: undefined });
  }

  /** Continues a turn that another bridge has begun, and may not have ended in its trace. @param context of the span of that bridge */
  adopt(turn: number, context: Trail['context']): void {
    const span = this.#span('turn', turn, { context, arrivedAtMs: performance.now() }, { 'talkmesh.taken_over': true });
    this.#turns.set(turn, { span, trail: undefined, isAlone: false, sent: true, stages: undefined });
  }

  /** The rest of the turn's speech was lost with the bridge that had it. */
  truncated(turn: number): void {
    this.#turns.get(turn)?.span.mark('speech truncated');
  }

  /** Runs `publish` in the span of the turn. With the first speech of the turn it gets what was taken until now. */
  speech(turn: number, publish: (ledger?: Ledger) => void): void {
    const traced = this.#turns.get(turn);
    if (traced?.trail === undefined || traced.sent) {
      this.run(turn, publish);
      return;
    }
    traced.sent = true;
    const ledger = ledgerAfter(traced.trail, 'audio-llm-bridge');
    const { arrivedAtMs } = traced.trail;
    this.#span('reply', turn, { context: traced.span.context, arrivedAtMs }).end();
    traced.span.run(() => publish(ledger));
  }

  /** Runs `fn` in the span of a turn, so that what it publishes and observes belongs to the turn. */
  run<T>(turn: number, fn: () => T): T {
    const span = this.#turns.get(turn)?.span;
    return span === undefined ? fn() : span.run(fn);
  }

  /** A playhead arrived. Frames held during a turn make it a late one. */
  playhead({ turn, heldFrames }: { readonly turn: number; readonly heldFrames: number }, trail: Trail): void {
    const traced = this.#turns.get(turn);
    if (traced !== undefined) {
      if (traced.stages === undefined && ledgerSum(trail.ledger) > 0)
        traced.stages = { ledger: trail.ledger, atMs: trail.arrivedAtMs };
      if (heldFrames > (this.#heldFrames ?? heldFrames)) traced.span.keep();
    }
    this.#heldFrames = heldFrames;
  }

  /** The listener hears the turn. @returns where its time went, milliseconds, unless another turn was spoken or waited */
  started(turn: number): TurnStages | undefined {
    const traced = this.#turns.get(turn);
    traced?.span.mark('first frame played');
    if (traced?.stages === undefined) return undefined;
    const { ledger, atMs } = traced.stages;
    traced.span.setLedger(ledger);
    if (traced.trail === undefined) return undefined;
    const sinceMs = atMs - traced.trail.arrivedAtMs;
    // What the stages before this one took lies before the turn's start on this clock.
    const transport = Math.max(0, sinceMs - (ledgerSum(ledger) - ledgerSum(traced.trail.ledger)));
    traced.span.set({ 'talkmesh.transport_ms': Math.round(transport * 10) / 10 });
    const stages = Object.entries(ledger) as [TurnStage, number][];
    return traced.isAlone ? new Map<TurnStage, number>([...stages, ['transport', transport]]) : undefined;
  }

  end(turn: number, { outcome, speechMs, heardMs }: TurnEnd): void {
    const traced = this.#turns.get(turn);
    if (traced === undefined) return;
    this.#turns.delete(turn);
    traced.span.set({
      'talkmesh.outcome': outcome,
      ...(speechMs !== undefined && { 'talkmesh.speech_ms': speechMs }),
      ...(heardMs !== undefined && { 'talkmesh.heard_ms': heardMs }),
    });
    traced.span.end();
  }

  /** The session leaves this worker: its turns end here unfinished. */
  close(outcome: 'interrupted' | 'moved'): void {
    for (const turn of [...this.#turns.keys()]) this.end(turn, { outcome });
  }

  #span(name: 'turn' | 'reply', turn: number, from: Omit<Trail, 'ledger'>, attributes: TurnAttributes = {}): StageSpan {
    return new StageSpan({
      name,
      stage: 'audio-llm-bridge',
      sessionId: this.#sessionId,
      parent: from.context,
      startMs: from.arrivedAtMs,
      ...(name === 'turn' && { links: this.#setUp }),
      attributes: { 'talkmesh.turn': turn, ...attributes, 'talkmesh.provider': this.#provider },
    });
  }
}
