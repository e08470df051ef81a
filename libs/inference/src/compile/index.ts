export {
  CHECKPOINTS,
  type CheckpointName,
  type CheckpointReport,
  checkCheckpoint,
  checkpoint,
} from './checkpoints.js';
export { compileCut } from './cut.js';
export { loadCompiled } from './load.js';
export { openWeights, readWeight, type WeightEntry, Weights } from './safetensors.js';
export { encodeSafetensors, type SafetensorsTensor } from './safetensors-writer.js';
export { compileCondition, compileSound, compileTimestep, compileWhole, fromRows, toRows } from './segments.js';
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
