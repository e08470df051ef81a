// Original file: protos/talkmesh/v1/media.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { InterruptRequest as _talkmesh_v1_InterruptRequest, InterruptRequest__Output as _talkmesh_v1_InterruptRequest__Output } from '../../talkmesh/v1/InterruptRequest.js';
import type { InterruptResponse as _talkmesh_v1_InterruptResponse, InterruptResponse__Output as _talkmesh_v1_InterruptResponse__Output } from '../../talkmesh/v1/InterruptResponse.js';
import type { SayRequest as _talkmesh_v1_SayRequest, SayRequest__Output as _talkmesh_v1_SayRequest__Output } from '../../talkmesh/v1/SayRequest.js';
import type { SayResponse as _talkmesh_v1_SayResponse, SayResponse__Output as _talkmesh_v1_SayResponse__Output } from '../../talkmesh/v1/SayResponse.js';

export interface ConversationServiceClient extends grpc.Client {
  Interrupt(argument: _talkmesh_v1_InterruptRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  Interrupt(argument: _talkmesh_v1_InterruptRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  Interrupt(argument: _talkmesh_v1_InterruptRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  Interrupt(argument: _talkmesh_v1_InterruptRequest, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  interrupt(argument: _talkmesh_v1_InterruptRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  interrupt(argument: _talkmesh_v1_InterruptRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  interrupt(argument: _talkmesh_v1_InterruptRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  interrupt(argument: _talkmesh_v1_InterruptRequest, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  
  Say(argument: _talkmesh_v1_SayRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  Say(argument: _talkmesh_v1_SayRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  Say(argument: _talkmesh_v1_SayRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  Say(argument: _talkmesh_v1_SayRequest, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  say(argument: _talkmesh_v1_SayRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  say(argument: _talkmesh_v1_SayRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  say(argument: _talkmesh_v1_SayRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  say(argument: _talkmesh_v1_SayRequest, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface ConversationServiceHandlers extends grpc.UntypedServiceImplementation {
  Interrupt: grpc.handleUnaryCall<_talkmesh_v1_InterruptRequest__Output, _talkmesh_v1_InterruptResponse>;
  
  Say: grpc.handleUnaryCall<_talkmesh_v1_SayRequest__Output, _talkmesh_v1_SayResponse>;
  
}

export interface ConversationServiceDefinition extends grpc.ServiceDefinition {
  Interrupt: MethodDefinition<_talkmesh_v1_InterruptRequest, _talkmesh_v1_InterruptResponse, _talkmesh_v1_InterruptRequest__Output, _talkmesh_v1_InterruptResponse__Output>
  Say: MethodDefinition<_talkmesh_v1_SayRequest, _talkmesh_v1_SayResponse, _talkmesh_v1_SayRequest__Output, _talkmesh_v1_SayResponse__Output>
}
