import { channel } from 'node:diagnostics_channel';
import {
  Channel,
  type ChannelCredentials,
  type ChannelInterface,
  type ChannelOptions,
  Client,
  type ClientOptions,
  connectivityState,
  type handleUnaryCall,
  Metadata,
  type ServiceDefinition,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { type Context, SpanKind } from '@opentelemetry/api';
import { isReason, MeshError, type Reason, sentence } from '@talkmesh/contracts';
import { extractFromMetadata, injectIntoMetadata } from '../telemetry/carriers.js';
import { edgeTrace, type SpanOptions, tracingEnabled, withSpan } from '../telemetry/spans.js';
import { type ClientSecurity, PLAIN_CLIENT } from './security.js';
import { decodeStatusDetails, encodeStatusDetails } from './status-details.js';

/** A gRPC service that a process serves. */
export interface GrpcServiceImpl {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

export const MAX_GRPC_MESSAGE_BYTES = 4 * 1024 * 1024;
const KEEPALIVE_MS = 20_000;
/** Error messages are cut to this length, because the size of HTTP/2 trailers is limited. */
const MAX_DETAIL_CHARACTERS = 1000;
const REASON_KEY = 'talkmesh-reason';
const DETAILS_KEY = 'grpc-status-details-bin';

/** Channel and server options of every connection in the mesh. */
export const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': MAX_GRPC_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_GRPC_MESSAGE_BYTES,
  'grpc.keepalive_time_ms': KEEPALIVE_MS,
  'grpc.keepalive_timeout_ms': 5000,
} as const satisfies ChannelOptions;

/** Options of clients, which reconnect within 2 s. */
const CLIENT_OPTIONS = {
  ...CHANNEL_OPTIONS,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2000,
} as const satisfies ChannelOptions;

/** Diagnostics channel with an RpcFailure for every RPC whose handler failed; the service process logs them. */
export const rpcErrors = channel('talkmesh:rpc-error');
export interface RpcFailure {
  readonly path: string;
  readonly error: MeshError;
}

export interface UnaryCall {
  /** Aborted when the caller cancels or disconnects, or its deadline passes. */
  readonly signal: AbortSignal;
  readonly metadata: Metadata;
}

export interface PublicCall<P> extends UnaryCall {
  /** The authenticated caller. */
  readonly principal: P;
}

/** Who calls a public method. */
export interface IdentifiedCaller<P> {
  readonly principal: P;
  /** Whether the trace that the caller names is continued; otherwise it is linked. */
  readonly continuesTrace: boolean;
}

type SpanPlace = Pick<SpanOptions, 'parent' | 'links'>;
type InSpan = <T>(place: (caller: Context) => SpanPlace, fn: () => T) => T;

/** Wraps an async handler for grpc-js. When it throws, the caller receives the status with ErrorInfo and RetryInfo (google.rpc). */
export function unary<Req, Res>(handler: (request: Req, call: UnaryCall) => Promise<Res>): handleUnaryCall<Req, Res> {
  return answering((request, call, inSpan) =>
    inSpan(
      (parent) => ({ parent }),
      () => handler(request, call),
    ),
  );
}

/**
 * As `unary`, for a method that programs outside the mesh call. The caller is identified before its span begins, because this decides
 * whether its trace is continued; a caller that is refused has no span.
 */
export function publicUnary<Req, Res, P>(
  identify: (metadata: Metadata) => Promise<IdentifiedCaller<P>>,
  handler: (request: Req, call: PublicCall<P>) => Promise<Res>,
): handleUnaryCall<Req, Res> {
  return answering(async (request, call, inSpan) => {
    const { principal, continuesTrace } = await identify(call.metadata);
    const place = (caller: Context): SpanPlace => edgeTrace(caller, continuesTrace);
    return inSpan(place, () => handler(request, { ...call, principal }));
  });
}

function answering<Req, Res>(
  run: (request: Req, call: UnaryCall, inSpan: InSpan) => Promise<Res>,
): handleUnaryCall<Req, Res> {
  return (call, callback) => {
    const abort = new AbortController();
    call.on('cancelled', () => abort.abort(new DOMException('the caller cancelled', 'AbortError')));
    const path = call.getPath();
    const inSpan: InSpan = (place, fn) => {
      if (!tracingEnabled()) return fn();
      const options = { kind: SpanKind.SERVER, ...place(extractFromMetadata(call.metadata)) };
      return withSpan(path.slice(1), { 'rpc.system': 'grpc' }, fn, options);
    };
    Promise.resolve()
      .then(() => run(call.request, { signal: abort.signal, metadata: call.metadata }, inSpan))
      .then(
        (response) => callback(null, response),
        (thrown: unknown) => {
          rpcErrors.publish({ path, error: MeshError.from(thrown) } satisfies RpcFailure);
          callback(toServiceError(thrown));
        },
      );
  };
}

export interface CallOptions {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Metadata;
}

type UnaryMethod = (
  request: unknown,
  metadata: Metadata,
  options: { deadline: number },
  callback: (error: ServiceError | null, response: unknown) => void,
) => { cancel(): void };

/**
 * Calls a unary method and waits at most `deadlineMs`.
 * @throws MeshError with the server's reason; PEER_LOST when the server is unreachable; DEADLINE_EXCEEDED; CANCELLED
 */
export async function callUnary<Req, Res>(
  client: Client,
  method: string,
  request: Req,
  options: CallOptions,
): Promise<Res> {
  const call = (client as unknown as Record<string, UnaryMethod | undefined>)[method];
  if (typeof call !== 'function') throw new TypeError(`the client has no method ${method}`);
  const { signal } = options;
  if (signal?.aborted) throw MeshError.from(signal.reason);
  const run = () =>
    new Promise<Res>((resolve, reject) => {
      const metadata = options.metadata?.clone() ?? new Metadata();
      if (tracingEnabled()) injectIntoMetadata(metadata);
      const onAbort = () => active.cancel();
      const active = call.call(
        client,
        request,
        metadata,
        { deadline: Date.now() + options.deadlineMs },
        (error, response) => {
          signal?.removeEventListener('abort', onAbort);
          if (error === null) resolve(response as Res);
          else reject(signal?.aborted ? MeshError.from(signal.reason) : fromServiceError(error));
        },
      );
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  return tracingEnabled()
    ? withSpan(`call ${method}`, { 'rpc.system': 'grpc' }, run, { kind: SpanKind.CLIENT })
    : run();
}

/**
 * Converts any thrown value into the error that grpc-js accepts in a callback or in `call.emit('error', ...)`. Unknown errors become
 * INTERNAL, without their message.
 */
export function toServiceError(thrown: unknown): ServiceError {
  const error = MeshError.from(thrown);
  const message = sentence(error.message).slice(0, MAX_DETAIL_CHARACTERS);
  const metadata = new Metadata();
  const details = {
    code: status[error.grpcStatus],
    message,
    reason: error.reason,
    metadata: error.metadata,
    retryAfterMs: error.retryAfterMs,
  };
  metadata.set(DETAILS_KEY, Buffer.from(encodeStatusDetails(details)));
  metadata.set(REASON_KEY, error.reason);
  return Object.assign(new Error(message), { code: status[error.grpcStatus], details: message, metadata });
}

/** Reasons for a status without details: the peer is not a talkmesh service, or grpc-js produced the status itself. */
const REASON_OF_STATUS: Partial<Record<status, Reason>> = {
  [status.UNAVAILABLE]: 'PEER_LOST',
  [status.DEADLINE_EXCEEDED]: 'DEADLINE_EXCEEDED',
  [status.CANCELLED]: 'CANCELLED',
  [status.RESOURCE_EXHAUSTED]: 'BODY_TOO_LARGE',
  [status.INVALID_ARGUMENT]: 'ARGUMENT_INVALID',
  [status.NOT_FOUND]: 'NOT_FOUND',
  [status.ALREADY_EXISTS]: 'SESSION_EXISTS',
  [status.PERMISSION_DENIED]: 'PERMISSION_DENIED',
  [status.UNAUTHENTICATED]: 'TOKEN_INVALID',
};

/** Restores the MeshError that a server threw from the trailers in the error of grpc-js. */
export function fromServiceError(thrown: unknown): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const error = thrown as Partial<ServiceError> | undefined;
  if (typeof error?.code !== 'number') return MeshError.from(thrown);
  const raw = error.metadata?.get(DETAILS_KEY)[0];
  const details = raw instanceof Uint8Array ? decodeStatusDetails(raw) : undefined;
  const plain = error.metadata?.get(REASON_KEY)[0];
  const name = details?.reason ?? (typeof plain === 'string' ? plain : '');
  const reason = isReason(name) ? name : (REASON_OF_STATUS[error.code] ?? 'INTERNAL');
  return new MeshError(reason, details?.message ?? error.details ?? 'the call failed', {
    cause: thrown,
    ...(details && { metadata: details.metadata }),
    ...(details?.retryAfterMs !== undefined && { retryAfterMs: details.retryAfterMs }),
  });
}

/** Constructor of a service client, as in `v1` of @talkmesh/contracts. */
export type ClientConstructor<T extends Client> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: ClientOptions,
) => T;

/** Creates a client with the mesh's limits and keepalive, which reconnects within 2 s. `more` overrides options. End it with `closeClient`. */
export function connectClient<T extends Client>(
  Ctor: ClientConstructor<T>,
  address: string,
  security: ClientSecurity = PLAIN_CLIENT,
  more: ChannelOptions = {},
): T {
  const { credentials, interceptors, options } = security;
  return new Ctor(address, credentials, { ...CLIENT_OPTIONS, ...options, ...more, interceptors: [...interceptors] });
}

/** One connection to a peer for the clients of several services. It is not pooled with other connections, so `failed` is about this one only. */
export class PeerConnection {
  readonly #address: string;
  readonly #channel: ChannelInterface;

  readonly #security: ClientSecurity;

  constructor(address: string, security: ClientSecurity = PLAIN_CLIENT) {
    this.#address = address;
    this.#security = security;
    const options = { ...CLIENT_OPTIONS, ...security.options, 'grpc.use_local_subchannel_pool': 1 };
    this.#channel = new Channel(address, security.credentials, options);
  }

  client<T extends Client>(Ctor: ClientConstructor<T>): T {
    const { credentials, interceptors } = this.#security;
    return new Ctor(this.#address, credentials, { channelOverride: this.#channel, interceptors: [...interceptors] });
  }

  /** True when the last attempt to connect has failed. Calls fail at once until a later attempt, after the back-off, succeeds. */
  get failed(): boolean {
    return this.#channel.getConnectivityState(false) === connectivityState.TRANSIENT_FAILURE;
  }

  /** Closes the connection to new calls; running calls still finish. */
  close(): void {
    this.#channel.close();
  }
}

/** Closes a client's connection. Use it instead of `client.close()`, which on a StageService client is the RPC Close. */
export function closeClient(client: Client): void {
  Client.prototype.close.call(client);
}
