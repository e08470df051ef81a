/** The providers of ONNX Runtime: their memory, and how a session gets one. */
import type { OrtProvider } from '../ort-protocol.js';
import { made, type OrtApi, type Pointer } from './ort-api.js';

/** OrtDeviceAllocator of OrtAllocatorType, and OrtMemTypeDefault. */
export const DEVICE_ALLOCATOR = 0;
export const DEFAULT_MEMORY = 0;

const WEBGPU_REMEDY =
  'Install the Vulkan loader (Debian package libvulkan1) and the Vulkan driver of the GPU, or name a driver with VK_ICD_FILENAMES; `talkmesh doctor` lists what is installed';
const CUDA_REMEDY =
  'Install the NVIDIA driver, CUDA and cuDNN, and put libonnxruntime_providers_cuda.so and libonnxruntime_providers_shared.so of the same version beside libonnxruntime; `talkmesh doctor` lists what is missing';

/** Option of the WebGPU provider: names of nodes, one a line. */
const FORCE_CPU_NODES = 'forceCpuNodeNames';

/** OrtMemoryInfo of the memory in which the provider keeps tensors. */
export function createDeviceMemory(ort: OrtApi, provider: OrtProvider): Pointer {
  if (provider === 'cpu') return made(ort.CreateCpuMemoryInfo, DEVICE_ALLOCATOR, DEFAULT_MEMORY);
  const [name, device] = provider === 'webgpu' ? ['WebGPU_Buf', 0] : ['Cuda', provider.cuda];
  return made(ort.CreateMemoryInfo, name, DEVICE_ALLOCATOR, device, DEFAULT_MEMORY);
}

/**
 * Adds a provider to the options of a session. What the provider cannot run, the processor runs.
 * @param onProcessor names of nodes that the provider must not run
 * @throws Error when the provider is not available, with what to do
 */
export function addProvider(
  ort: OrtApi,
  settings: Pointer,
  provider: OrtProvider,
  onProcessor: readonly string[],
): void {
  if (provider === 'cpu') return;
  try {
    if (provider === 'webgpu') {
      const values = onProcessor.length === 0 ? [] : [onProcessor.join('\n')];
      const keys = values.map(() => FORCE_CPU_NODES);
      ort.SessionOptionsAppendExecutionProvider(settings, 'WebGPU', keys, values, keys.length);
    } else addCuda(ort, settings, { device_id: String(provider.cuda) });
  } catch (cause) {
    const remedy = provider === 'webgpu' ? WEBGPU_REMEDY : CUDA_REMEDY;
    throw new Error(`the provider is not available (${reasonOf(cause)}). ${remedy}`, { cause });
  }
}

function addCuda(ort: OrtApi, settings: Pointer, entries: Readonly<Record<string, string>>): void {
  const cuda: Pointer = made(ort.CreateCUDAProviderOptions);
  try {
    ort.UpdateCUDAProviderOptions(cuda, Object.keys(entries), Object.values(entries), Object.keys(entries).length);
    ort.SessionOptionsAppendExecutionProvider_CUDA_V2(settings, cuda);
  } finally {
    ort.ReleaseCUDAProviderOptions(cuda);
  }
}

/** The last part of the runtime's message, which begins with its source file and function. */
const reasonOf = (thrown: unknown): string =>
  (thrown as Error).message
    .trim()
    .split(/ was false\. |\n/)
    .at(-1)
    ?.replace(/\.$/, '') ?? '';
