/** Which of a model's two decoders a worker runs. */
import { MeshError } from '@talkmesh/contracts';
import type { Model } from './model.js';
import { fastInt8, readCpuFacts } from './processor.js';

export type DecoderPrecision = 'float32' | 'int8';
export type PrecisionWish = 'auto' | DecoderPrecision;

export interface DecoderChoice {
  readonly precision: DecoderPrecision;
  /** Absolute path of the graph. */
  readonly path: string;
  /** For people: why this one. */
  readonly reason: string;
}

/** @throws MeshError MODEL_INVALID when int8 is wanted of a model without such a decoder */
export function chooseDecoder(
  model: Pick<Model, 'label' | 'path' | 'int8DecoderPath'>,
  wish: PrecisionWish,
  cpuFacts: string = readCpuFacts(),
): DecoderChoice {
  const float32 = (reason: string): DecoderChoice => ({ precision: 'float32', path: model.path('decoder'), reason });
  const path = model.int8DecoderPath();
  if (wish === 'float32') return float32('asked for');
  if (path === undefined && wish === 'int8')
    throw new MeshError(
      'MODEL_INVALID',
      `model ${model.label} has no 8-bit decoder; set TALKMESH_DECODER_PRECISION to auto, or make one (talkmesh_nano.quantize_decoder)`,
    );
  if (path === undefined) return float32('the model has no 8-bit decoder');
  if (wish === 'int8') return { precision: 'int8', path, reason: 'asked for' };
  const instruction = fastInt8(cpuFacts);
  return instruction === undefined
    ? float32('the processor is not known to be fast at 8-bit numbers')
    : { precision: 'int8', path, reason: `the processor has ${instruction}` };
}
