import type { IncomingHttpHeaders } from 'node:http';
import {
  type Attributes,
  type Context,
  context,
  type Link,
  propagation,
  ROOT_CONTEXT,
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
  readonly links?: readonly Link[];
}

/**
 * Where the span of a public request belongs: into the caller's trace when that may be continued, otherwise at the root of a new trace with
 * a link to the caller's span. A caller that is not trusted would choose the trace id and, by the `sampled` flag, what is exported. The
 * link leaves out `tracestate`, which the caller writes as well.
 * @param remote as read from the request
 */
export function edgeTrace(remote: Context, isContinued: boolean): Required<Pick<SpanOptions, 'parent' | 'links'>> {
  if (isContinued) return { parent: remote, links: [] };
  const caller = trace.getSpanContext(remote);
  if (caller === undefined) return { parent: ROOT_CONTEXT, links: [] };
  const { traceId, spanId, traceFlags } = caller;
  return { parent: ROOT_CONTEXT, links: [{ context: { traceId, spanId, traceFlags, isRemote: true } }] };
}

export interface HttpRequest {
  readonly method: string;
  /** With `{id}` for ids. */
  readonly route: string;
  readonly headers: IncomingHttpHeaders;
  /** Whether the trace that `traceparent` names is continued; otherwise it is linked. */
  readonly continuesTrace: boolean;
}

/** Runs the handler of an HTTP request in a span. */
export const withHttpSpan = <T>({ method, route, headers, continuesTrace }: HttpRequest, fn: () => T): T =>
  withSpan(`${method} ${route}`, { 'http.request.method': method, 'http.route': route }, fn, {
    kind: SpanKind.SERVER,
    ...edgeTrace(extractFromHttp(headers), continuesTrace),
  });

/** Runs `fn` in a span and ends the span, with an error status when `fn` throws or rejects. Without tracing it costs one function call. */
export function withSpan<T>(name: string, attributes: Attributes, fn: (span: Span) => T, options: SpanOptions = {}): T {
  const parent = options.parent ?? context.active();
  const { kind = SpanKind.INTERNAL, links = [] } = options;
  const span = trace.getTracer(TRACER).startSpan(name, { attributes, kind, links: [...links] }, parent);
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
