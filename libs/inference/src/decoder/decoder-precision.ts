/** Chooses between a model's float32 decoder and its decoder with 8-bit convolutions. */
import { MeshError } from '@talkmesh/contracts';
import { fastInt8, readCpuFacts } from '../executor/processor.js';
import type { GraphModel } from '../model/model.js';

export type DecoderPrecision = 'float32' | 'int8';
export type RequestedPrecision = 'auto' | DecoderPrecision;

export interface DecoderChoice {
  readonly precision: DecoderPrecision;
  /** Absolute path of the graph. */
  readonly path: string;
  /** Why this decoder was chosen, for the log. */
  readonly reason: string;
}

/** @throws MeshError MODEL_INVALID when int8 is requested from a model without such a decoder */
export function chooseDecoder(
  model: Pick<GraphModel, 'label' | 'path' | 'int8DecoderPath'>,
  requested: RequestedPrecision,
  cpuFacts: string = readCpuFacts(),
): DecoderChoice {
  const float32 = (reason: string): DecoderChoice => ({ precision: 'float32', path: model.path('decoder'), reason });
  const path = model.int8DecoderPath();
  if (requested === 'float32') return float32('asked for');
  if (path === undefined && requested === 'int8')
    throw new MeshError(
      'MODEL_INVALID',
      `model ${model.label} has no 8-bit decoder; set TALKMESH_DECODER_PRECISION to auto, or write one (talkmesh_nano.decoder.quantize)`,
    );
  if (path === undefined) return float32('the model has no 8-bit decoder');
  if (requested === 'int8') return { precision: 'int8', path, reason: 'asked for' };
  const instruction = fastInt8(cpuFacts);
  return instruction === undefined
    ? float32('the processor has no known instruction for fast 8-bit products')
    : { precision: 'int8', path, reason: `the processor has ${instruction}` };
}
