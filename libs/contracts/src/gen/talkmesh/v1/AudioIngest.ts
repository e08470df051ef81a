// Original file: protos/talkmesh/v1/media.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { StreamAudioRequest as _talkmesh_v1_StreamAudioRequest, StreamAudioRequest__Output as _talkmesh_v1_StreamAudioRequest__Output } from '../../talkmesh/v1/StreamAudioRequest.js';
import type { StreamAudioResponse as _talkmesh_v1_StreamAudioResponse, StreamAudioResponse__Output as _talkmesh_v1_StreamAudioResponse__Output } from '../../talkmesh/v1/StreamAudioResponse.js';

export interface AudioIngestClient extends grpc.Client {
  StreamAudio(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StreamAudioResponse__Output>): grpc.ClientWritableStream<_talkmesh_v1_StreamAudioRequest>;
  StreamAudio(metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_StreamAudioResponse__Output>): grpc.ClientWritableStream<_talkmesh_v1_StreamAudioRequest>;
  StreamAudio(options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StreamAudioResponse__Output>): grpc.ClientWritableStream<_talkmesh_v1_StreamAudioRequest>;
  StreamAudio(callback: grpc.requestCallback<_talkmesh_v1_StreamAudioResponse__Output>): grpc.ClientWritableStream<_talkmesh_v1_StreamAudioRequest>;
  streamAudio(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StreamAudioResponse__Output>): grpc.ClientWritableStream<_talkmesh_v1_StreamAudioRequest>;
  streamAudio(metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_StreamAudioResponse__Output>): grpc.ClientWritableStream<_talkmesh_v1_StreamAudioRequest>;
  streamAudio(options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StreamAudioResponse__Output>): grpc.ClientWritableStream<_talkmesh_v1_StreamAudioRequest>;
  streamAudio(callback: grpc.requestCallback<_talkmesh_v1_StreamAudioResponse__Output>): grpc.ClientWritableStream<_talkmesh_v1_StreamAudioRequest>;
  
}

export interface AudioIngestHandlers extends grpc.UntypedServiceImplementation {
  StreamAudio: grpc.handleClientStreamingCall<_talkmesh_v1_StreamAudioRequest__Output, _talkmesh_v1_StreamAudioResponse>;
  
}

export interface AudioIngestDefinition extends grpc.ServiceDefinition {
  StreamAudio: MethodDefinition<_talkmesh_v1_StreamAudioRequest, _talkmesh_v1_StreamAudioResponse, _talkmesh_v1_StreamAudioRequest__Output, _talkmesh_v1_StreamAudioResponse__Output>
}
