export {
  type CheckpointManifest,
  type ImportOptions,
  importCheckpoint,
  openCheckpoint,
  verifyCheckpoint,
} from './checkpoint/import-checkpoint.js';
export { liveTalkNetworks } from './checkpoint/livetalk-networks.js';
export * from './compile/index.js';
export * from './config-fields.js';
export * from './decoder/decoder-engine.js';
export * from './decoder/decoder-precision.js';
export * from './executor/executor.js';
export { createOrtExecutor, type OrtExecutorOptions } from './executor/ort-executor.js';
export { type OrtProvider, providerName } from './executor/ort-protocol.js';
export * from './executor/provider-probe.js';
export {
  LIVETALK_SIZES,
  LiveTalkModel,
  type LiveTalkOptions,
  type LiveTalkSessionOptions,
  type LiveTalkSizes,
} from './livetalk/livetalk-model.js';
export type { LiveTalkChunk, LiveTalkSession } from './livetalk/livetalk-session.js';
export { MouthReader } from './mesh/mouth-reader.js';
export * from './model/avatar-source.js';
export * from './model/chunk-states.js';
export * from './model/model.js';
export * from './model/png.js';
export * from './model/reference.js';
export * from './model/state-bytes.js';
export * from './parallel/plan.js';
export type { RankOptions } from './parallel/rank-denoiser.js';
export type { RestartReason } from './parallel/rank-group.js';
export type { PassTimes } from './parallel/rank-protocol.js';
export * from './portrait/portrait.js';
export * from './score/noise.js';
export { ScoreEngine, type StateBytes } from './score/score-engine.js';
export { type GeneratedChunk, ScoreSession, type ScoreSessionOptions } from './score/score-session.js';
export * from './timeline.js';
