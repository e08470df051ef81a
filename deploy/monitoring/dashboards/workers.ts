import { curves, dashboard, heatmap, quantileOf, rateOf, stat } from '../panels.js';

/** The two model services: load, memory, degradation, takeovers. */
export const workers = dashboard('workers', 'score and VAE workers', [
  {
    title: 'Load',
    panels: [
      curves({
        title: 'Sessions by worker',
        help: 'Sessions that each worker holds. Even load means even curves.',
        unit: 'short',
        queries: { '{{instance}}': 'sum by (instance) (talkmesh_sessions{job=~"score-model|vae-decode"})' },
      }),
      curves({
        title: 'Chunk computation, p50 and p95',
        help: 'Compare with the duration of a chunk: above it, one session alone is too slow for real time.',
        unit: 's',
        queries: {
          '{{job}} p50': quantileOf(0.5, 'talkmesh_chunk_seconds', ['job'], '{phase="compute"}'),
          '{{job}} p95': quantileOf(0.95, 'talkmesh_chunk_seconds', ['job'], '{phase="compute"}'),
        },
      }),
      heatmap({
        title: 'Score: computation of a chunk',
        help: 'Two clouds mean two kinds of chunks, for example with all steps and with fewer.',
        unit: 's',
        queries: { '{{le}}': rateOf('talkmesh_chunk_seconds_bucket', ['le'], '{job="score-model",phase="compute"}') },
      }),
      heatmap({
        title: 'VAE: computation of a chunk',
        help: 'Decoding of one chunk of frames.',
        unit: 's',
        queries: { '{{le}}': rateOf('talkmesh_chunk_seconds_bucket', ['le'], '{job="vae-decode",phase="compute"}') },
      }),
    ],
  },
  {
    title: 'Quality and limits',
    panels: [
      curves({
        title: 'Degraded chunks',
        help: 'Chunks with fewer steps or a held frame, by reason. Constant degradation means too many sessions for a worker.',
        unit: 'reqps',
        queries: {
          '{{job}} {{step}} ({{reason}})': rateOf('talkmesh_degraded_chunks_total', ['job', 'step', 'reason']),
        },
      }),
      curves({
        title: 'Sessions refused by admission',
        help: 'By the limit that was reached: places, model state, or real time.',
        unit: 'reqps',
        queries: { '{{job}} {{reason}}': rateOf('talkmesh_admission_refusals_total', ['job', 'reason']) },
      }),
      curves({
        title: 'Model state',
        help: 'Bytes of KV cache, embeddings and decoder state that are held, and what admitted sessions may hold.',
        unit: 'bytes',
        queries: {
          '{{job}} {{kind}}': 'sum by (job, kind) (talkmesh_state_bytes)',
          '{{job}} admitted': 'sum by (job) (talkmesh_admitted_state_bytes)',
        },
      }),
      curves({
        title: 'Memory of the processes',
        help: 'Resident memory of each worker.',
        unit: 'bytes',
        queries: { '{{job}} {{instance}}': 'process_resident_memory_bytes{job=~"score-model|vae-decode"}' },
      }),
    ],
  },
  {
    title: 'Takeovers and ranks',
    panels: [
      curves({
        title: 'Takeovers',
        help: '`exact`: the state equals the lost one. `near`: fewer chunks were replayed. `silence`: nothing was retained.',
        unit: 'reqps',
        queries: { '{{job}} {{outcome}}': rateOf('talkmesh_takeovers_total', ['job', 'outcome']) },
      }),
      curves({
        title: 'Hand-over, p95',
        help: 'Time from the loss of a worker until its successor holds the stage.',
        unit: 's',
        queries: { '{{service}} {{cause}}': quantileOf(0.95, 'talkmesh_handover_seconds', ['service', 'cause']) },
      }),
      curves({
        title: 'Pass of a rank, p95',
        help: 'Of a parallel plan: time of a pass that a rank computes, waits for rows of other ranks, and copies them. Much waiting means that ranks are not alike.',
        unit: 's',
        queries: { '{{part}}': quantileOf(0.95, 'talkmesh_rank_pass_seconds', ['part']) },
      }),
      curves({
        title: 'Expected load',
        help: 'Share of the time that the admitted sessions are expected to take, and the limit of the admission.',
        unit: 'percentunit',
        queries: {
          '{{job}}': 'max by (job) (talkmesh_expected_utilisation_ratio)',
          'limit of {{job}}': 'min by (job) (talkmesh_utilisation_limit_ratio)',
        },
      }),
      stat({
        title: 'Rank groups restarted',
        help: 'Groups of ranks of a parallel plan that died and started again, in the shown time.',
        unit: 'short',
        queries: { '': 'sum(increase(talkmesh_rank_group_restarts_total[$__range])) or vector(0)' },
        limits: [1, 3],
      }),
      stat({
        title: 'Speech gaps lost',
        help: 'Gaps in received speech that could not be read back, in the shown time.',
        unit: 'short',
        queries: { '': 'sum(increase(talkmesh_speech_gaps_total{outcome="lost"}[$__range])) or vector(0)' },
        limits: [1, 3],
      }),
    ],
  },
]);
