import type { status } from '@grpc/grpc-js';

/** Name of a gRPC status code, such as `NOT_FOUND`. A name, so that child processes need not load gRPC. */
export type GrpcStatusName = keyof typeof status;

interface ReasonInfo {
  readonly grpc: GrpcStatusName;
  readonly http: number;
  readonly retryable: boolean;
}

const info = (grpc: GrpcStatusName, http: number, retryable = false): ReasonInfo => ({ grpc, http, retryable });

/**
 * Every reason for which the mesh refuses or fails a request. The reason is the stable name for programs; gRPC status, HTTP status and
 * retryability follow from it.
 */
export const REASONS = {
  CONFIG_INVALID: info('FAILED_PRECONDITION', 500),
  SESSION_ID_INVALID: info('INVALID_ARGUMENT', 400),
  SESSION_NOT_FOUND: info('NOT_FOUND', 404),
  SESSION_EXISTS: info('ALREADY_EXISTS', 409),
  SESSION_LIMIT: info('RESOURCE_EXHAUSTED', 429, true),
  SESSION_ENDED: info('ABORTED', 410),
  NO_WORKER: info('UNAVAILABLE', 503, true),
  DRAINING: info('UNAVAILABLE', 503, true),
  NATS_UNAVAILABLE: info('UNAVAILABLE', 503, true),
  PEER_LOST: info('UNAVAILABLE', 503, true),
  AVATAR_NOT_FOUND: info('NOT_FOUND', 404),
  AVATAR_LIMIT: info('RESOURCE_EXHAUSTED', 429),
  PICTURE_INVALID: info('INVALID_ARGUMENT', 422),
  FACE_NOT_FOUND: info('INVALID_ARGUMENT', 422),
  PROVIDER_UNKNOWN: info('INVALID_ARGUMENT', 400),
  PROVIDER_FAILED: info('UNAVAILABLE', 502, true),
  ROOM_REFUSED: info('PERMISSION_DENIED', 403),
  ROOM_UNREACHABLE: info('UNAVAILABLE', 502, true),
  TTS_UNAVAILABLE: info('FAILED_PRECONDITION', 424),
  TOKEN_MISSING: info('UNAUTHENTICATED', 401),
  TOKEN_INVALID: info('UNAUTHENTICATED', 401),
  TOKEN_EXPIRED: info('UNAUTHENTICATED', 401),
  TOKEN_WRONG_SESSION: info('PERMISSION_DENIED', 403),
  PERMISSION_DENIED: info('PERMISSION_DENIED', 403),
  ARGUMENT_INVALID: info('INVALID_ARGUMENT', 400),
  NOT_FOUND: info('NOT_FOUND', 404),
  SDP_INVALID: info('INVALID_ARGUMENT', 400),
  CODEC_UNSUPPORTED: info('INVALID_ARGUMENT', 406),
  ICE_SESSION_CHANGED: info('FAILED_PRECONDITION', 412),
  SDP_TIMEOUT: info('DEADLINE_EXCEEDED', 504, true),
  BODY_TOO_LARGE: info('RESOURCE_EXHAUSTED', 413),
  RATE_LIMITED: info('RESOURCE_EXHAUSTED', 429, true),
  AUDIO_FORMAT_INVALID: info('INVALID_ARGUMENT', 400),
  AUDIO_EMPTY: info('INVALID_ARGUMENT', 400),
  AUDIO_TOO_LONG: info('INVALID_ARGUMENT', 400),
  MESSAGE_MALFORMED: info('INVALID_ARGUMENT', 400),
  MESSAGE_VERSION: info('INVALID_ARGUMENT', 400),
  MODEL_INVALID: info('FAILED_PRECONDITION', 500),
  NOT_RECORDED: info('FAILED_PRECONDITION', 409),
  RECORDING_UNAVAILABLE: info('UNAVAILABLE', 503, true),
  TOOL_MISSING: info('FAILED_PRECONDITION', 424),
  DEADLINE_EXCEEDED: info('DEADLINE_EXCEEDED', 504, true),
  CANCELLED: info('CANCELLED', 499),
  INTERNAL: info('INTERNAL', 500),
} as const satisfies Record<string, ReasonInfo>;

export type Reason = keyof typeof REASONS;

export interface MeshErrorOptions {
  readonly cause?: unknown;
  /** Further facts, sent to the caller; must not contain personal data. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Time to wait before a retry, milliseconds. Default for retryable reasons: 1000. */
  readonly retryAfterMs?: number;
}

/**
 * The only error class that crosses a service or library boundary. `message` is for people: what happened, then what to do. Programs
 * compare `reason`.
 */
export class MeshError extends Error {
  override readonly name = 'MeshError';
  readonly reason: Reason;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, options: MeshErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.metadata = options.metadata ?? {};
    this.retryAfterMs = options.retryAfterMs ?? (REASONS[reason].retryable ? 1000 : undefined);
  }

  get retryable(): boolean {
    return REASONS[this.reason].retryable;
  }

  get httpStatus(): number {
    return REASONS[this.reason].http;
  }

  get grpcStatus(): GrpcStatusName {
    return REASONS[this.reason].grpc;
  }

  /** Converts any thrown value. Unknown errors become INTERNAL; their own message stays in `cause`, which is logged but not sent to callers. */
  static from(thrown: unknown): MeshError {
    if (thrown instanceof MeshError) return thrown;
    if (thrown instanceof Error) {
      if (thrown.name === 'AbortError')
        return new MeshError('CANCELLED', 'the request was cancelled', { cause: thrown });
      if (thrown.name === 'TimeoutError')
        return new MeshError('DEADLINE_EXCEEDED', 'the deadline passed', { cause: thrown });
    }
    return new MeshError('INTERNAL', 'internal error', { cause: thrown });
  }
}

/**
 * A message as people read it: it begins with a capital and ends like a sentence. A first word that is a name of the contract, such as
 * `sample_rate_hz`, stays as it is.
 */
export function sentence(message: string): string {
  const begun = /^[a-z]+(?=[\s,;:.!?'’]|$)/.test(message)
    ? message.charAt(0).toUpperCase() + message.slice(1)
    : message;
  return begun === '' || /[.!?…]["')\]]*$/.test(begun) ? begun : `${begun}.`;
}

export function isReason(value: string): value is Reason {
  return Object.hasOwn(REASONS, value);
}
