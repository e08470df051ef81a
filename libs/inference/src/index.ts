export { type LookedFor, lookForNetworks, type WantedNetwork } from './checkpoint/find-networks.js';
export { flashHeadNetworks } from './checkpoint/flash-head-networks.js';
export {
  type CheckpointManifest,
  type ImportOptions,
  importCheckpoint,
  openCheckpoint,
  verifyCheckpoint,
} from './checkpoint/import-checkpoint.js';
export { liveTalkSizes, type NewAvatar, writeLiveTalkManifest } from './checkpoint/livetalk-manifest.js';
export { LIVETALK_SIZES, type LiveTalkSizes, liveTalkNetworks } from './checkpoint/livetalk-networks.js';
export { checkLora, type LoraReport } from './checkpoint/lora.js';
export * from './compile/index.js';
export * from './config-fields.js';
export * from './decoder/decoder-engine.js';
export * from './decoder/decoder-precision.js';
export { PictureDecoderEngine } from './decoder/picture-decoder.js';
export * from './executor/executor.js';
export { createOrtExecutor, type OrtExecutorOptions } from './executor/ort-executor.js';
export { type OrtProvider, providerName } from './executor/ort-protocol.js';
export * from './executor/provider-probe.js';
export { MouthReader } from './mesh/mouth-reader.js';
export * from './model/avatar-source.js';
export * from './model/chunk-states.js';
export * from './model/model.js';
export * from './model/png.js';
export * from './model/reference.js';
export * from './model/state-bytes.js';
export * from './parallel/plan.js';
export type { RestartReason } from './parallel/rank-group.js';
export type { RankOptions } from './parallel/rank-groups.js';
export type { PassTimes } from './parallel/rank-protocol.js';
export * from './portrait/portrait.js';
export { MatchedScoreEngine } from './score/matched-engine.js';
export * from './score/noise.js';
export * from './score/score-engine.js';
export * from './timeline.js';
export * from './video/gpu-floor.js';
export * from './video/video-graphs.js';
