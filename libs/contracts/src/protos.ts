import { fileURLToPath } from 'node:url';
import { loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync, type Options, type PackageDefinition } from '@grpc/proto-loader';
import type { ProtoGrpcType as MediaProto } from './gen/media.js';
import type { ProtoGrpcType as PictureProto } from './gen/picture.js';
import type { ProtoGrpcType as SessionProto } from './gen/session.js';
import type { ProtoGrpcType as StageProto } from './gen/stage.js';

export const PROTO_FILES = ['stage', 'media', 'session', 'picture'] as const;
/** Used by the type generator and by the loader. They must agree, otherwise the generated types are wrong. */
export const LOADER_OPTIONS = {
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
  keepCase: false,
} as const satisfies Options;

const protos = fileURLToPath(new URL('../../../protos/', import.meta.url));

/** The parsed .proto files, for gRPC servers, clients and reflection. */
export const packageDefinition: PackageDefinition = loadSync(
  PROTO_FILES.map((name) => `talkmesh/v1/${name}.proto`),
  { ...LOADER_OPTIONS, includeDirs: [protos] },
);

type V1 = StageProto['talkmesh']['v1'] &
  MediaProto['talkmesh']['v1'] &
  SessionProto['talkmesh']['v1'] &
  PictureProto['talkmesh']['v1'];
/** Service client constructors (and their `.service` definitions) of talkmesh.v1. */
export const v1 = (loadPackageDefinition(packageDefinition) as unknown as { talkmesh: { v1: V1 } }).talkmesh.v1;
