import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { AnswerToolRequest as _talkmesh_v1_AnswerToolRequest, AnswerToolRequest__Output as _talkmesh_v1_AnswerToolRequest__Output } from './talkmesh/v1/AnswerToolRequest.js';
import type { AnswerToolResponse as _talkmesh_v1_AnswerToolResponse, AnswerToolResponse__Output as _talkmesh_v1_AnswerToolResponse__Output } from './talkmesh/v1/AnswerToolResponse.js';
import type { AudioIngestClient as _talkmesh_v1_AudioIngestClient, AudioIngestDefinition as _talkmesh_v1_AudioIngestDefinition } from './talkmesh/v1/AudioIngest.js';
import type { AvatarAttach as _talkmesh_v1_AvatarAttach, AvatarAttach__Output as _talkmesh_v1_AvatarAttach__Output } from './talkmesh/v1/AvatarAttach.js';
import type { AvatarClear as _talkmesh_v1_AvatarClear, AvatarClear__Output as _talkmesh_v1_AvatarClear__Output } from './talkmesh/v1/AvatarClear.js';
import type { AvatarCleared as _talkmesh_v1_AvatarCleared, AvatarCleared__Output as _talkmesh_v1_AvatarCleared__Output } from './talkmesh/v1/AvatarCleared.js';
import type { AvatarEnd as _talkmesh_v1_AvatarEnd, AvatarEnd__Output as _talkmesh_v1_AvatarEnd__Output } from './talkmesh/v1/AvatarEnd.js';
import type { AvatarFrame as _talkmesh_v1_AvatarFrame, AvatarFrame__Output as _talkmesh_v1_AvatarFrame__Output } from './talkmesh/v1/AvatarFrame.js';
import type { AvatarLeave as _talkmesh_v1_AvatarLeave, AvatarLeave__Output as _talkmesh_v1_AvatarLeave__Output } from './talkmesh/v1/AvatarLeave.js';
import type { AvatarReady as _talkmesh_v1_AvatarReady, AvatarReady__Output as _talkmesh_v1_AvatarReady__Output } from './talkmesh/v1/AvatarReady.js';
import type { AvatarRequest as _talkmesh_v1_AvatarRequest, AvatarRequest__Output as _talkmesh_v1_AvatarRequest__Output } from './talkmesh/v1/AvatarRequest.js';
import type { AvatarResponse as _talkmesh_v1_AvatarResponse, AvatarResponse__Output as _talkmesh_v1_AvatarResponse__Output } from './talkmesh/v1/AvatarResponse.js';
import type { AvatarServiceClient as _talkmesh_v1_AvatarServiceClient, AvatarServiceDefinition as _talkmesh_v1_AvatarServiceDefinition } from './talkmesh/v1/AvatarService.js';
import type { BridgeOptions as _talkmesh_v1_BridgeOptions, BridgeOptions__Output as _talkmesh_v1_BridgeOptions__Output } from './talkmesh/v1/BridgeOptions.js';
import type { CallRecording as _talkmesh_v1_CallRecording, CallRecording__Output as _talkmesh_v1_CallRecording__Output } from './talkmesh/v1/CallRecording.js';
import type { CancelInputRequest as _talkmesh_v1_CancelInputRequest, CancelInputRequest__Output as _talkmesh_v1_CancelInputRequest__Output } from './talkmesh/v1/CancelInputRequest.js';
import type { CancelInputResponse as _talkmesh_v1_CancelInputResponse, CancelInputResponse__Output as _talkmesh_v1_CancelInputResponse__Output } from './talkmesh/v1/CancelInputResponse.js';
import type { ChangeIceRequest as _talkmesh_v1_ChangeIceRequest, ChangeIceRequest__Output as _talkmesh_v1_ChangeIceRequest__Output } from './talkmesh/v1/ChangeIceRequest.js';
import type { ChangeIceResponse as _talkmesh_v1_ChangeIceResponse, ChangeIceResponse__Output as _talkmesh_v1_ChangeIceResponse__Output } from './talkmesh/v1/ChangeIceResponse.js';
import type { CloseRequest as _talkmesh_v1_CloseRequest, CloseRequest__Output as _talkmesh_v1_CloseRequest__Output } from './talkmesh/v1/CloseRequest.js';
import type { CloseResponse as _talkmesh_v1_CloseResponse, CloseResponse__Output as _talkmesh_v1_CloseResponse__Output } from './talkmesh/v1/CloseResponse.js';
import type { CommitInputRequest as _talkmesh_v1_CommitInputRequest, CommitInputRequest__Output as _talkmesh_v1_CommitInputRequest__Output } from './talkmesh/v1/CommitInputRequest.js';
import type { CommitInputResponse as _talkmesh_v1_CommitInputResponse, CommitInputResponse__Output as _talkmesh_v1_CommitInputResponse__Output } from './talkmesh/v1/CommitInputResponse.js';
import type { ConversationServiceClient as _talkmesh_v1_ConversationServiceClient, ConversationServiceDefinition as _talkmesh_v1_ConversationServiceDefinition } from './talkmesh/v1/ConversationService.js';
import type { CreateSessionRequest as _talkmesh_v1_CreateSessionRequest, CreateSessionRequest__Output as _talkmesh_v1_CreateSessionRequest__Output } from './talkmesh/v1/CreateSessionRequest.js';
import type { CreateSessionResponse as _talkmesh_v1_CreateSessionResponse, CreateSessionResponse__Output as _talkmesh_v1_CreateSessionResponse__Output } from './talkmesh/v1/CreateSessionResponse.js';
import type { DecodeOptions as _talkmesh_v1_DecodeOptions, DecodeOptions__Output as _talkmesh_v1_DecodeOptions__Output } from './talkmesh/v1/DecodeOptions.js';
import type { DeleteRecordingRequest as _talkmesh_v1_DeleteRecordingRequest, DeleteRecordingRequest__Output as _talkmesh_v1_DeleteRecordingRequest__Output } from './talkmesh/v1/DeleteRecordingRequest.js';
import type { DeleteRecordingResponse as _talkmesh_v1_DeleteRecordingResponse, DeleteRecordingResponse__Output as _talkmesh_v1_DeleteRecordingResponse__Output } from './talkmesh/v1/DeleteRecordingResponse.js';
import type { DescribeRequest as _talkmesh_v1_DescribeRequest, DescribeRequest__Output as _talkmesh_v1_DescribeRequest__Output } from './talkmesh/v1/DescribeRequest.js';
import type { DescribeResponse as _talkmesh_v1_DescribeResponse, DescribeResponse__Output as _talkmesh_v1_DescribeResponse__Output } from './talkmesh/v1/DescribeResponse.js';
import type { Disclosure as _talkmesh_v1_Disclosure, Disclosure__Output as _talkmesh_v1_Disclosure__Output } from './talkmesh/v1/Disclosure.js';
import type { DownloadRecordingRequest as _talkmesh_v1_DownloadRecordingRequest, DownloadRecordingRequest__Output as _talkmesh_v1_DownloadRecordingRequest__Output } from './talkmesh/v1/DownloadRecordingRequest.js';
import type { DrainRequest as _talkmesh_v1_DrainRequest, DrainRequest__Output as _talkmesh_v1_DrainRequest__Output } from './talkmesh/v1/DrainRequest.js';
import type { DrainResponse as _talkmesh_v1_DrainResponse, DrainResponse__Output as _talkmesh_v1_DrainResponse__Output } from './talkmesh/v1/DrainResponse.js';
import type { EgressOptions as _talkmesh_v1_EgressOptions, EgressOptions__Output as _talkmesh_v1_EgressOptions__Output } from './talkmesh/v1/EgressOptions.js';
import type { EndSessionRequest as _talkmesh_v1_EndSessionRequest, EndSessionRequest__Output as _talkmesh_v1_EndSessionRequest__Output } from './talkmesh/v1/EndSessionRequest.js';
import type { EndSessionResponse as _talkmesh_v1_EndSessionResponse, EndSessionResponse__Output as _talkmesh_v1_EndSessionResponse__Output } from './talkmesh/v1/EndSessionResponse.js';
import type { GetRecordingRequest as _talkmesh_v1_GetRecordingRequest, GetRecordingRequest__Output as _talkmesh_v1_GetRecordingRequest__Output } from './talkmesh/v1/GetRecordingRequest.js';
import type { GetSessionRequest as _talkmesh_v1_GetSessionRequest, GetSessionRequest__Output as _talkmesh_v1_GetSessionRequest__Output } from './talkmesh/v1/GetSessionRequest.js';
import type { HangupRequest as _talkmesh_v1_HangupRequest, HangupRequest__Output as _talkmesh_v1_HangupRequest__Output } from './talkmesh/v1/HangupRequest.js';
import type { HangupResponse as _talkmesh_v1_HangupResponse, HangupResponse__Output as _talkmesh_v1_HangupResponse__Output } from './talkmesh/v1/HangupResponse.js';
import type { IngestOptions as _talkmesh_v1_IngestOptions, IngestOptions__Output as _talkmesh_v1_IngestOptions__Output } from './talkmesh/v1/IngestOptions.js';
import type { InterruptRequest as _talkmesh_v1_InterruptRequest, InterruptRequest__Output as _talkmesh_v1_InterruptRequest__Output } from './talkmesh/v1/InterruptRequest.js';
import type { InterruptResponse as _talkmesh_v1_InterruptResponse, InterruptResponse__Output as _talkmesh_v1_InterruptResponse__Output } from './talkmesh/v1/InterruptResponse.js';
import type { InterruptSessionRequest as _talkmesh_v1_InterruptSessionRequest, InterruptSessionRequest__Output as _talkmesh_v1_InterruptSessionRequest__Output } from './talkmesh/v1/InterruptSessionRequest.js';
import type { InterruptSessionResponse as _talkmesh_v1_InterruptSessionResponse, InterruptSessionResponse__Output as _talkmesh_v1_InterruptSessionResponse__Output } from './talkmesh/v1/InterruptSessionResponse.js';
import type { ListRecordingsRequest as _talkmesh_v1_ListRecordingsRequest, ListRecordingsRequest__Output as _talkmesh_v1_ListRecordingsRequest__Output } from './talkmesh/v1/ListRecordingsRequest.js';
import type { ListRecordingsResponse as _talkmesh_v1_ListRecordingsResponse, ListRecordingsResponse__Output as _talkmesh_v1_ListRecordingsResponse__Output } from './talkmesh/v1/ListRecordingsResponse.js';
import type { ListSessionsRequest as _talkmesh_v1_ListSessionsRequest, ListSessionsRequest__Output as _talkmesh_v1_ListSessionsRequest__Output } from './talkmesh/v1/ListSessionsRequest.js';
import type { ListSessionsResponse as _talkmesh_v1_ListSessionsResponse, ListSessionsResponse__Output as _talkmesh_v1_ListSessionsResponse__Output } from './talkmesh/v1/ListSessionsResponse.js';
import type { LivekitMembership as _talkmesh_v1_LivekitMembership, LivekitMembership__Output as _talkmesh_v1_LivekitMembership__Output } from './talkmesh/v1/LivekitMembership.js';
import type { LivekitMicrophone as _talkmesh_v1_LivekitMicrophone, LivekitMicrophone__Output as _talkmesh_v1_LivekitMicrophone__Output } from './talkmesh/v1/LivekitMicrophone.js';
import type { LivekitRoom as _talkmesh_v1_LivekitRoom, LivekitRoom__Output as _talkmesh_v1_LivekitRoom__Output } from './talkmesh/v1/LivekitRoom.js';
import type { LivekitTransport as _talkmesh_v1_LivekitTransport, LivekitTransport__Output as _talkmesh_v1_LivekitTransport__Output } from './talkmesh/v1/LivekitTransport.js';
import type { OfferRequest as _talkmesh_v1_OfferRequest, OfferRequest__Output as _talkmesh_v1_OfferRequest__Output } from './talkmesh/v1/OfferRequest.js';
import type { OfferResponse as _talkmesh_v1_OfferResponse, OfferResponse__Output as _talkmesh_v1_OfferResponse__Output } from './talkmesh/v1/OfferResponse.js';
import type { OpenRequest as _talkmesh_v1_OpenRequest, OpenRequest__Output as _talkmesh_v1_OpenRequest__Output } from './talkmesh/v1/OpenRequest.js';
import type { OpenResponse as _talkmesh_v1_OpenResponse, OpenResponse__Output as _talkmesh_v1_OpenResponse__Output } from './talkmesh/v1/OpenResponse.js';
import type { PauseRequest as _talkmesh_v1_PauseRequest, PauseRequest__Output as _talkmesh_v1_PauseRequest__Output } from './talkmesh/v1/PauseRequest.js';
import type { PauseResponse as _talkmesh_v1_PauseResponse, PauseResponse__Output as _talkmesh_v1_PauseResponse__Output } from './talkmesh/v1/PauseResponse.js';
import type { PauseSessionRequest as _talkmesh_v1_PauseSessionRequest, PauseSessionRequest__Output as _talkmesh_v1_PauseSessionRequest__Output } from './talkmesh/v1/PauseSessionRequest.js';
import type { PauseSessionResponse as _talkmesh_v1_PauseSessionResponse, PauseSessionResponse__Output as _talkmesh_v1_PauseSessionResponse__Output } from './talkmesh/v1/PauseSessionResponse.js';
import type { RecordRequest as _talkmesh_v1_RecordRequest, RecordRequest__Output as _talkmesh_v1_RecordRequest__Output } from './talkmesh/v1/RecordRequest.js';
import type { RecordServiceClient as _talkmesh_v1_RecordServiceClient, RecordServiceDefinition as _talkmesh_v1_RecordServiceDefinition } from './talkmesh/v1/RecordService.js';
import type { RecordedFrame as _talkmesh_v1_RecordedFrame, RecordedFrame__Output as _talkmesh_v1_RecordedFrame__Output } from './talkmesh/v1/RecordedFrame.js';
import type { Recording as _talkmesh_v1_Recording, Recording__Output as _talkmesh_v1_Recording__Output } from './talkmesh/v1/Recording.js';
import type { RecordingData as _talkmesh_v1_RecordingData, RecordingData__Output as _talkmesh_v1_RecordingData__Output } from './talkmesh/v1/RecordingData.js';
import type { RecordingOptions as _talkmesh_v1_RecordingOptions, RecordingOptions__Output as _talkmesh_v1_RecordingOptions__Output } from './talkmesh/v1/RecordingOptions.js';
import type { RecordingPart as _talkmesh_v1_RecordingPart, RecordingPart__Output as _talkmesh_v1_RecordingPart__Output } from './talkmesh/v1/RecordingPart.js';
import type { ResumeRequest as _talkmesh_v1_ResumeRequest, ResumeRequest__Output as _talkmesh_v1_ResumeRequest__Output } from './talkmesh/v1/ResumeRequest.js';
import type { ResumeResponse as _talkmesh_v1_ResumeResponse, ResumeResponse__Output as _talkmesh_v1_ResumeResponse__Output } from './talkmesh/v1/ResumeResponse.js';
import type { ResumeSessionRequest as _talkmesh_v1_ResumeSessionRequest, ResumeSessionRequest__Output as _talkmesh_v1_ResumeSessionRequest__Output } from './talkmesh/v1/ResumeSessionRequest.js';
import type { ResumeSessionResponse as _talkmesh_v1_ResumeSessionResponse, ResumeSessionResponse__Output as _talkmesh_v1_ResumeSessionResponse__Output } from './talkmesh/v1/ResumeSessionResponse.js';
import type { RoomMicrophone as _talkmesh_v1_RoomMicrophone, RoomMicrophone__Output as _talkmesh_v1_RoomMicrophone__Output } from './talkmesh/v1/RoomMicrophone.js';
import type { SayRequest as _talkmesh_v1_SayRequest, SayRequest__Output as _talkmesh_v1_SayRequest__Output } from './talkmesh/v1/SayRequest.js';
import type { SayResponse as _talkmesh_v1_SayResponse, SayResponse__Output as _talkmesh_v1_SayResponse__Output } from './talkmesh/v1/SayResponse.js';
import type { SaySessionRequest as _talkmesh_v1_SaySessionRequest, SaySessionRequest__Output as _talkmesh_v1_SaySessionRequest__Output } from './talkmesh/v1/SaySessionRequest.js';
import type { SaySessionResponse as _talkmesh_v1_SaySessionResponse, SaySessionResponse__Output as _talkmesh_v1_SaySessionResponse__Output } from './talkmesh/v1/SaySessionResponse.js';
import type { ScoreOptions as _talkmesh_v1_ScoreOptions, ScoreOptions__Output as _talkmesh_v1_ScoreOptions__Output } from './talkmesh/v1/ScoreOptions.js';
import type { Session as _talkmesh_v1_Session, Session__Output as _talkmesh_v1_Session__Output } from './talkmesh/v1/Session.js';
import type { SessionEvent as _talkmesh_v1_SessionEvent, SessionEvent__Output as _talkmesh_v1_SessionEvent__Output } from './talkmesh/v1/SessionEvent.js';
import type { SessionServiceClient as _talkmesh_v1_SessionServiceClient, SessionServiceDefinition as _talkmesh_v1_SessionServiceDefinition } from './talkmesh/v1/SessionService.js';
import type { SessionStats as _talkmesh_v1_SessionStats, SessionStats__Output as _talkmesh_v1_SessionStats__Output } from './talkmesh/v1/SessionStats.js';
import type { SignallingServiceClient as _talkmesh_v1_SignallingServiceClient, SignallingServiceDefinition as _talkmesh_v1_SignallingServiceDefinition } from './talkmesh/v1/SignallingService.js';
import type { StageServiceClient as _talkmesh_v1_StageServiceClient, StageServiceDefinition as _talkmesh_v1_StageServiceDefinition } from './talkmesh/v1/StageService.js';
import type { StartInputRequest as _talkmesh_v1_StartInputRequest, StartInputRequest__Output as _talkmesh_v1_StartInputRequest__Output } from './talkmesh/v1/StartInputRequest.js';
import type { StartInputResponse as _talkmesh_v1_StartInputResponse, StartInputResponse__Output as _talkmesh_v1_StartInputResponse__Output } from './talkmesh/v1/StartInputResponse.js';
import type { StatsRequest as _talkmesh_v1_StatsRequest, StatsRequest__Output as _talkmesh_v1_StatsRequest__Output } from './talkmesh/v1/StatsRequest.js';
import type { StatsResponse as _talkmesh_v1_StatsResponse, StatsResponse__Output as _talkmesh_v1_StatsResponse__Output } from './talkmesh/v1/StatsResponse.js';
import type { StopRecordingRequest as _talkmesh_v1_StopRecordingRequest, StopRecordingRequest__Output as _talkmesh_v1_StopRecordingRequest__Output } from './talkmesh/v1/StopRecordingRequest.js';
import type { StreamAudioRequest as _talkmesh_v1_StreamAudioRequest, StreamAudioRequest__Output as _talkmesh_v1_StreamAudioRequest__Output } from './talkmesh/v1/StreamAudioRequest.js';
import type { StreamAudioResponse as _talkmesh_v1_StreamAudioResponse, StreamAudioResponse__Output as _talkmesh_v1_StreamAudioResponse__Output } from './talkmesh/v1/StreamAudioResponse.js';
import type { ToolDefinition as _talkmesh_v1_ToolDefinition, ToolDefinition__Output as _talkmesh_v1_ToolDefinition__Output } from './talkmesh/v1/ToolDefinition.js';
import type { UtteranceFinished as _talkmesh_v1_UtteranceFinished, UtteranceFinished__Output as _talkmesh_v1_UtteranceFinished__Output } from './talkmesh/v1/UtteranceFinished.js';
import type { UtteranceStarted as _talkmesh_v1_UtteranceStarted, UtteranceStarted__Output as _talkmesh_v1_UtteranceStarted__Output } from './talkmesh/v1/UtteranceStarted.js';
import type { WatchEventsRequest as _talkmesh_v1_WatchEventsRequest, WatchEventsRequest__Output as _talkmesh_v1_WatchEventsRequest__Output } from './talkmesh/v1/WatchEventsRequest.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  talkmesh: {
    v1: {
      AnswerToolRequest: MessageTypeDefinition<_talkmesh_v1_AnswerToolRequest, _talkmesh_v1_AnswerToolRequest__Output>
      AnswerToolResponse: MessageTypeDefinition<_talkmesh_v1_AnswerToolResponse, _talkmesh_v1_AnswerToolResponse__Output>
      AudioIngest: SubtypeConstructor<typeof grpc.Client, _talkmesh_v1_AudioIngestClient> & { service: _talkmesh_v1_AudioIngestDefinition }
      AvatarAttach: MessageTypeDefinition<_talkmesh_v1_AvatarAttach, _talkmesh_v1_AvatarAttach__Output>
      AvatarClear: MessageTypeDefinition<_talkmesh_v1_AvatarClear, _talkmesh_v1_AvatarClear__Output>
      AvatarCleared: MessageTypeDefinition<_talkmesh_v1_AvatarCleared, _talkmesh_v1_AvatarCleared__Output>
      AvatarEnd: MessageTypeDefinition<_talkmesh_v1_AvatarEnd, _talkmesh_v1_AvatarEnd__Output>
      AvatarFrame: MessageTypeDefinition<_talkmesh_v1_AvatarFrame, _talkmesh_v1_AvatarFrame__Output>
      AvatarLeave: MessageTypeDefinition<_talkmesh_v1_AvatarLeave, _talkmesh_v1_AvatarLeave__Output>
      AvatarReady: MessageTypeDefinition<_talkmesh_v1_AvatarReady, _talkmesh_v1_AvatarReady__Output>
      AvatarRequest: MessageTypeDefinition<_talkmesh_v1_AvatarRequest, _talkmesh_v1_AvatarRequest__Output>
      AvatarResponse: MessageTypeDefinition<_talkmesh_v1_AvatarResponse, _talkmesh_v1_AvatarResponse__Output>
      AvatarService: SubtypeConstructor<typeof grpc.Client, _talkmesh_v1_AvatarServiceClient> & { service: _talkmesh_v1_AvatarServiceDefinition }
      BridgeOptions: MessageTypeDefinition<_talkmesh_v1_BridgeOptions, _talkmesh_v1_BridgeOptions__Output>
      CallRecording: MessageTypeDefinition<_talkmesh_v1_CallRecording, _talkmesh_v1_CallRecording__Output>
      CancelInputRequest: MessageTypeDefinition<_talkmesh_v1_CancelInputRequest, _talkmesh_v1_CancelInputRequest__Output>
      CancelInputResponse: MessageTypeDefinition<_talkmesh_v1_CancelInputResponse, _talkmesh_v1_CancelInputResponse__Output>
      ChangeIceRequest: MessageTypeDefinition<_talkmesh_v1_ChangeIceRequest, _talkmesh_v1_ChangeIceRequest__Output>
      ChangeIceResponse: MessageTypeDefinition<_talkmesh_v1_ChangeIceResponse, _talkmesh_v1_ChangeIceResponse__Output>
      CloseRequest: MessageTypeDefinition<_talkmesh_v1_CloseRequest, _talkmesh_v1_CloseRequest__Output>
      CloseResponse: MessageTypeDefinition<_talkmesh_v1_CloseResponse, _talkmesh_v1_CloseResponse__Output>
      CommitInputRequest: MessageTypeDefinition<_talkmesh_v1_CommitInputRequest, _talkmesh_v1_CommitInputRequest__Output>
      CommitInputResponse: MessageTypeDefinition<_talkmesh_v1_CommitInputResponse, _talkmesh_v1_CommitInputResponse__Output>
      ConversationService: SubtypeConstructor<typeof grpc.Client, _talkmesh_v1_ConversationServiceClient> & { service: _talkmesh_v1_ConversationServiceDefinition }
      CreateSessionRequest: MessageTypeDefinition<_talkmesh_v1_CreateSessionRequest, _talkmesh_v1_CreateSessionRequest__Output>
      CreateSessionResponse: MessageTypeDefinition<_talkmesh_v1_CreateSessionResponse, _talkmesh_v1_CreateSessionResponse__Output>
      DecodeOptions: MessageTypeDefinition<_talkmesh_v1_DecodeOptions, _talkmesh_v1_DecodeOptions__Output>
      DeleteRecordingRequest: MessageTypeDefinition<_talkmesh_v1_DeleteRecordingRequest, _talkmesh_v1_DeleteRecordingRequest__Output>
      DeleteRecordingResponse: MessageTypeDefinition<_talkmesh_v1_DeleteRecordingResponse, _talkmesh_v1_DeleteRecordingResponse__Output>
      DescribeRequest: MessageTypeDefinition<_talkmesh_v1_DescribeRequest, _talkmesh_v1_DescribeRequest__Output>
      DescribeResponse: MessageTypeDefinition<_talkmesh_v1_DescribeResponse, _talkmesh_v1_DescribeResponse__Output>
      Disclosure: MessageTypeDefinition<_talkmesh_v1_Disclosure, _talkmesh_v1_Disclosure__Output>
      DownloadRecordingRequest: MessageTypeDefinition<_talkmesh_v1_DownloadRecordingRequest, _talkmesh_v1_DownloadRecordingRequest__Output>
      DrainRequest: MessageTypeDefinition<_talkmesh_v1_DrainRequest, _talkmesh_v1_DrainRequest__Output>
      DrainResponse: MessageTypeDefinition<_talkmesh_v1_DrainResponse, _talkmesh_v1_DrainResponse__Output>
      EgressOptions: MessageTypeDefinition<_talkmesh_v1_EgressOptions, _talkmesh_v1_EgressOptions__Output>
      EndSessionRequest: MessageTypeDefinition<_talkmesh_v1_EndSessionRequest, _talkmesh_v1_EndSessionRequest__Output>
      EndSessionResponse: MessageTypeDefinition<_talkmesh_v1_EndSessionResponse, _talkmesh_v1_EndSessionResponse__Output>
      GetRecordingRequest: MessageTypeDefinition<_talkmesh_v1_GetRecordingRequest, _talkmesh_v1_GetRecordingRequest__Output>
      GetSessionRequest: MessageTypeDefinition<_talkmesh_v1_GetSessionRequest, _talkmesh_v1_GetSessionRequest__Output>
      HangupRequest: MessageTypeDefinition<_talkmesh_v1_HangupRequest, _talkmesh_v1_HangupRequest__Output>
      HangupResponse: MessageTypeDefinition<_talkmesh_v1_HangupResponse, _talkmesh_v1_HangupResponse__Output>
      IngestOptions: MessageTypeDefinition<_talkmesh_v1_IngestOptions, _talkmesh_v1_IngestOptions__Output>
      InterruptRequest: MessageTypeDefinition<_talkmesh_v1_InterruptRequest, _talkmesh_v1_InterruptRequest__Output>
      InterruptResponse: MessageTypeDefinition<_talkmesh_v1_InterruptResponse, _talkmesh_v1_InterruptResponse__Output>
      InterruptSessionRequest: MessageTypeDefinition<_talkmesh_v1_InterruptSessionRequest, _talkmesh_v1_InterruptSessionRequest__Output>
      InterruptSessionResponse: MessageTypeDefinition<_talkmesh_v1_InterruptSessionResponse, _talkmesh_v1_InterruptSessionResponse__Output>
      ListRecordingsRequest: MessageTypeDefinition<_talkmesh_v1_ListRecordingsRequest, _talkmesh_v1_ListRecordingsRequest__Output>
      ListRecordingsResponse: MessageTypeDefinition<_talkmesh_v1_ListRecordingsResponse, _talkmesh_v1_ListRecordingsResponse__Output>
      ListSessionsRequest: MessageTypeDefinition<_talkmesh_v1_ListSessionsRequest, _talkmesh_v1_ListSessionsRequest__Output>
      ListSessionsResponse: MessageTypeDefinition<_talkmesh_v1_ListSessionsResponse, _talkmesh_v1_ListSessionsResponse__Output>
      LivekitMembership: MessageTypeDefinition<_talkmesh_v1_LivekitMembership, _talkmesh_v1_LivekitMembership__Output>
      LivekitMicrophone: MessageTypeDefinition<_talkmesh_v1_LivekitMicrophone, _talkmesh_v1_LivekitMicrophone__Output>
      LivekitRoom: MessageTypeDefinition<_talkmesh_v1_LivekitRoom, _talkmesh_v1_LivekitRoom__Output>
      LivekitTransport: MessageTypeDefinition<_talkmesh_v1_LivekitTransport, _talkmesh_v1_LivekitTransport__Output>
      OfferRequest: MessageTypeDefinition<_talkmesh_v1_OfferRequest, _talkmesh_v1_OfferRequest__Output>
      OfferResponse: MessageTypeDefinition<_talkmesh_v1_OfferResponse, _talkmesh_v1_OfferResponse__Output>
      OpenRequest: MessageTypeDefinition<_talkmesh_v1_OpenRequest, _talkmesh_v1_OpenRequest__Output>
      OpenResponse: MessageTypeDefinition<_talkmesh_v1_OpenResponse, _talkmesh_v1_OpenResponse__Output>
      PauseRequest: MessageTypeDefinition<_talkmesh_v1_PauseRequest, _talkmesh_v1_PauseRequest__Output>
      PauseResponse: MessageTypeDefinition<_talkmesh_v1_PauseResponse, _talkmesh_v1_PauseResponse__Output>
      PauseSessionRequest: MessageTypeDefinition<_talkmesh_v1_PauseSessionRequest, _talkmesh_v1_PauseSessionRequest__Output>
      PauseSessionResponse: MessageTypeDefinition<_talkmesh_v1_PauseSessionResponse, _talkmesh_v1_PauseSessionResponse__Output>
      RecordRequest: MessageTypeDefinition<_talkmesh_v1_RecordRequest, _talkmesh_v1_RecordRequest__Output>
      RecordService: SubtypeConstructor<typeof grpc.Client, _talkmesh_v1_RecordServiceClient> & { service: _talkmesh_v1_RecordServiceDefinition }
      RecordedFrame: MessageTypeDefinition<_talkmesh_v1_RecordedFrame, _talkmesh_v1_RecordedFrame__Output>
      Recording: MessageTypeDefinition<_talkmesh_v1_Recording, _talkmesh_v1_Recording__Output>
      RecordingData: MessageTypeDefinition<_talkmesh_v1_RecordingData, _talkmesh_v1_RecordingData__Output>
      RecordingOptions: MessageTypeDefinition<_talkmesh_v1_RecordingOptions, _talkmesh_v1_RecordingOptions__Output>
      RecordingPart: MessageTypeDefinition<_talkmesh_v1_RecordingPart, _talkmesh_v1_RecordingPart__Output>
      ResumeRequest: MessageTypeDefinition<_talkmesh_v1_ResumeRequest, _talkmesh_v1_ResumeRequest__Output>
      ResumeResponse: MessageTypeDefinition<_talkmesh_v1_ResumeResponse, _talkmesh_v1_ResumeResponse__Output>
      ResumeSessionRequest: MessageTypeDefinition<_talkmesh_v1_ResumeSessionRequest, _talkmesh_v1_ResumeSessionRequest__Output>
      ResumeSessionResponse: MessageTypeDefinition<_talkmesh_v1_ResumeSessionResponse, _talkmesh_v1_ResumeSessionResponse__Output>
      RoomMicrophone: MessageTypeDefinition<_talkmesh_v1_RoomMicrophone, _talkmesh_v1_RoomMicrophone__Output>
      SayRequest: MessageTypeDefinition<_talkmesh_v1_SayRequest, _talkmesh_v1_SayRequest__Output>
      SayResponse: MessageTypeDefinition<_talkmesh_v1_SayResponse, _talkmesh_v1_SayResponse__Output>
      SaySessionRequest: MessageTypeDefinition<_talkmesh_v1_SaySessionRequest, _talkmesh_v1_SaySessionRequest__Output>
      SaySessionResponse: MessageTypeDefinition<_talkmesh_v1_SaySessionResponse, _talkmesh_v1_SaySessionResponse__Output>
      ScoreOptions: MessageTypeDefinition<_talkmesh_v1_ScoreOptions, _talkmesh_v1_ScoreOptions__Output>
      Session: MessageTypeDefinition<_talkmesh_v1_Session, _talkmesh_v1_Session__Output>
      SessionEvent: MessageTypeDefinition<_talkmesh_v1_SessionEvent, _talkmesh_v1_SessionEvent__Output>
      SessionService: SubtypeConstructor<typeof grpc.Client, _talkmesh_v1_SessionServiceClient> & { service: _talkmesh_v1_SessionServiceDefinition }
      SessionState: EnumTypeDefinition
      SessionStats: MessageTypeDefinition<_talkmesh_v1_SessionStats, _talkmesh_v1_SessionStats__Output>
      SignallingService: SubtypeConstructor<typeof grpc.Client, _talkmesh_v1_SignallingServiceClient> & { service: _talkmesh_v1_SignallingServiceDefinition }
      StageService: SubtypeConstructor<typeof grpc.Client, _talkmesh_v1_StageServiceClient> & { service: _talkmesh_v1_StageServiceDefinition }
      StartInputRequest: MessageTypeDefinition<_talkmesh_v1_StartInputRequest, _talkmesh_v1_StartInputRequest__Output>
      StartInputResponse: MessageTypeDefinition<_talkmesh_v1_StartInputResponse, _talkmesh_v1_StartInputResponse__Output>
      StatsRequest: MessageTypeDefinition<_talkmesh_v1_StatsRequest, _talkmesh_v1_StatsRequest__Output>
      StatsResponse: MessageTypeDefinition<_talkmesh_v1_StatsResponse, _talkmesh_v1_StatsResponse__Output>
      StopRecordingRequest: MessageTypeDefinition<_talkmesh_v1_StopRecordingRequest, _talkmesh_v1_StopRecordingRequest__Output>
      StreamAudioRequest: MessageTypeDefinition<_talkmesh_v1_StreamAudioRequest, _talkmesh_v1_StreamAudioRequest__Output>
      StreamAudioResponse: MessageTypeDefinition<_talkmesh_v1_StreamAudioResponse, _talkmesh_v1_StreamAudioResponse__Output>
      ToolDefinition: MessageTypeDefinition<_talkmesh_v1_ToolDefinition, _talkmesh_v1_ToolDefinition__Output>
      UtteranceFinished: MessageTypeDefinition<_talkmesh_v1_UtteranceFinished, _talkmesh_v1_UtteranceFinished__Output>
      UtteranceStarted: MessageTypeDefinition<_talkmesh_v1_UtteranceStarted, _talkmesh_v1_UtteranceStarted__Output>
      VideoFormat: EnumTypeDefinition
      WatchEventsRequest: MessageTypeDefinition<_talkmesh_v1_WatchEventsRequest, _talkmesh_v1_WatchEventsRequest__Output>
      WorkerState: EnumTypeDefinition
    }
  }
}

