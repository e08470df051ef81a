// Original file: protos/talkmesh/v1/picture.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { InspectPictureRequest as _talkmesh_v1_InspectPictureRequest, InspectPictureRequest__Output as _talkmesh_v1_InspectPictureRequest__Output } from '../../talkmesh/v1/InspectPictureRequest.js';
import type { InspectPictureResponse as _talkmesh_v1_InspectPictureResponse, InspectPictureResponse__Output as _talkmesh_v1_InspectPictureResponse__Output } from '../../talkmesh/v1/InspectPictureResponse.js';

export interface PictureServiceClient extends grpc.Client {
  InspectPicture(argument: _talkmesh_v1_InspectPictureRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InspectPictureResponse__Output>): grpc.ClientUnaryCall;
  InspectPicture(argument: _talkmesh_v1_InspectPictureRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_InspectPictureResponse__Output>): grpc.ClientUnaryCall;
  InspectPicture(argument: _talkmesh_v1_InspectPictureRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InspectPictureResponse__Output>): grpc.ClientUnaryCall;
  InspectPicture(argument: _talkmesh_v1_InspectPictureRequest, callback: grpc.requestCallback<_talkmesh_v1_InspectPictureResponse__Output>): grpc.ClientUnaryCall;
  inspectPicture(argument: _talkmesh_v1_InspectPictureRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InspectPictureResponse__Output>): grpc.ClientUnaryCall;
  inspectPicture(argument: _talkmesh_v1_InspectPictureRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_InspectPictureResponse__Output>): grpc.ClientUnaryCall;
  inspectPicture(argument: _talkmesh_v1_InspectPictureRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InspectPictureResponse__Output>): grpc.ClientUnaryCall;
  inspectPicture(argument: _talkmesh_v1_InspectPictureRequest, callback: grpc.requestCallback<_talkmesh_v1_InspectPictureResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface PictureServiceHandlers extends grpc.UntypedServiceImplementation {
  InspectPicture: grpc.handleUnaryCall<_talkmesh_v1_InspectPictureRequest__Output, _talkmesh_v1_InspectPictureResponse>;
  
}

export interface PictureServiceDefinition extends grpc.ServiceDefinition {
  InspectPicture: MethodDefinition<_talkmesh_v1_InspectPictureRequest, _talkmesh_v1_InspectPictureResponse, _talkmesh_v1_InspectPictureRequest__Output, _talkmesh_v1_InspectPictureResponse__Output>
}
