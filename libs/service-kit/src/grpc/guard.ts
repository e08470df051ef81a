import {
  type MethodDefinition,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { MeshError } from '@talkmesh/contracts';
import { MAX_GRPC_MESSAGE_BYTES, toServiceError } from './grpc.js';
import type { ServerSecurity } from './security.js';

/** Largest message that a method receives, bytes: enough for 64 KiB of audio or an SDP offer. */
const RECEIVE_BYTES = 128 * 1024;
/** Methods that receive larger messages. */
const LARGE: Readonly<Record<string, number>> = {
  '/talkmesh.v1.PictureService/InspectPicture': MAX_GRPC_MESSAGE_BYTES,
};
/** A unary call whose caller set no deadline ends after this time, milliseconds. */
const UNARY_MS = 60_000;
/** Probes must work without a secret. The service tells no more than whether the process is ready. */
const HEALTH = '/grpc.health.v1.Health/';

export const receiveLimitOf = (path: string): number => LARGE[path] ?? RECEIVE_BYTES;

/** Stands for a message that was too large to be decoded. */
class TooLarge {
  readonly bytes: number;

  constructor(bytes: number) {
    this.bytes = bytes;
  }
}

/** The definition of a service whose messages are decoded only up to the limit of their method. */
export function withReceiveLimits(definition: ServiceDefinition): ServiceDefinition {
  const limited = Object.entries(definition).map(([name, method]) => [name, limit(method)] as const);
  return Object.fromEntries(limited);
}

function limit(method: MethodDefinition<unknown, unknown>): MethodDefinition<unknown, unknown> {
  const most = receiveLimitOf(method.path);
  const decode = method.requestDeserialize;
  return {
    ...method,
    requestDeserialize: (bytes) => (bytes.byteLength > most ? new TooLarge(bytes.byteLength) : decode(bytes)),
  };
}

/** Refuses callers before a handler starts and before a message is read; then messages that are too large, and calls that take too long. */
export function guardCalls(security: ServerSecurity): ServerInterceptor {
  return (method, call) => {
    let timer: NodeJS.Timeout | undefined;
    const end = (error: MeshError): void => {
      clearTimeout(timer);
      const { code, details, metadata } = toServiceError(error);
      call.sendStatus({ code, details, metadata });
    };
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, forward) => {
            const isProbe = method.path.startsWith(HEALTH);
            const refusal = isProbe ? undefined : security.refusal(metadata, call.getAuthContext().sslPeerCertificate);
            if (refusal !== undefined) return end(refusal);
            const isUnary = !method.requestStream && !method.responseStream;
            if (isUnary && call.getDeadline() === Number.POSITIVE_INFINITY)
              timer = setTimeout(
                () => end(new MeshError('DEADLINE_EXCEEDED', `the call took longer than ${UNARY_MS / 1000} s`)),
                UNARY_MS,
              ).unref();
            forward(metadata);
          },
          onReceiveMessage: (message, forward) => {
            if (!(message instanceof TooLarge)) return forward(message);
            const most = receiveLimitOf(method.path);
            end(
              new MeshError('BODY_TOO_LARGE', `the message has ${message.bytes} bytes, at most ${most} are accepted`),
            );
          },
          onCancel: () => clearTimeout(timer),
        }),
      sendStatus: (status, forward) => {
        clearTimeout(timer);
        forward(status);
      },
    });
  };
}
