/** Runs graphs by the C API of ONNX Runtime. Tensors that a graph makes stay in the device's memory until they are read. */
import { readFile } from 'node:fs/promises';
import { nowUs } from '../../timeline.js';
import { fastInt8, readCpuFacts } from '../processor.js';
import { type Runtime, type RuntimeOptions, timedCopy } from '../runtime.js';
import type { TensorData, TensorType } from '../tensor-types.js';
import { describeSession, dimsOf, type NativeSession } from './native-session.js';
import { ELEMENT_TYPE, NativeTensor, type Reserved, tensorTypeOf } from './native-tensor.js';
import { copyInto, loadOrtApi, made, madeList, type OrtApi, type Pointer } from './ort-api.js';
import { bundledOrtLibrary } from './ort-library.js';
import { skipNativeDestructors } from './process-exit.js';
import { addProvider, createDeviceMemory, DEFAULT_MEMORY, DEVICE_ALLOCATOR } from './providers.js';
import { wrongOnWebGpu } from './webgpu-defects.js';

const SEVERITY_ERROR = 3;

export class NativeRuntime implements Runtime<NativeTensor, NativeSession> {
  readonly #ort: OrtApi;
  readonly #options: RuntimeOptions;
  readonly #env: Pointer;
  readonly #hostMemory: Pointer;
  readonly #deviceMemory: Pointer;
  readonly #defaultAllocator: Pointer;
  readonly #sessions: NativeSession[] = [];
  #deviceAllocator: Pointer | undefined;

  /** @throws Error when the library or the provider is not available */
  constructor(options: RuntimeOptions) {
    const ort = loadOrtApi(bundledOrtLibrary());
    this.#ort = ort;
    this.#options = options;
    // One environment serves the whole process and lives as long as it.
    this.#env = made(ort.CreateEnv, SEVERITY_ERROR, 'talkmesh');
    this.#defaultAllocator = made(ort.GetAllocatorWithDefaultOptions);
    this.#hostMemory = made(ort.CreateCpuMemoryInfo, DEVICE_ALLOCATOR, DEFAULT_MEMORY);
    this.#deviceMemory = createDeviceMemory(ort, options.provider);
  }

  async load(source: string | Uint8Array, weightsFolder: string | undefined): Promise<NativeSession> {
    const ort = this.#ort;
    const settings = this.#sessionOptions(weightsFolder, await this.#nodesToAvoid(source));
    try {
      const session =
        typeof source === 'string'
          ? made(ort.CreateSession, this.#env, source, settings)
          : made(ort.CreateSessionFromArray, this.#env, source, source.byteLength, settings);
      if (this.#options.provider === 'webgpu') skipNativeDestructors();
      const segment = describeSession(ort, session, this.#defaultAllocator);
      this.#sessions.push(segment);
      return segment;
    } finally {
      ort.ReleaseSessionOptions(settings);
    }
  }

  upload(data: TensorData, type: TensorType, dims: readonly number[]): NativeTensor {
    return NativeTensor.of(data, type, dims);
  }

  /**
   * Memory that runs write in place, such as a ring of keys and values.
   * @throws Error on WebGPU, whose memory has no addresses
   */
  reserve(type: TensorType, dims: readonly number[]): NativeTensor {
    if (this.#options.provider === 'webgpu')
      throw new Error('memory of WebGPU has no addresses, so runs cannot write into a part of it');
    const tensor = new NativeTensor(type, dims);
    const owner = this.#allocate(tensor);
    const address: Pointer = made(this.#ort.GetTensorMutableData, owner);
    return this.#placed(tensor, { owner, tensors: 0 }, address);
  }

  /** The rows [from, to) of the first dimension of reserved memory. @throws RangeError; Error for other tensors */
  rows(tensor: NativeTensor, from: number, to: number): NativeTensor {
    const [count = 0, ...rest] = tensor.dims;
    if (from < 0 || from >= to || to > count)
      throw new RangeError(`no rows ${from} to ${to} of a tensor with ${count}`);
    if (tensor.place === undefined) throw new Error('only reserved memory can be written in place; use reserve');
    const { memory, address } = tensor.place;
    const part = new NativeTensor(tensor.type, [to - from, ...rest]);
    return this.#placed(part, memory, address + BigInt((from * tensor.bytes) / count));
  }

  /**
   * @param into outputs that are written into reserved memory, by name
   * @returns the outputs in the order of the names
   */
  async run(
    segment: NativeSession,
    inputs: Readonly<Record<string, NativeTensor>>,
    outputs: readonly string[],
    into: Readonly<Record<string, NativeTensor>> = {},
  ): Promise<NativeTensor[]> {
    const ort = this.#ort;
    const { session, binding } = segment;
    for (const tensor of [...Object.values(inputs), ...Object.values(into)]) needLiving(tensor);
    try {
      for (const [name, tensor] of Object.entries(inputs))
        ort.BindInput(binding, name, segment.hostInputs.has(name) ? this.#onHost(tensor) : this.#onDevice(tensor));
      // Outputs are returned in the order in which they are bound.
      for (const name of outputs)
        ort.BindOutputToDevice(binding, name, segment.hostOutputs.has(name) ? this.#hostMemory : this.#deviceMemory);
      for (const [name, tensor] of Object.entries(into)) ort.BindOutput(binding, name, this.#onDevice(tensor));
      const startUs = nowUs();
      ort.RunWithBinding(session, null, binding);
      ort.SynchronizeBoundOutputs(binding);
      this.#options.onSpan?.({ kind: 'compute', name: 'run', startUs, endUs: nowUs() });
      const { array, items } = madeList(ort.GetBoundOutputValues, binding, this.#defaultAllocator);
      ort.AllocatorFree(this.#defaultAllocator, array);
      for (const value of items.slice(outputs.length)) ort.ReleaseValue(value);
      return outputs.map((name, i) => this.#tensorOf(items[i] as Pointer, segment.hostOutputs.has(name)));
    } finally {
      ort.ClearBoundInputs(binding);
      ort.ClearBoundOutputs(binding);
    }
  }

  read(tensor: NativeTensor): TensorData {
    needLiving(tensor);
    if (tensor.host !== undefined) return tensor.host;
    const target = tensor.emptyArray();
    timedCopy(this.#options, 'to processor', tensor.bytes, () => this.#copyOut(tensor, target));
    if (tensor.place === undefined) tensor.host = target;
    return target;
  }

  #copyOut(tensor: NativeTensor, target: TensorData): void {
    const inHost = tensor.hostValue ?? (this.#options.provider === 'cpu' ? tensor.deviceValue : undefined);
    if (inHost !== undefined) {
      copyInto(target, made(this.#ort.GetTensorMutableData, inHost));
      return;
    }
    const value = this.#wrap(tensor, target);
    this.#ort.CopyTensors(this.#env, [tensor.deviceValue], [value], null, 1);
    this.#ort.ReleaseValue(value);
  }

  release(tensor: NativeTensor): void {
    if (tensor.released) return;
    tensor.released = true;
    for (const value of [tensor.hostValue, tensor.deviceValue]) if (value !== undefined) this.#ort.ReleaseValue(value);
    const memory = tensor.place?.memory;
    if (memory === undefined) return;
    memory.tensors -= 1;
    if (memory.tensors === 0) this.#ort.ReleaseValue(memory.owner);
  }

  async close(): Promise<void> {
    if (this.#deviceAllocator !== undefined) this.#ort.ReleaseAllocator(this.#deviceAllocator);
    this.#deviceAllocator = undefined;
    for (const { binding, session } of this.#sessions.splice(0)) {
      this.#ort.ReleaseIoBinding(binding);
      this.#ort.ReleaseSession(session);
    }
    this.#ort.ReleaseMemoryInfo(this.#hostMemory);
    this.#ort.ReleaseMemoryInfo(this.#deviceMemory);
  }

  async #nodesToAvoid(source: string | Uint8Array): Promise<string[]> {
    if (this.#options.provider !== 'webgpu') return [];
    return wrongOnWebGpu(typeof source === 'string' ? await readFile(source) : source);
  }

  #sessionOptions(weightsFolder: string | undefined, onProcessor: readonly string[]): Pointer {
    const ort = this.#ort;
    const settings: Pointer = made(ort.CreateSessionOptions);
    const entries = {
      'session.intra_op.allow_spinning': '0',
      'session.record_ep_graph_assignment_info': '1',
      ...(fastInt8(readCpuFacts()) === undefined ? { 'session.x64quantprecision': '1' } : {}),
      ...(weightsFolder === undefined ? {} : { 'session.model_external_initializers_file_folder_path': weightsFolder }),
    };
    try {
      ort.SetIntraOpNumThreads(settings, this.#options.threads);
      ort.SetInterOpNumThreads(settings, 1);
      ort.SetSessionLogSeverityLevel(settings, SEVERITY_ERROR);
      for (const [key, value] of Object.entries(entries)) ort.AddSessionConfigEntry(settings, key, value);
      addProvider(ort, settings, this.#options.provider, onProcessor);
    } catch (error) {
      ort.ReleaseSessionOptions(settings);
      throw error;
    }
    return settings;
  }

  /** The tensor as a value that a graph reads on the processor; the runtime fetches reserved memory itself. */
  #onHost(tensor: NativeTensor): Pointer {
    if (tensor.place !== undefined) return tensor.deviceValue as Pointer;
    tensor.hostValue ??= this.#wrap(tensor, this.read(tensor));
    return tensor.hostValue;
  }

  /** The tensor as a value in the device's memory. A tensor without values has no memory on a device. */
  #onDevice(tensor: NativeTensor): Pointer {
    if (tensor.deviceValue !== undefined) return tensor.deviceValue;
    if (this.#options.provider === 'cpu' || tensor.bytes === 0) return this.#onHost(tensor);
    const value = this.#allocate(tensor);
    tensor.deviceValue = value;
    const source = this.#onHost(tensor);
    timedCopy(this.#options, 'to device', tensor.bytes, () =>
      this.#ort.CopyTensors(this.#env, [source], [value], null, 1),
    );
    return value;
  }

  /** A new OrtValue in the device's memory. */
  #allocate({ dims, type }: NativeTensor): Pointer {
    const ort = this.#ort;
    const shape = BigInt64Array.from(dims, BigInt);
    return made(ort.CreateTensorAsOrtValue, this.#allocator(), shape, dims.length, ELEMENT_TYPE[type]);
  }

  #allocator(): Pointer {
    if (this.#options.provider === 'cpu') return this.#defaultAllocator;
    this.#deviceAllocator ??= made<Pointer>(this.#ort.CreateAllocator, this.#sessions[0]?.session, this.#deviceMemory);
    return this.#deviceAllocator;
  }

  #placed(tensor: NativeTensor, memory: Reserved, address: Pointer): NativeTensor {
    tensor.deviceValue = this.#wrap(tensor, address, this.#deviceMemory);
    tensor.place = { memory, address };
    memory.tensors += 1;
    return tensor;
  }

  /** An OrtValue over an array or an address, which the caller keeps as long as the value. */
  #wrap({ bytes, dims, type }: NativeTensor, data: TensorData | Pointer, memory = this.#hostMemory): Pointer {
    const shape = BigInt64Array.from(dims, BigInt);
    const element = ELEMENT_TYPE[type];
    return made(this.#ort.CreateTensorWithDataAsOrtValue, memory, data, bytes, shape, dims.length, element);
  }

  #tensorOf(value: Pointer, onHost: boolean): NativeTensor {
    const info: Pointer = made(this.#ort.GetTensorTypeAndShape, value);
    try {
      const type = tensorTypeOf(made(this.#ort.GetTensorElementType, info));
      const tensor = new NativeTensor(type, dimsOf(this.#ort, info));
      if (onHost) tensor.hostValue = value;
      else tensor.deviceValue = value;
      return tensor;
    } finally {
      this.#ort.ReleaseTensorTypeAndShapeInfo(info);
    }
  }
}

function needLiving(tensor: NativeTensor): void {
  if (tensor.released) throw new Error('the tensor was released before this operation');
}
