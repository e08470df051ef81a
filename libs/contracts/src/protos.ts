import { fileURLToPath } from 'node:url';
import { loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync, type Options, type PackageDefinition } from '@grpc/proto-loader';
import type { ProtoGrpcType as MediaProto } from './gen/media.js';
import type { ProtoGrpcType as PictureProto } from './gen/picture.js';
import type { ProtoGrpcType as SessionProto } from './gen/session.js';
import type { ProtoGrpcType as StageProto } from './gen/stage.js';

export const PROTO_FILES = ['stage', 'media', 'session', 'picture'] as const;
/** The generator and the loader must agree on these, or the types lie. */
export const LOADER_OPTIONS = {
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
  keepCase: false,
} as const satisfies Options;

const directory = fileURLToPath(new URL('../../../protos/talkmesh/v1/', import.meta.url));

/** Parsed .proto files: for grpc-js servers, clients and reflection. */
export const packageDefinition: PackageDefinition = loadSync(
  PROTO_FILES.map((name) => `${directory}${name}.proto`),
  LOADER_OPTIONS,
);

type V1 = StageProto['talkmesh']['v1'] &
  MediaProto['talkmesh']['v1'] &
  SessionProto['talkmesh']['v1'] &
  PictureProto['talkmesh']['v1'];
/** Service client constructors (and their `.service` definitions) of talkmesh.v1. */
export const v1 = (loadPackageDefinition(packageDefinition) as unknown as { talkmesh: { v1: V1 } }).talkmesh.v1;
