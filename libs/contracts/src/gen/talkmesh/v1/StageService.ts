// Original file: protos/talkmesh/v1/stage.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CloseRequest as _talkmesh_v1_CloseRequest, CloseRequest__Output as _talkmesh_v1_CloseRequest__Output } from '../../talkmesh/v1/CloseRequest.js';
import type { CloseResponse as _talkmesh_v1_CloseResponse, CloseResponse__Output as _talkmesh_v1_CloseResponse__Output } from '../../talkmesh/v1/CloseResponse.js';
import type { DescribeRequest as _talkmesh_v1_DescribeRequest, DescribeRequest__Output as _talkmesh_v1_DescribeRequest__Output } from '../../talkmesh/v1/DescribeRequest.js';
import type { DescribeResponse as _talkmesh_v1_DescribeResponse, DescribeResponse__Output as _talkmesh_v1_DescribeResponse__Output } from '../../talkmesh/v1/DescribeResponse.js';
import type { DrainRequest as _talkmesh_v1_DrainRequest, DrainRequest__Output as _talkmesh_v1_DrainRequest__Output } from '../../talkmesh/v1/DrainRequest.js';
import type { DrainResponse as _talkmesh_v1_DrainResponse, DrainResponse__Output as _talkmesh_v1_DrainResponse__Output } from '../../talkmesh/v1/DrainResponse.js';
import type { OpenRequest as _talkmesh_v1_OpenRequest, OpenRequest__Output as _talkmesh_v1_OpenRequest__Output } from '../../talkmesh/v1/OpenRequest.js';
import type { OpenResponse as _talkmesh_v1_OpenResponse, OpenResponse__Output as _talkmesh_v1_OpenResponse__Output } from '../../talkmesh/v1/OpenResponse.js';
import type { StatsRequest as _talkmesh_v1_StatsRequest, StatsRequest__Output as _talkmesh_v1_StatsRequest__Output } from '../../talkmesh/v1/StatsRequest.js';
import type { StatsResponse as _talkmesh_v1_StatsResponse, StatsResponse__Output as _talkmesh_v1_StatsResponse__Output } from '../../talkmesh/v1/StatsResponse.js';

export interface StageServiceClient extends grpc.Client {
  Close(argument: _talkmesh_v1_CloseRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CloseResponse__Output>): grpc.ClientUnaryCall;
  Close(argument: _talkmesh_v1_CloseRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_CloseResponse__Output>): grpc.ClientUnaryCall;
  Close(argument: _talkmesh_v1_CloseRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CloseResponse__Output>): grpc.ClientUnaryCall;
  Close(argument: _talkmesh_v1_CloseRequest, callback: grpc.requestCallback<_talkmesh_v1_CloseResponse__Output>): grpc.ClientUnaryCall;
  
  Describe(argument: _talkmesh_v1_DescribeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  Describe(argument: _talkmesh_v1_DescribeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  Describe(argument: _talkmesh_v1_DescribeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  Describe(argument: _talkmesh_v1_DescribeRequest, callback: grpc.requestCallback<_talkmesh_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  describe(argument: _talkmesh_v1_DescribeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  describe(argument: _talkmesh_v1_DescribeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  describe(argument: _talkmesh_v1_DescribeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  describe(argument: _talkmesh_v1_DescribeRequest, callback: grpc.requestCallback<_talkmesh_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  
  Drain(argument: _talkmesh_v1_DrainRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  Drain(argument: _talkmesh_v1_DrainRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  Drain(argument: _talkmesh_v1_DrainRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  Drain(argument: _talkmesh_v1_DrainRequest, callback: grpc.requestCallback<_talkmesh_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  drain(argument: _talkmesh_v1_DrainRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  drain(argument: _talkmesh_v1_DrainRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  drain(argument: _talkmesh_v1_DrainRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  drain(argument: _talkmesh_v1_DrainRequest, callback: grpc.requestCallback<_talkmesh_v1_DrainResponse__Output>): grpc.ClientUnaryCall;
  
  Open(argument: _talkmesh_v1_OpenRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_OpenResponse__Output>): grpc.ClientUnaryCall;
  Open(argument: _talkmesh_v1_OpenRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_OpenResponse__Output>): grpc.ClientUnaryCall;
  Open(argument: _talkmesh_v1_OpenRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_OpenResponse__Output>): grpc.ClientUnaryCall;
  Open(argument: _talkmesh_v1_OpenRequest, callback: grpc.requestCallback<_talkmesh_v1_OpenResponse__Output>): grpc.ClientUnaryCall;
  open(argument: _talkmesh_v1_OpenRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_OpenResponse__Output>): grpc.ClientUnaryCall;
  open(argument: _talkmesh_v1_OpenRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_OpenResponse__Output>): grpc.ClientUnaryCall;
  open(argument: _talkmesh_v1_OpenRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_OpenResponse__Output>): grpc.ClientUnaryCall;
  open(argument: _talkmesh_v1_OpenRequest, callback: grpc.requestCallback<_talkmesh_v1_OpenResponse__Output>): grpc.ClientUnaryCall;
  
  Stats(argument: _talkmesh_v1_StatsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StatsResponse__Output>): grpc.ClientUnaryCall;
  Stats(argument: _talkmesh_v1_StatsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_StatsResponse__Output>): grpc.ClientUnaryCall;
  Stats(argument: _talkmesh_v1_StatsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StatsResponse__Output>): grpc.ClientUnaryCall;
  Stats(argument: _talkmesh_v1_StatsRequest, callback: grpc.requestCallback<_talkmesh_v1_StatsResponse__Output>): grpc.ClientUnaryCall;
  stats(argument: _talkmesh_v1_StatsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StatsResponse__Output>): grpc.ClientUnaryCall;
  stats(argument: _talkmesh_v1_StatsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_StatsResponse__Output>): grpc.ClientUnaryCall;
  stats(argument: _talkmesh_v1_StatsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StatsResponse__Output>): grpc.ClientUnaryCall;
  stats(argument: _talkmesh_v1_StatsRequest, callback: grpc.requestCallback<_talkmesh_v1_StatsResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface StageServiceHandlers extends grpc.UntypedServiceImplementation {
  Close: grpc.handleUnaryCall<_talkmesh_v1_CloseRequest__Output, _talkmesh_v1_CloseResponse>;
  
  Describe: grpc.handleUnaryCall<_talkmesh_v1_DescribeRequest__Output, _talkmesh_v1_DescribeResponse>;
  
  Drain: grpc.handleUnaryCall<_talkmesh_v1_DrainRequest__Output, _talkmesh_v1_DrainResponse>;
  
  Open: grpc.handleUnaryCall<_talkmesh_v1_OpenRequest__Output, _talkmesh_v1_OpenResponse>;
  
  Stats: grpc.handleUnaryCall<_talkmesh_v1_StatsRequest__Output, _talkmesh_v1_StatsResponse>;
  
}

export interface StageServiceDefinition extends grpc.ServiceDefinition {
  Close: MethodDefinition<_talkmesh_v1_CloseRequest, _talkmesh_v1_CloseResponse, _talkmesh_v1_CloseRequest__Output, _talkmesh_v1_CloseResponse__Output>
  Describe: MethodDefinition<_talkmesh_v1_DescribeRequest, _talkmesh_v1_DescribeResponse, _talkmesh_v1_DescribeRequest__Output, _talkmesh_v1_DescribeResponse__Output>
  Drain: MethodDefinition<_talkmesh_v1_DrainRequest, _talkmesh_v1_DrainResponse, _talkmesh_v1_DrainRequest__Output, _talkmesh_v1_DrainResponse__Output>
  Open: MethodDefinition<_talkmesh_v1_OpenRequest, _talkmesh_v1_OpenResponse, _talkmesh_v1_OpenRequest__Output, _talkmesh_v1_OpenResponse__Output>
  Stats: MethodDefinition<_talkmesh_v1_StatsRequest, _talkmesh_v1_StatsResponse, _talkmesh_v1_StatsRequest__Output, _talkmesh_v1_StatsResponse__Output>
}
