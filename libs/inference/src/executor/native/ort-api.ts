/**
 * The C API of ONNX Runtime (onnxruntime_c_api.h, API version 24) by koffi. OrtApi is a struct of function pointers whose order
 * never changes, so a function is found by its place. Calls run in the calling thread.
 */
import koffi, { type LibraryHandle } from 'koffi';
import type { TensorData } from '../tensor-types.js';

/** An address in the process's memory; 0 is no address. */
export type Pointer = bigint;

const API_VERSION = 24;

/** Place in OrtApi and parameters of the functions that return an OrtStatus. */
const CHECKED = {
  CreateEnv: [3, 'int severity, const char *id, _Out_ void **out'],
  CreateSession: [7, 'void *env, const char *path, void *options, _Out_ void **out'],
  CreateSessionFromArray: [8, 'void *env, const void *model, size_t bytes, void *options, _Out_ void **out'],
  CreateSessionOptions: [10, '_Out_ void **out'],
  SetSessionLogSeverityLevel: [22, 'void *options, int severity'],
  SetIntraOpNumThreads: [24, 'void *options, int threads'],
  SetInterOpNumThreads: [25, 'void *options, int threads'],
  SessionGetInputCount: [30, 'void *session, _Out_ size_t *out'],
  SessionGetOutputCount: [31, 'void *session, _Out_ size_t *out'],
  SessionGetInputTypeInfo: [33, 'void *session, size_t index, _Out_ void **out'],
  SessionGetOutputTypeInfo: [34, 'void *session, size_t index, _Out_ void **out'],
  SessionGetInputName: [36, 'void *session, size_t index, void *allocator, _Out_ void **out'],
  SessionGetOutputName: [37, 'void *session, size_t index, void *allocator, _Out_ void **out'],
  CreateTensorAsOrtValue: [48, 'void *allocator, const int64_t *dims, size_t rank, int type, _Out_ void **out'],
  CreateTensorWithDataAsOrtValue: [
    49,
    'void *memory, void *data, size_t bytes, const int64_t *dims, size_t rank, int type, _Out_ void **out',
  ],
  GetTensorMutableData: [51, 'void *value, _Out_ void **out'],
  CastTypeInfoToTensorInfo: [55, 'void *info, _Out_ void **out'],
  GetTensorElementType: [60, 'void *info, _Out_ int *out'],
  GetDimensionsCount: [61, 'void *info, _Out_ size_t *out'],
  GetDimensions: [62, 'void *info, void *dims, size_t rank'],
  GetSymbolicDimensions: [63, 'void *info, void *names, size_t rank'],
  GetTensorTypeAndShape: [65, 'void *value, _Out_ void **out'],
  CreateMemoryInfo: [68, 'const char *name, int allocator, int device, int kind, _Out_ void **out'],
  CreateCpuMemoryInfo: [69, 'int allocator, int kind, _Out_ void **out'],
  MemoryInfoGetName: [71, 'void *memory, _Out_ const char **out'],
  AllocatorFree: [76, 'void *allocator, void *address'],
  GetAllocatorWithDefaultOptions: [78, '_Out_ void **out'],
  AddSessionConfigEntry: [130, 'void *options, const char *key, const char *value'],
  CreateAllocator: [131, 'void *session, void *memory, _Out_ void **out'],
  RunWithBinding: [133, 'void *session, void *options, void *binding'],
  CreateIoBinding: [134, 'void *session, _Out_ void **out'],
  BindInput: [136, 'void *binding, const char *name, void *value'],
  BindOutput: [137, 'void *binding, const char *name, void *value'],
  BindOutputToDevice: [138, 'void *binding, const char *name, void *memory'],
  GetBoundOutputValues: [140, 'void *binding, void *allocator, _Out_ void **out, _Out_ size_t *count'],
  SynchronizeBoundOutputs: [203, 'void *binding'],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, 'void *options, void *cuda'],
  CreateCUDAProviderOptions: [205, '_Out_ void **out'],
  UpdateCUDAProviderOptions: [206, 'void *cuda, const char **keys, const char **values, size_t count'],
  SessionOptionsAppendExecutionProvider: [
    216,
    'void *options, const char *name, const char **keys, const char **values, size_t count',
  ],
  SessionGetMemoryInfoForInputs: [380, 'void *session, void *out, size_t count'],
  SessionGetMemoryInfoForOutputs: [381, 'void *session, void *out, size_t count'],
  CopyTensors: [386, 'void *env, void **from, void **to, void *stream, size_t count'],
  Session_GetEpGraphAssignmentInfo: [407, 'void *session, _Out_ void **out, _Out_ size_t *count'],
  EpAssignedSubgraph_GetEpName: [408, 'void *subgraph, _Out_ const char **out'],
  EpAssignedSubgraph_GetNodes: [409, 'void *subgraph, _Out_ void **out, _Out_ size_t *count'],
  EpAssignedNode_GetOperatorType: [412, 'void *node, _Out_ const char **out'],
} as const satisfies Record<string, readonly [place: number, parameters: string]>;

/** Place in OrtApi of the functions that free one object and return nothing. */
const RELEASES = {
  ReleaseStatus: 93,
  ReleaseMemoryInfo: 94,
  ReleaseSession: 95,
  ReleaseValue: 96,
  ReleaseTypeInfo: 98,
  ReleaseTensorTypeAndShapeInfo: 99,
  ReleaseSessionOptions: 100,
  ReleaseAllocator: 132,
  ReleaseCUDAProviderOptions: 208,
  ReleaseIoBinding: 135,
} as const;

const GET_ERROR_MESSAGE = 2;
const CLEAR = { ClearBoundInputs: 141, ClearBoundOutputs: 142 } as const;

type Checked = keyof typeof CHECKED;
type OneArgument = keyof typeof RELEASES | keyof typeof CLEAR;

export type OrtApi = {
  /** Text of the library's version. */
  readonly version: string;
} & { readonly [name in Checked]: (...parameters: readonly unknown[]) => void } & {
  readonly [name in OneArgument]: (object: Pointer) => void;
};

const loaded = new Map<string, OrtApi>();
/** koffi closes a library when its handle is collected as garbage, although addresses of its functions are still in use. */
const libraries: LibraryHandle[] = [];

/**
 * @param path of libonnxruntime
 * @throws Error when the library cannot be loaded or is older than the API
 */
export function loadOrtApi(path: string): OrtApi {
  const known = loaded.get(path);
  if (known !== undefined) return known;
  const base = apiBase(path);
  const version = koffi.call(base[1], koffi.proto('const char *GetVersionString()')) as string;
  const address = koffi.call(base[0], koffi.proto('void *GetApi(uint32_t version)'), API_VERSION) as Pointer | null;
  if (address === null)
    throw new Error(`${path} is ONNX Runtime ${version}; its C API must be ${API_VERSION} or newer`);
  const last = Math.max(...Object.values(CHECKED).map(([place]) => place));
  const places = koffi.decode(address, koffi.array('void *', last + 1)) as Pointer[];
  const call = (name: string, place: number, result: string, parameters: string) => {
    const type = koffi.proto(`${result} Ort${name}(${parameters})`);
    return (...given: readonly unknown[]): unknown => koffi.call(places[place], type, ...given);
  };
  const messageOf = call('GetErrorMessage', GET_ERROR_MESSAGE, 'const char *', 'void *status');
  const api: Record<string, unknown> = { version };
  for (const [name, place] of Object.entries({ ...RELEASES, ...CLEAR }))
    api[name] = call(name, place, 'void', 'void *object');
  const releaseStatus = api['ReleaseStatus'] as (status: unknown) => void;
  for (const [name, [place, parameters]] of Object.entries(CHECKED)) {
    const unchecked = call(name, place, 'void *', parameters);
    api[name] = (...given: readonly unknown[]): void => {
      const status = unchecked(...given);
      if (status === null) return;
      const message = messageOf(status) as string;
      releaseStatus(status);
      throw new Error(message);
    };
  }
  loaded.set(path, api as OrtApi);
  return api as OrtApi;
}

/** The addresses of GetApi and GetVersionString. */
function apiBase(path: string): readonly Pointer[] {
  try {
    const library = koffi.load(path);
    libraries.push(library);
    return koffi.decode(library.func('void *OrtGetApiBase()')(), koffi.array('void *', 2)) as Pointer[];
  } catch (cause) {
    throw new Error(`${path} is no ONNX Runtime: ${(cause as Error).message}; run npm ci`, { cause });
  }
}

/** Calls a function whose last parameter is the address of its result. */
export function made<T = Pointer>(call: (...parameters: readonly unknown[]) => void, ...parameters: unknown[]): T {
  const out: (T | null)[] = [null];
  call(...parameters, out);
  return out[0] as T;
}

/** Calls a function whose last two parameters are the addresses of an array of pointers and of its length. */
export function madeList(
  call: (...parameters: readonly unknown[]) => void,
  ...parameters: unknown[]
): { readonly array: Pointer; readonly items: readonly Pointer[] } {
  const out: (Pointer | null)[] = [null];
  const count: number[] = [0];
  call(...parameters, out, count);
  const array = out[0] ?? 0n;
  return { array, items: array === 0n ? [] : pointersAt(array, Number(count[0])) };
}

export const pointersAt = (address: Pointer, count: number): readonly Pointer[] =>
  count === 0 ? [] : (koffi.decode(address, koffi.array('void *', count)) as Pointer[]);

/** The text that ends with a zero byte at this address. */
export const textAt = (address: Pointer): string => koffi.decode(address, 'char', -1) as string;

const libc = koffi.load(null);
const memcpy = libc.func('void *memcpy(void *target, const void *source, size_t bytes)');

/** Copies memory at an address into an array. */
export function copyInto(target: TensorData, source: Pointer): void {
  if (target.byteLength > 0) memcpy(target, source, target.byteLength);
}
