// Original file: protos/talkmesh/v1/media.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ChangeIceRequest as _talkmesh_v1_ChangeIceRequest, ChangeIceRequest__Output as _talkmesh_v1_ChangeIceRequest__Output } from '../../talkmesh/v1/ChangeIceRequest.js';
import type { ChangeIceResponse as _talkmesh_v1_ChangeIceResponse, ChangeIceResponse__Output as _talkmesh_v1_ChangeIceResponse__Output } from '../../talkmesh/v1/ChangeIceResponse.js';
import type { HangupRequest as _talkmesh_v1_HangupRequest, HangupRequest__Output as _talkmesh_v1_HangupRequest__Output } from '../../talkmesh/v1/HangupRequest.js';
import type { HangupResponse as _talkmesh_v1_HangupResponse, HangupResponse__Output as _talkmesh_v1_HangupResponse__Output } from '../../talkmesh/v1/HangupResponse.js';
import type { OfferRequest as _talkmesh_v1_OfferRequest, OfferRequest__Output as _talkmesh_v1_OfferRequest__Output } from '../../talkmesh/v1/OfferRequest.js';
import type { OfferResponse as _talkmesh_v1_OfferResponse, OfferResponse__Output as _talkmesh_v1_OfferResponse__Output } from '../../talkmesh/v1/OfferResponse.js';

export interface SignallingServiceClient extends grpc.Client {
  ChangeIce(argument: _talkmesh_v1_ChangeIceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ChangeIceResponse__Output>): grpc.ClientUnaryCall;
  ChangeIce(argument: _talkmesh_v1_ChangeIceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_ChangeIceResponse__Output>): grpc.ClientUnaryCall;
  ChangeIce(argument: _talkmesh_v1_ChangeIceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ChangeIceResponse__Output>): grpc.ClientUnaryCall;
  ChangeIce(argument: _talkmesh_v1_ChangeIceRequest, callback: grpc.requestCallback<_talkmesh_v1_ChangeIceResponse__Output>): grpc.ClientUnaryCall;
  changeIce(argument: _talkmesh_v1_ChangeIceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ChangeIceResponse__Output>): grpc.ClientUnaryCall;
  changeIce(argument: _talkmesh_v1_ChangeIceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_ChangeIceResponse__Output>): grpc.ClientUnaryCall;
  changeIce(argument: _talkmesh_v1_ChangeIceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ChangeIceResponse__Output>): grpc.ClientUnaryCall;
  changeIce(argument: _talkmesh_v1_ChangeIceRequest, callback: grpc.requestCallback<_talkmesh_v1_ChangeIceResponse__Output>): grpc.ClientUnaryCall;
  
  Hangup(argument: _talkmesh_v1_HangupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_HangupResponse__Output>): grpc.ClientUnaryCall;
  Hangup(argument: _talkmesh_v1_HangupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_HangupResponse__Output>): grpc.ClientUnaryCall;
  Hangup(argument: _talkmesh_v1_HangupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_HangupResponse__Output>): grpc.ClientUnaryCall;
  Hangup(argument: _talkmesh_v1_HangupRequest, callback: grpc.requestCallback<_talkmesh_v1_HangupResponse__Output>): grpc.ClientUnaryCall;
  hangup(argument: _talkmesh_v1_HangupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_HangupResponse__Output>): grpc.ClientUnaryCall;
  hangup(argument: _talkmesh_v1_HangupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_HangupResponse__Output>): grpc.ClientUnaryCall;
  hangup(argument: _talkmesh_v1_HangupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_HangupResponse__Output>): grpc.ClientUnaryCall;
  hangup(argument: _talkmesh_v1_HangupRequest, callback: grpc.requestCallback<_talkmesh_v1_HangupResponse__Output>): grpc.ClientUnaryCall;
  
  Offer(argument: _talkmesh_v1_OfferRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_OfferResponse__Output>): grpc.ClientUnaryCall;
  Offer(argument: _talkmesh_v1_OfferRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_OfferResponse__Output>): grpc.ClientUnaryCall;
  Offer(argument: _talkmesh_v1_OfferRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_OfferResponse__Output>): grpc.ClientUnaryCall;
  Offer(argument: _talkmesh_v1_OfferRequest, callback: grpc.requestCallback<_talkmesh_v1_OfferResponse__Output>): grpc.ClientUnaryCall;
  offer(argument: _talkmesh_v1_OfferRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_OfferResponse__Output>): grpc.ClientUnaryCall;
  offer(argument: _talkmesh_v1_OfferRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_OfferResponse__Output>): grpc.ClientUnaryCall;
  offer(argument: _talkmesh_v1_OfferRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_OfferResponse__Output>): grpc.ClientUnaryCall;
  offer(argument: _talkmesh_v1_OfferRequest, callback: grpc.requestCallback<_talkmesh_v1_OfferResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface SignallingServiceHandlers extends grpc.UntypedServiceImplementation {
  ChangeIce: grpc.handleUnaryCall<_talkmesh_v1_ChangeIceRequest__Output, _talkmesh_v1_ChangeIceResponse>;
  
  Hangup: grpc.handleUnaryCall<_talkmesh_v1_HangupRequest__Output, _talkmesh_v1_HangupResponse>;
  
  Offer: grpc.handleUnaryCall<_talkmesh_v1_OfferRequest__Output, _talkmesh_v1_OfferResponse>;
  
}

export interface SignallingServiceDefinition extends grpc.ServiceDefinition {
  ChangeIce: MethodDefinition<_talkmesh_v1_ChangeIceRequest, _talkmesh_v1_ChangeIceResponse, _talkmesh_v1_ChangeIceRequest__Output, _talkmesh_v1_ChangeIceResponse__Output>
  Hangup: MethodDefinition<_talkmesh_v1_HangupRequest, _talkmesh_v1_HangupResponse, _talkmesh_v1_HangupRequest__Output, _talkmesh_v1_HangupResponse__Output>
  Offer: MethodDefinition<_talkmesh_v1_OfferRequest, _talkmesh_v1_OfferResponse, _talkmesh_v1_OfferRequest__Output, _talkmesh_v1_OfferResponse__Output>
}
