import type { Counter, Histogram, Metrics } from '@talkmesh/service-kit';

export interface BridgeMetrics {
  readonly turns: Counter;
  readonly replySeconds: Histogram;
  readonly opaque: Counter;
}

export function bridgeMetrics(metrics: Metrics): BridgeMetrics {
  return {
    turns: metrics.counter('talkmesh_turns_total', 'Turns the avatar spoke', ['provider', 'outcome']),
    replySeconds: metrics.histogram(
      'talkmesh_reply_seconds',
      'From the end of what the user said to the first speech of the reply',
      ['provider'],
    ),
    opaque: metrics.counter('talkmesh_provider_events_total', 'Provider events the bridge does not interpret', [
      'provider',
      'type',
    ]),
  };
}
