/** Runs graphs on the processor with onnxruntime-node. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { nowUs } from '../timeline.js';
import { fastInt8, readCpuFacts } from './processor.js';
import type { Runtime, RuntimeOptions, RuntimeSegment, RuntimeTensor } from './runtime.js';
import type { TensorData, TensorInfo, TensorType } from './tensor-types.js';

interface BindingTensor extends RuntimeTensor {
  readonly tensor: Tensor;
}

interface BindingSegment extends RuntimeSegment {
  readonly session: InferenceSession;
}

export class BindingRuntime implements Runtime<BindingTensor, BindingSegment> {
  readonly #threads: number;
  readonly #onSpan: RuntimeOptions['onSpan'];
  readonly #sessions: InferenceSession[] = [];

  constructor({ threads, onSpan }: Pick<RuntimeOptions, 'threads' | 'onSpan'>) {
    this.#threads = threads;
    this.#onSpan = onSpan;
  }

  async load(source: string | Uint8Array, weightsFolder: string | undefined): Promise<BindingSegment> {
    const all: InferenceSession.SessionOptions = {
      executionProviders: ['cpu'],
      intraOpNumThreads: this.#threads,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
      extra: {
        session: {
          // Spinning threads would keep the cores busy between two chunks, and the other services need them.
          intra_op: { allow_spinning: '0' },
          // Without a fast 8-bit instruction, sums of products saturate at 16 bits. This option avoids that, at half of int8's gain.
          ...(fastInt8(readCpuFacts()) === undefined ? { x64quantprecision: '1' } : {}),
          ...(weightsFolder === undefined ? {} : { model_external_initializers_file_folder_path: weightsFolder }),
        },
      },
    };
    const session =
      typeof source === 'string'
        ? await InferenceSession.create(source, all)
        : await InferenceSession.create(source, all);
    this.#sessions.push(session);
    const { inputMetadata, outputMetadata } = session;
    return { session, inputs: describe(inputMetadata), outputs: describe(outputMetadata), onProcessor: {} };
  }

  upload(data: TensorData, type: TensorType, dims: readonly number[]): BindingTensor {
    return tensorOf(new Tensor(type, data, dims));
  }

  async run(
    { session }: BindingSegment,
    inputs: Readonly<Record<string, BindingTensor>>,
    outputs: readonly string[],
  ): Promise<BindingTensor[]> {
    const feeds = Object.fromEntries(Object.entries(inputs).map(([name, { tensor }]) => [name, tensor]));
    const startUs = nowUs();
    const results = await session.run(feeds, outputs);
    this.#onSpan?.({ kind: 'compute', name: 'run', startUs, endUs: nowUs() });
    return outputs.map((name) => {
      const tensor = results[name];
      if (tensor === undefined) throw new Error(`no output ${name}`);
      return tensorOf(tensor);
    });
  }

  read({ tensor }: BindingTensor): TensorData {
    return tensor.data as TensorData;
  }

  release({ tensor }: BindingTensor): void {
    tensor.dispose();
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.splice(0)) await session.release();
  }
}

function tensorOf(tensor: Tensor): BindingTensor {
  const type = tensor.type as TensorType;
  return { tensor, type, dims: [...tensor.dims], bytes: (tensor.data as TensorData).byteLength };
}

const describe = (metadata: readonly InferenceSession.ValueMetadata[]): TensorInfo[] =>
  metadata.map((value) =>
    value.isTensor
      ? { name: value.name, type: value.type, dims: [...value.shape] }
      : { name: value.name, type: 'not a tensor', dims: [] },
  );
