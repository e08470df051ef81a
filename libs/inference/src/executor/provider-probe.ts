/** Finds out which providers run on this machine, by a small graph. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundledOrtLibrary } from './native/ort-library.js';
import { OnnxGraph } from './onnx-writer.js';
import { createOrtExecutor } from './ort-executor.js';
import { type OrtProvider, providerName } from './ort-protocol.js';

export interface ProviderReport {
  readonly provider: string;
  readonly available: boolean;
  /** Why not, with what to do; or what the provider uses. */
  readonly detail: string;
}

/** Where the Vulkan loader looks for drivers, unless VK_ICD_FILENAMES names them. */
const VULKAN_FOLDERS = ['/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/usr/share/vulkan/icd.d'];
const NVIDIA_DRIVER = '/proc/driver/nvidia/version';
const CUDA_FILES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];

/** Runs a small graph on a provider and checks the result. Never rejects. */
export async function probeProvider(provider: OrtProvider): Promise<ProviderReport> {
  const name = providerName(provider);
  try {
    await using executor = createOrtExecutor({ threads: 1, provider });
    const segment = await executor.load(doubling(), 'probe');
    const x = executor.upload(Float32Array.of(1, 2), 'float32', [2]);
    const { y } = await executor.run(segment, { inputs: { x }, outputs: ['y'] });
    const values = y === undefined ? [] : await executor.download(y);
    if (values.join() !== '2,4') throw new Error(`a test graph gave ${values.join()} instead of 2,4`);
    return { provider: name, available: true, detail: 'a test graph gave the right result' };
  } catch (thrown) {
    return { provider: name, available: false, detail: (thrown as Error).message };
  }
}

function doubling(): Uint8Array {
  const graph = new OnnxGraph();
  const x = graph.input('x', 'float32', [2]);
  graph.output(graph.op('Add', [x, x]), 'y', 'float32', [2]);
  return graph.write();
}

/** Names of the Vulkan drivers that the loader finds. @param named value of VK_ICD_FILENAMES */
export function vulkanDrivers(named: string | undefined, folders: readonly string[] = VULKAN_FOLDERS): string[] {
  if (named !== undefined) return named.split(':').filter((path) => existsSync(path));
  return folders.flatMap((folder) => (existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : []));
}

/** What the CUDA provider needs and this machine lacks. */
export function missingForCuda(): string[] {
  const folder = dirname(bundledOrtLibrary());
  const files = CUDA_FILES.filter((file) => !existsSync(join(folder, file))).map((file) => join(folder, file));
  return existsSync(NVIDIA_DRIVER) ? files : ['the NVIDIA driver', ...files];
}

/** First line of the NVIDIA driver's version file; undefined without a driver. */
export function nvidiaDriver(): string | undefined {
  return existsSync(NVIDIA_DRIVER) ? readFileSync(NVIDIA_DRIVER, 'utf8').split('\n')[0] : undefined;
}
