/** A loaded graph and what the C API tells of it. */
import type { RuntimeSegment } from '../runtime.js';
import type { TensorInfo, TensorType } from '../tensor-types.js';
import { ELEMENT_TYPE } from './native-tensor.js';
import { made, madeList, type OrtApi, type Pointer, textAt } from './ort-api.js';

export interface NativeSession extends RuntimeSegment {
  readonly session: Pointer;
  readonly binding: Pointer;
  /** Names of the inputs that the graph reads on the processor. */
  readonly hostInputs: ReadonlySet<string>;
  /** Names of the outputs that the graph makes on the processor. */
  readonly hostOutputs: ReadonlySet<string>;
}

const HOST_MEMORY = 'Cpu';
const HOST_PROVIDER = 'CPUExecutionProvider';
const POINTER_BYTES = 8;

/** @param allocator the default allocator of the API */
export function describeSession(ort: OrtApi, session: Pointer, allocator: Pointer): NativeSession {
  const inputs = signature(ort, allocator, {
    count: made<number>(ort.SessionGetInputCount, session),
    name: (index) => made(ort.SessionGetInputName, session, index, allocator),
    info: (index) => made(ort.SessionGetInputTypeInfo, session, index),
  });
  const outputs = signature(ort, allocator, {
    count: made<number>(ort.SessionGetOutputCount, session),
    name: (index) => made(ort.SessionGetOutputName, session, index, allocator),
    info: (index) => made(ort.SessionGetOutputTypeInfo, session, index),
  });
  return {
    session,
    binding: made(ort.CreateIoBinding, session),
    inputs,
    outputs,
    onProcessor: nodesOnProcessor(ort, session),
    hostInputs: onHost(ort, inputs, (out, count) => ort.SessionGetMemoryInfoForInputs(session, out, count)),
    hostOutputs: onHost(ort, outputs, (out, count) => ort.SessionGetMemoryInfoForOutputs(session, out, count)),
  };
}

interface SignatureCalls {
  readonly count: number;
  name(index: number): Pointer;
  info(index: number): Pointer;
}

function signature(ort: OrtApi, allocator: Pointer, calls: SignatureCalls): TensorInfo[] {
  return Array.from({ length: Number(calls.count) }, (_, index) => {
    const text = calls.name(index);
    const name = textAt(text);
    ort.AllocatorFree(allocator, text);
    const info = calls.info(index);
    try {
      return describeValue(ort, name, info);
    } finally {
      ort.ReleaseTypeInfo(info);
    }
  });
}

function describeValue(ort: OrtApi, name: string, typeInfo: Pointer): TensorInfo {
  const info = made<Pointer | null>(ort.CastTypeInfoToTensorInfo, typeInfo);
  if (info === null) return { name, type: 'not a tensor', dims: [] };
  const element = made<number>(ort.GetTensorElementType, info);
  const known = (Object.keys(ELEMENT_TYPE) as TensorType[]).find((type) => ELEMENT_TYPE[type] === element);
  const rank = Number(made<number>(ort.GetDimensionsCount, info));
  const symbols = Buffer.alloc(rank * POINTER_BYTES);
  ort.GetSymbolicDimensions(info, symbols, rank);
  const dims = dimsOf(ort, info).map((dim, i) => (dim < 0 ? textAt(symbols.readBigUInt64LE(i * POINTER_BYTES)) : dim));
  return { name, type: known ?? `element type ${element}`, dims };
}

/** @param info OrtTensorTypeAndShapeInfo. @returns the dimensions; -1 where any size is allowed */
export function dimsOf(ort: OrtApi, info: Pointer): number[] {
  const rank = Number(made<number>(ort.GetDimensionsCount, info));
  const dims = new BigInt64Array(rank);
  ort.GetDimensions(info, dims, rank);
  return [...dims].map(Number);
}

function onHost(
  ort: OrtApi,
  values: readonly TensorInfo[],
  call: (out: Buffer, count: number) => void,
): ReadonlySet<string> {
  const memories = Buffer.alloc(values.length * POINTER_BYTES);
  call(memories, values.length);
  const isHost = (_: TensorInfo, i: number): boolean =>
    made<string>(ort.MemoryInfoGetName, memories.readBigUInt64LE(i * POINTER_BYTES)) === HOST_MEMORY;
  return new Set(values.filter(isHost).map((value) => value.name));
}

/** Needs the session option `session.record_ep_graph_assignment_info`. */
function nodesOnProcessor(ort: OrtApi, session: Pointer): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const part of madeList(ort.Session_GetEpGraphAssignmentInfo, session).items) {
    if (made<string>(ort.EpAssignedSubgraph_GetEpName, part) !== HOST_PROVIDER) continue;
    for (const node of madeList(ort.EpAssignedSubgraph_GetNodes, part).items) {
      const type = made<string>(ort.EpAssignedNode_GetOperatorType, node);
      counts[type] = (counts[type] ?? 0) + 1;
    }
  }
  return counts;
}
