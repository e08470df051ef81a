import type { Executor, Segment } from '../executor/executor.js';
import type { CompiledSegment } from './types.js';

/** Loads a compiled graph with its weights. @throws MeshError MODEL_INVALID when the runtime cannot load it */
export function loadCompiled(executor: Executor, segment: CompiledSegment): Promise<Segment> {
  return executor.load(segment.onnx, segment.name, segment.weightsFolder);
}
