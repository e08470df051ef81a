import type { IncomingHttpHeaders } from 'node:http';
import {
  type Attributes,
  type Context,
  context,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { extractFromHttp } from './carriers.js';

export const TRACER = 'talkmesh';

/** True when a tracing SDK is registered. Without one, the default propagator has no fields. */
export function tracingEnabled(): boolean {
  return propagation.fields().length > 0;
}

export interface SpanOptions {
  readonly kind?: SpanKind;
  /** Context of the parent span. Default: the active context. */
  readonly parent?: Context;
}

/** Runs the handler of an HTTP request in a span, which continues the trace that the caller names in `traceparent`. @param route with `{id}` for ids */
export const withHttpSpan = <T>(method: string, route: string, headers: IncomingHttpHeaders, fn: () => T): T =>
  withSpan(`${method} ${route}`, { 'http.request.method': method, 'http.route': route }, fn, {
    kind: SpanKind.SERVER,
    parent: extractFromHttp(headers),
  });

/** Runs `fn` in a span and ends the span, with an error status when `fn` throws or rejects. Without tracing it costs one function call. */
export function withSpan<T>(name: string, attributes: Attributes, fn: (span: Span) => T, options: SpanOptions = {}): T {
  const parent = options.parent ?? context.active();
  const span = trace.getTracer(TRACER).startSpan(name, { attributes, kind: options.kind ?? SpanKind.INTERNAL }, parent);
  const fail = (thrown: unknown): never => {
    span.recordException(thrown instanceof Error ? thrown : String(thrown));
    span.setStatus({ code: SpanStatusCode.ERROR, message: thrown instanceof Error ? thrown.message : String(thrown) });
    span.end();
    throw thrown;
  };
  try {
    const result = context.with(trace.setSpan(parent, span), () => fn(span));
    if (result instanceof Promise)
      return result.then((value: unknown) => {
        span.end();
        return value;
      }, fail) as T;
    span.end();
    return result;
  } catch (thrown) {
    return fail(thrown);
  }
}
