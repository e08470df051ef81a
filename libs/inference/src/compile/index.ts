export {
  CHECKPOINTS,
  type CheckpointName,
  type CheckpointReport,
  checkCheckpoint,
  checkpoint,
  flashHeadTensors,
} from './checkpoints.js';
export { compileCut } from './cut.js';
export {
  compileFlashHeadSound,
  FLASH_HEAD_CHUNK,
  FLASH_HEAD_SOUND,
  type FlashHeadSound,
  flashHeadDescription,
  flashHeadFrames,
} from './flash-head.js';
export { loadCompiled } from './load.js';
export { NeededWeights, neededTensors } from './needed-weights.js';
export { type GraphCost, graphCost } from './operations.js';
export { compileS2vSound, S2V_SIZES, type S2vSizes, s2vDescription, s2vTensors } from './s2v.js';
export { openWeights, readWeight, type WeightEntry, Weights } from './safetensors.js';
export { encodeSafetensors, type SafetensorsTensor } from './safetensors-writer.js';
export { compileCondition, compileSound, compileTimestep, compileWhole, fromRows, toRows } from './segments.js';
export { compileTaehvDecoder, TAEHV_TRIM, TAEW_SIZES, type TaehvSizes, taehvReach } from './taehv.js';
export { checkWeights, type ExpectedTensor, expectedTensors } from './tensors.js';
export type {
  CompiledSegment,
  CutGraph,
  CutOptions,
  CutStage,
  DitGeometry,
  Exchange,
  WholeOptions,
} from './types.js';
export {
  LIVETALK_SOUND,
  liveTalkDescription,
  ringDescription,
  WAN_SIZES,
  type WanSizes,
  wanDescription,
  wanPairs,
} from './wan.js';
export {
  compileVaeDecoder,
  compileVaeEncoder,
  type LatentGrid,
  vaeDecoderReach,
  WAN_VAE_SIZES,
  type WanVaeSizes,
} from './wan-vae.js';
export { compileWav2Vec2, type SoundWindow, soundValues, WAV2VEC2_BASE, type Wav2Vec2Sizes } from './wav2vec2.js';
