// Original file: protos/talkmesh/v1/media.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { RecordRequest as _talkmesh_v1_RecordRequest, RecordRequest__Output as _talkmesh_v1_RecordRequest__Output } from '../../talkmesh/v1/RecordRequest.js';
import type { RecordedFrame as _talkmesh_v1_RecordedFrame, RecordedFrame__Output as _talkmesh_v1_RecordedFrame__Output } from '../../talkmesh/v1/RecordedFrame.js';

export interface RecordServiceClient extends grpc.Client {
  Record(argument: _talkmesh_v1_RecordRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_talkmesh_v1_RecordedFrame__Output>;
  Record(argument: _talkmesh_v1_RecordRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_talkmesh_v1_RecordedFrame__Output>;
  record(argument: _talkmesh_v1_RecordRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_talkmesh_v1_RecordedFrame__Output>;
  record(argument: _talkmesh_v1_RecordRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_talkmesh_v1_RecordedFrame__Output>;
  
}

export interface RecordServiceHandlers extends grpc.UntypedServiceImplementation {
  Record: grpc.handleServerStreamingCall<_talkmesh_v1_RecordRequest__Output, _talkmesh_v1_RecordedFrame>;
  
}

export interface RecordServiceDefinition extends grpc.ServiceDefinition {
  Record: MethodDefinition<_talkmesh_v1_RecordRequest, _talkmesh_v1_RecordedFrame, _talkmesh_v1_RecordRequest__Output, _talkmesh_v1_RecordedFrame__Output>
}
