import protobuf from 'protobufjs/minimal.js';

/** `google.rpc.ErrorInfo` domain of every MeshError. */
export const ERROR_DOMAIN = 'talkmesh';
const ERROR_INFO = 'type.googleapis.com/google.rpc.ErrorInfo';
const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';

/** The parts of a `google.rpc.Status` that the mesh sends: code, message, one ErrorInfo and, for retryable errors, one RetryInfo. */
export interface StatusDetails {
  readonly code: number;
  readonly message: string;
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;
}

/** Protobuf key: field number and wire type (0 varint, 2 length-delimited). */
const key = (field: number, wire: 0 | 2): number => (field << 3) | wire;

/** Encodes the `grpc-status-details-bin` trailer, as defined by google/rpc/status.proto and error_details.proto. */
export function encodeStatusDetails(d: StatusDetails): Uint8Array {
  const out = protobuf.Writer.create();
  out.uint32(key(1, 0)).int32(d.code).uint32(key(2, 2)).string(d.message);
  any(out, ERROR_INFO, (body) => {
    body.uint32(key(1, 2)).string(d.reason).uint32(key(2, 2)).string(ERROR_DOMAIN);
    for (const [name, value] of Object.entries(d.metadata))
      body.uint32(key(3, 2)).fork().uint32(key(1, 2)).string(name).uint32(key(2, 2)).string(value).ldelim();
  });
  const { retryAfterMs } = d;
  if (retryAfterMs !== undefined)
    any(out, RETRY_INFO, (body) => {
      body.uint32(key(1, 2)).fork();
      body.uint32(key(1, 0)).int64(Math.floor(retryAfterMs / 1000));
      body
        .uint32(key(2, 0))
        .int32(Math.round((retryAfterMs % 1000) * 1e6))
        .ldelim();
    });
  return out.finish();
}

function any(out: protobuf.Writer, typeUrl: string, write: (body: protobuf.Writer) => void): void {
  out.uint32(key(3, 2)).fork().uint32(key(1, 2)).string(typeUrl).uint32(key(2, 2)).fork();
  write(out);
  out.ldelim().ldelim();
}

/** Decodes the trailer, also from other google.rpc servers. @returns undefined when the bytes are malformed or contain no ErrorInfo */
export function decodeStatusDetails(bytes: Uint8Array): StatusDetails | undefined {
  const found = {
    code: 0,
    message: '',
    reason: '',
    metadata: {} as Record<string, string>,
    retryAfterMs: undefined as number | undefined,
  };
  try {
    fields(bytes, (field, reader) => {
      if (field === 1) found.code = reader.int32();
      else if (field === 2) found.message = reader.string();
      else if (field === 3) readAny(reader.bytes(), found);
      else return false;
      return true;
    });
  } catch {
    return undefined;
  }
  return found.reason === '' ? undefined : found;
}

interface Found {
  reason: string;
  metadata: Record<string, string>;
  retryAfterMs: number | undefined;
}

function readAny(bytes: Uint8Array, found: Found): void {
  let typeUrl = '';
  let value: Uint8Array = new Uint8Array();
  fields(bytes, (field, reader) => {
    if (field === 1) typeUrl = reader.string();
    else if (field === 2) value = reader.bytes();
    else return false;
    return true;
  });
  if (typeUrl === ERROR_INFO) readErrorInfo(value, found);
  if (typeUrl === RETRY_INFO) found.retryAfterMs = readRetryInfo(value);
}

function readErrorInfo(bytes: Uint8Array, found: Found): void {
  fields(bytes, (field, reader) => {
    if (field === 1) found.reason = reader.string();
    else if (field === 3) {
      const pair = ['', ''];
      fields(reader.bytes(), (part, inner) => {
        if (part !== 1 && part !== 2) return false;
        pair[part - 1] = inner.string();
        return true;
      });
      found.metadata[pair[0] as string] = pair[1] as string;
    } else return false;
    return true;
  });
}

function readRetryInfo(bytes: Uint8Array): number {
  let ms = 0;
  fields(bytes, (field, reader) => {
    if (field !== 1) return false;
    fields(reader.bytes(), (part, inner) => {
      if (part === 1) ms += Number(inner.int64()) * 1000;
      else if (part === 2) ms += inner.int32() / 1e6;
      else return false;
      return true;
    });
    return true;
  });
  return ms;
}

/** Iterates over the fields of a message. A field for which `read` returns false is skipped. */
function fields(bytes: Uint8Array, read: (field: number, reader: protobuf.Reader) => boolean): void {
  const reader = protobuf.Reader.create(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (!read(tag >>> 3, reader)) reader.skipType(tag & 7);
  }
}
