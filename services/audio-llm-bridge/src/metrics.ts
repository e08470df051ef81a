import { TOOL_OUTCOMES } from '@talkmesh/contracts';
import type { Counter, Histogram, Metrics } from '@talkmesh/service-kit';

export interface BridgeMetrics {
  readonly turns: Counter;
  readonly replySeconds: Histogram;
  readonly providerSeconds: Histogram;
  /** reason: of the error table. */
  readonly providerErrors: Counter;
  readonly toolCalls: Counter;
  readonly turnWaitSeconds: Histogram;
  /** stage: a service of the pipeline, or transport. */
  readonly turnStageSeconds: Histogram;
  readonly opaque: Counter;
  readonly eventType: (type: string) => string;
}

/** A provider decides the names of its events, and each distinct one is a time series. */
const MAX_EVENT_TYPES = 100;

/** Replaces names of events by `other` when there are too many. */
export function eventTypes(): (type: string) => string {
  const known = new Set<string>();
  return (type) => {
    if (known.size < MAX_EVENT_TYPES && /^[\w.]{1,60}$/.test(type)) known.add(type);
    return known.has(type) ? type : 'other';
  };
}

/** @param provider names of the providers */
export function bridgeMetrics(metrics: Metrics, provider: readonly string[]): BridgeMetrics {
  return {
    turns: metrics.counter(
      'talkmesh_turns_total',
      'Turns that are over, by outcome: played, interrupted, or cancelled before any of it was heard',
      ['provider', 'outcome'],
      { provider, outcome: ['played', 'interrupted', 'cancelled'] },
    ),
    replySeconds: metrics.histogram(
      'talkmesh_reply_seconds',
      'Time from the end of the user speech to the first speech of the reply',
      ['provider'],
    ),
    providerSeconds: metrics.histogram(
      'talkmesh_provider_seconds',
      'Time that a conversation provider took for one step, apart from the time of the mesh',
      ['provider', 'step'],
    ),
    providerErrors: metrics.counter(
      'talkmesh_provider_errors_total',
      'Failures of a conversation provider or of text-to-speech, by reason',
      ['provider', 'reason'],
      { provider, reason: ['PROVIDER_FAILED', 'TOOL_MISSING'] },
    ),
    toolCalls: metrics.counter(
      'talkmesh_tool_calls_total',
      'Tool calls by outcome: answered, expired or cancelled',
      ['provider', 'outcome'],
      { provider, outcome: TOOL_OUTCOMES },
    ),
    turnWaitSeconds: metrics.histogram(
      'talkmesh_turn_wait_seconds',
      'Time from the first speech of a turn until the listener hears it, when no other turn is spoken',
    ),
    turnStageSeconds: metrics.histogram(
      'talkmesh_turn_stage_seconds',
      'Share of each stage in the time from what a turn answers until its first frame; transport: what no stage has measured',
      ['stage'],
    ),
    opaque: metrics.counter('talkmesh_provider_events_total', 'Provider events that the bridge does not interpret', [
      'provider',
      'type',
    ]),
    eventType: eventTypes(),
  };
}
