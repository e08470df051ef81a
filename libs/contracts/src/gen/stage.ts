import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { BridgeOptions as _talkmesh_v1_BridgeOptions, BridgeOptions__Output as _talkmesh_v1_BridgeOptions__Output } from './talkmesh/v1/BridgeOptions.js';
import type { CallRecording as _talkmesh_v1_CallRecording, CallRecording__Output as _talkmesh_v1_CallRecording__Output } from './talkmesh/v1/CallRecording.js';
import type { CloseRequest as _talkmesh_v1_CloseRequest, CloseRequest__Output as _talkmesh_v1_CloseRequest__Output } from './talkmesh/v1/CloseRequest.js';
import type { CloseResponse as _talkmesh_v1_CloseResponse, CloseResponse__Output as _talkmesh_v1_CloseResponse__Output } from './talkmesh/v1/CloseResponse.js';
import type { DecodeOptions as _talkmesh_v1_DecodeOptions, DecodeOptions__Output as _talkmesh_v1_DecodeOptions__Output } from './talkmesh/v1/DecodeOptions.js';
import type { DescribeRequest as _talkmesh_v1_DescribeRequest, DescribeRequest__Output as _talkmesh_v1_DescribeRequest__Output } from './talkmesh/v1/DescribeRequest.js';
import type { DescribeResponse as _talkmesh_v1_DescribeResponse, DescribeResponse__Output as _talkmesh_v1_DescribeResponse__Output } from './talkmesh/v1/DescribeResponse.js';
import type { Disclosure as _talkmesh_v1_Disclosure, Disclosure__Output as _talkmesh_v1_Disclosure__Output } from './talkmesh/v1/Disclosure.js';
import type { DrainRequest as _talkmesh_v1_DrainRequest, DrainRequest__Output as _talkmesh_v1_DrainRequest__Output } from './talkmesh/v1/DrainRequest.js';
import type { DrainResponse as _talkmesh_v1_DrainResponse, DrainResponse__Output as _talkmesh_v1_DrainResponse__Output } from './talkmesh/v1/DrainResponse.js';
import type { EgressOptions as _talkmesh_v1_EgressOptions, EgressOptions__Output as _talkmesh_v1_EgressOptions__Output } from './talkmesh/v1/EgressOptions.js';
import type { IngestOptions as _talkmesh_v1_IngestOptions, IngestOptions__Output as _talkmesh_v1_IngestOptions__Output } from './talkmesh/v1/IngestOptions.js';
import type { LivekitRoom as _talkmesh_v1_LivekitRoom, LivekitRoom__Output as _talkmesh_v1_LivekitRoom__Output } from './talkmesh/v1/LivekitRoom.js';
import type { OpenRequest as _talkmesh_v1_OpenRequest, OpenRequest__Output as _talkmesh_v1_OpenRequest__Output } from './talkmesh/v1/OpenRequest.js';
import type { OpenResponse as _talkmesh_v1_OpenResponse, OpenResponse__Output as _talkmesh_v1_OpenResponse__Output } from './talkmesh/v1/OpenResponse.js';
import type { RoomMicrophone as _talkmesh_v1_RoomMicrophone, RoomMicrophone__Output as _talkmesh_v1_RoomMicrophone__Output } from './talkmesh/v1/RoomMicrophone.js';
import type { ScoreOptions as _talkmesh_v1_ScoreOptions, ScoreOptions__Output as _talkmesh_v1_ScoreOptions__Output } from './talkmesh/v1/ScoreOptions.js';
import type { SessionStats as _talkmesh_v1_SessionStats, SessionStats__Output as _talkmesh_v1_SessionStats__Output } from './talkmesh/v1/SessionStats.js';
import type { StageServiceClient as _talkmesh_v1_StageServiceClient, StageServiceDefinition as _talkmesh_v1_StageServiceDefinition } from './talkmesh/v1/StageService.js';
import type { StatsRequest as _talkmesh_v1_StatsRequest, StatsRequest__Output as _talkmesh_v1_StatsRequest__Output } from './talkmesh/v1/StatsRequest.js';
import type { StatsResponse as _talkmesh_v1_StatsResponse, StatsResponse__Output as _talkmesh_v1_StatsResponse__Output } from './talkmesh/v1/StatsResponse.js';
import type { ToolDefinition as _talkmesh_v1_ToolDefinition, ToolDefinition__Output as _talkmesh_v1_ToolDefinition__Output } from './talkmesh/v1/ToolDefinition.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  talkmesh: {
    v1: {
      BridgeOptions: MessageTypeDefinition<_talkmesh_v1_BridgeOptions, _talkmesh_v1_BridgeOptions__Output>
      CallRecording: MessageTypeDefinition<_talkmesh_v1_CallRecording, _talkmesh_v1_CallRecording__Output>
      CloseRequest: MessageTypeDefinition<_talkmesh_v1_CloseRequest, _talkmesh_v1_CloseRequest__Output>
      CloseResponse: MessageTypeDefinition<_talkmesh_v1_CloseResponse, _talkmesh_v1_CloseResponse__Output>
      DecodeOptions: MessageTypeDefinition<_talkmesh_v1_DecodeOptions, _talkmesh_v1_DecodeOptions__Output>
      DescribeRequest: MessageTypeDefinition<_talkmesh_v1_DescribeRequest, _talkmesh_v1_DescribeRequest__Output>
      DescribeResponse: MessageTypeDefinition<_talkmesh_v1_DescribeResponse, _talkmesh_v1_DescribeResponse__Output>
      Disclosure: MessageTypeDefinition<_talkmesh_v1_Disclosure, _talkmesh_v1_Disclosure__Output>
      DrainRequest: MessageTypeDefinition<_talkmesh_v1_DrainRequest, _talkmesh_v1_DrainRequest__Output>
      DrainResponse: MessageTypeDefinition<_talkmesh_v1_DrainResponse, _talkmesh_v1_DrainResponse__Output>
      EgressOptions: MessageTypeDefinition<_talkmesh_v1_EgressOptions, _talkmesh_v1_EgressOptions__Output>
      IngestOptions: MessageTypeDefinition<_talkmesh_v1_IngestOptions, _talkmesh_v1_IngestOptions__Output>
      LivekitRoom: MessageTypeDefinition<_talkmesh_v1_LivekitRoom, _talkmesh_v1_LivekitRoom__Output>
      OpenRequest: MessageTypeDefinition<_talkmesh_v1_OpenRequest, _talkmesh_v1_OpenRequest__Output>
      OpenResponse: MessageTypeDefinition<_talkmesh_v1_OpenResponse, _talkmesh_v1_OpenResponse__Output>
      RoomMicrophone: MessageTypeDefinition<_talkmesh_v1_RoomMicrophone, _talkmesh_v1_RoomMicrophone__Output>
      ScoreOptions: MessageTypeDefinition<_talkmesh_v1_ScoreOptions, _talkmesh_v1_ScoreOptions__Output>
      SessionStats: MessageTypeDefinition<_talkmesh_v1_SessionStats, _talkmesh_v1_SessionStats__Output>
      StageService: SubtypeConstructor<typeof grpc.Client, _talkmesh_v1_StageServiceClient> & { service: _talkmesh_v1_StageServiceDefinition }
      StatsRequest: MessageTypeDefinition<_talkmesh_v1_StatsRequest, _talkmesh_v1_StatsRequest__Output>
      StatsResponse: MessageTypeDefinition<_talkmesh_v1_StatsResponse, _talkmesh_v1_StatsResponse__Output>
      ToolDefinition: MessageTypeDefinition<_talkmesh_v1_ToolDefinition, _talkmesh_v1_ToolDefinition__Output>
      WorkerState: EnumTypeDefinition
    }
  }
}

