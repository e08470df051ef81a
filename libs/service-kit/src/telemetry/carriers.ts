import type { IncomingHttpHeaders } from 'node:http';
import type { Metadata } from '@grpc/grpc-js';
import type { MsgHdrs } from '@nats-io/transport-node';
import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type TextMapGetter,
  type TextMapSetter,
} from '@opentelemetry/api';

const natsSetter: TextMapSetter<MsgHdrs> = { set: (carrier, key, value) => carrier.set(key, value) };
const natsGetter: TextMapGetter<MsgHdrs> = {
  keys: (carrier) => carrier.keys(),
  get: (carrier, key) => (carrier.has(key) ? carrier.get(key) : undefined),
};
const grpcSetter: TextMapSetter<Metadata> = { set: (carrier, key, value) => carrier.set(key, value) };
const grpcGetter: TextMapGetter<Metadata> = {
  keys: (carrier) => Object.keys(carrier.getMap()),
  get: (carrier, key) => carrier.get(key).map(String),
};

const httpGetter: TextMapGetter<IncomingHttpHeaders> = {
  keys: (carrier) => Object.keys(carrier),
  get: (carrier, key) => carrier[key],
};

/** Reads the W3C trace context that a program sends with an HTTP request; an empty one when it sends none. */
export const extractFromHttp = (headers: IncomingHttpHeaders): Context =>
  propagation.extract(ROOT_CONTEXT, headers, httpGetter);
/** Writes the W3C trace context of the active span into NATS headers. */
export const injectIntoHeaders = (headers: MsgHdrs): void => propagation.inject(context.active(), headers, natsSetter);
/** Reads the sender's trace context; an empty one when the headers contain none. */
export const extractFromHeaders = (headers: MsgHdrs): Context => propagation.extract(ROOT_CONTEXT, headers, natsGetter);
/** Writes the W3C trace context of the active span into gRPC metadata. */
export const injectIntoMetadata = (metadata: Metadata): void =>
  propagation.inject(context.active(), metadata, grpcSetter);
/** Reads the caller's trace context; an empty one when the metadata contain none. */
export const extractFromMetadata = (metadata: Metadata): Context =>
  propagation.extract(ROOT_CONTEXT, metadata, grpcGetter);
