// Original file: protos/talkmesh/v1/media.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AvatarRequest as _talkmesh_v1_AvatarRequest, AvatarRequest__Output as _talkmesh_v1_AvatarRequest__Output } from '../../talkmesh/v1/AvatarRequest.js';
import type { AvatarResponse as _talkmesh_v1_AvatarResponse, AvatarResponse__Output as _talkmesh_v1_AvatarResponse__Output } from '../../talkmesh/v1/AvatarResponse.js';

export interface AvatarServiceClient extends grpc.Client {
  Connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_talkmesh_v1_AvatarRequest, _talkmesh_v1_AvatarResponse__Output>;
  Connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_talkmesh_v1_AvatarRequest, _talkmesh_v1_AvatarResponse__Output>;
  connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_talkmesh_v1_AvatarRequest, _talkmesh_v1_AvatarResponse__Output>;
  connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_talkmesh_v1_AvatarRequest, _talkmesh_v1_AvatarResponse__Output>;
  
}

export interface AvatarServiceHandlers extends grpc.UntypedServiceImplementation {
  Connect: grpc.handleBidiStreamingCall<_talkmesh_v1_AvatarRequest__Output, _talkmesh_v1_AvatarResponse>;
  
}

export interface AvatarServiceDefinition extends grpc.ServiceDefinition {
  Connect: MethodDefinition<_talkmesh_v1_AvatarRequest, _talkmesh_v1_AvatarResponse, _talkmesh_v1_AvatarRequest__Output, _talkmesh_v1_AvatarResponse__Output>
}
