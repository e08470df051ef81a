export { compileCut } from './cut.js';
export { ditDescription } from './description.js';
export { openWeights, readWeight, type WeightEntry, Weights } from './safetensors.js';
export { encodeSafetensors, type SafetensorsTensor } from './safetensors-writer.js';
export { compileCondition, compileTimestep, compileWhole, fromRows, toRows } from './segments.js';
export type {
  CompiledSegment,
  CutGraph,
  CutOptions,
  CutStage,
  DitDescription,
  DitGeometry,
  Exchange,
  WholeOptions,
} from './types.js';
