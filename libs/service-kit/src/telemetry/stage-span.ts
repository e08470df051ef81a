import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { encodeLedger, type Ledger, type ServiceName } from '@talkmesh/contracts';
import { TRACER } from './spans.js';

/** Marks the spans of turns and chunks. The sampler lets them be recorded even where it does not export them, until it is known whether they are late. */
export const STAGE_ATTRIBUTE = 'talkmesh.stage';

const SET_UP = createContextKey('talkmesh: the span in which the session was opened');

export interface StageSpanOptions {
  /** What the stage does with the turn or the chunk, one verb. */
  readonly name: string;
  readonly stage: ServiceName;
  readonly sessionId: string;
  /** Context of the parent span. A span without a parent begins a trace of its own. */
  readonly parent: Context;
  /** On the clock of `performance.now`. It may lie in the past. */
  readonly startMs: number;
  readonly attributes?: Attributes;
  readonly links?: readonly Link[];
}

/** A span of a turn or of a chunk. Its start may lie in the past, and it is exported when its trace is sampled or when it is kept. */
export class StageSpan {
  readonly context: Context;
  readonly #span: Span;

  constructor({ name, stage, sessionId, parent, startMs, attributes, links }: StageSpanOptions) {
    const options = {
      startTime: startMs,
      attributes: { sessionId, [STAGE_ATTRIBUTE]: stage, ...attributes },
      ...(links !== undefined && { links: [...links] }),
    };
    this.#span = trace.getTracer(TRACER).startSpan(name, options, parent);
    this.context = trace.setSpan(parent, this.#span);
  }

  /** Runs `fn` in this span: what it publishes carries the span as its parent. */
  run<T>(fn: () => T): T {
    return context.with(this.context, fn);
  }

  set(attributes: Attributes): this {
    this.#span.setAttributes(attributes);
    return this;
  }

  /** Durations of the stages so far, as attributes `talkmesh.<service>_ms`. */
  setLedger(ledger: Ledger): this {
    const entries = Object.entries(ledger).map(([service, ms]) => [`talkmesh.${service}_ms`, Math.round(ms * 10) / 10]);
    return this.set({ 'talkmesh.ledger': encodeLedger(ledger), ...Object.fromEntries(entries) });
  }

  mark(name: string): void {
    this.#span.addEvent(name, performance.now());
  }

  /** A deadline was missed: the span is exported whatever its trace's sampling says, and so are the spans that follow from it. */
  keep(): this {
    this.#span.spanContext().traceFlags |= TraceFlags.SAMPLED;
    return this.set({ 'talkmesh.late': true });
  }

  end(): void {
    this.#span.end(performance.now());
  }
}

/** Whether a context belongs to a trace. */
export function isTraced(parent: Context): boolean {
  const span = trace.getSpanContext(parent);
  return span !== undefined && trace.isSpanContextValid(span);
}

export const isTracedNow = (): boolean => isTraced(context.active());

/** The context of a trace of its own. */
export const NO_TRACE: Context = ROOT_CONTEXT;

/**
 * Runs what opens a session. Its timers and connections outlive the call, so they do not inherit the call's span as their parent; they
 * know it as the session's set-up.
 */
export function runSetUp<T>(fn: () => T): T {
  const span = trace.getActiveSpan()?.spanContext();
  return context.with(span === undefined ? ROOT_CONTEXT : ROOT_CONTEXT.setValue(SET_UP, span), fn);
}

/** The span in which the session was opened, for code that `runSetUp` has started. */
export const setUpSpan = (): SpanContext | undefined => context.active().getValue(SET_UP) as SpanContext | undefined;

/** A link to the session's set-up; empty when that was not traced. */
export function setUpLinks(): readonly Link[] {
  const span = setUpSpan();
  return span === undefined ? [] : [{ context: span }];
}
