import { type Attributes, type Context, type Link, SamplingDecision, type SpanKind } from '@opentelemetry/api';
import { tracing } from '@opentelemetry/sdk-node';
import { STAGE_ATTRIBUTE } from './stage-span.js';

type Sampler = tracing.Sampler;

/** The sampler that OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG name (OpenTelemetry specification, SDK environment variables). */
function namedSampler(name: string, argument: string | undefined): Sampler {
  const ratio = new tracing.TraceIdRatioBasedSampler(argument === undefined ? 1 : Number(argument));
  const byParent = (root: Sampler): Sampler => new tracing.ParentBasedSampler({ root });
  switch (name) {
    case 'always_on':
      return new tracing.AlwaysOnSampler();
    case 'traceidratio':
      return ratio;
    case 'parentbased_always_off':
      return byParent(new tracing.AlwaysOffSampler());
    case 'parentbased_traceidratio':
      return byParent(ratio);
    default:
      return byParent(new tracing.AlwaysOnSampler());
  }
}

/** Asks another sampler, but records spans of turns and chunks in any case: at their end it is known whether a deadline was missed. */
class RecordsStages implements Sampler {
  readonly #inner: Sampler;

  constructor(inner: Sampler) {
    this.#inner = inner;
  }

  shouldSample(parent: Context, traceId: string, name: string, kind: SpanKind, attributes: Attributes, links: Link[]) {
    const result = this.#inner.shouldSample(parent, traceId, name, kind, attributes, links);
    const isStage = attributes[STAGE_ATTRIBUTE] !== undefined;
    return result.decision === SamplingDecision.NOT_RECORD && isStage
      ? { ...result, decision: SamplingDecision.RECORD }
      : result;
  }

  toString(): string {
    return `RecordsStages{${this.#inner}}`;
  }
}

/** `always_off` is taken at its word: nothing is recorded. */
export function meshSampler(name = '', argument?: string): Sampler {
  return name === 'always_off' ? new tracing.AlwaysOffSampler() : new RecordsStages(namedSampler(name, argument));
}
