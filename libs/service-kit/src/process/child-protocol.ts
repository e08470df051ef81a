import { isReason, MeshError } from '@talkmesh/contracts';

/** A MeshError as it is sent between processes. */
export interface WireError {
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export type ToChild<In> =
  | { readonly kind: 'message'; readonly message: In }
  | { readonly kind: 'request'; readonly id: number; readonly message: In };

export type FromChild<Out, Ev> =
  | { readonly kind: 'up' }
  | { readonly kind: 'event'; readonly event: Ev }
  | { readonly kind: 'reply'; readonly id: number; readonly reply: Out }
  | { readonly kind: 'error'; readonly id: number; readonly error: WireError };

/** Keeps the message of an unknown error, unlike gRPC, because both processes belong to the same service. */
export function meshErrorToWire(thrown: unknown): WireError {
  const error = MeshError.from(thrown);
  const message = error.reason === 'INTERNAL' && thrown instanceof Error ? thrown.message : error.message;
  return { reason: error.reason, message, metadata: error.metadata };
}

export function meshErrorFromWire(error: WireError): MeshError {
  return new MeshError(isReason(error.reason) ? error.reason : 'INTERNAL', error.message, { metadata: error.metadata });
}
