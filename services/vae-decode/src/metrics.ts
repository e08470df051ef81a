import type { DecoderEngine, RealTimeAdmission } from '@talkmesh/inference';
import { type Counter, exportAdmissionGauges, type Histogram, type Metrics } from '@talkmesh/service-kit';

const CHUNK_SECONDS_BUCKETS = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 0.36, 0.48, 0.72, 0.96];

export interface DecodeMetrics {
  readonly seconds: Histogram;
  readonly chunks: Counter;
  /** step: held; reason: late, load, idle. */
  readonly degraded: Counter;
}

export function createDecodeMetrics(
  metrics: Metrics,
  engine: DecoderEngine,
  admission: RealTimeAdmission,
): DecodeMetrics {
  exportAdmissionGauges(metrics, admission);
  const bytes = metrics.gauge('talkmesh_state_bytes', 'Bytes of model state held', ['kind']);
  Object.assign(bytes, {
    collect: () => {
      for (const [kind, value] of Object.entries(engine.stateBytes())) bytes.set({ kind }, value);
    },
  });
  return {
    seconds: metrics.histogram(
      'talkmesh_chunk_seconds',
      'Time a chunk waits, is computed and is published',
      ['phase'],
      CHUNK_SECONDS_BUCKETS,
    ),
    chunks: metrics.counter('talkmesh_chunks_total', 'Chunks by what became of them', ['outcome']),
    degraded: metrics.counter('talkmesh_degraded_chunks_total', 'Chunks that were less than they could be', [
      'step',
      'reason',
    ]),
  };
}
