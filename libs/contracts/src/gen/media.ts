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
import type { CancelInputRequest as _talkmesh_v1_CancelInputRequest, CancelInputRequest__Output as _talkmesh_v1_CancelInputRequest__Output } from './talkmesh/v1/CancelInputRequest.js';
import type { CancelInputResponse as _talkmesh_v1_CancelInputResponse, CancelInputResponse__Output as _talkmesh_v1_CancelInputResponse__Output } from './talkmesh/v1/CancelInputResponse.js';
import type { ChangeIceRequest as _talkmesh_v1_ChangeIceRequest, ChangeIceRequest__Output as _talkmesh_v1_ChangeIceRequest__Output } from './talkmesh/v1/ChangeIceRequest.js';
import type { ChangeIceResponse as _talkmesh_v1_ChangeIceResponse, ChangeIceResponse__Output as _talkmesh_v1_ChangeIceResponse__Output } from './talkmesh/v1/ChangeIceResponse.js';
import type { CommitInputRequest as _talkmesh_v1_CommitInputRequest, CommitInputRequest__Output as _talkmesh_v1_CommitInputRequest__Output } from './talkmesh/v1/CommitInputRequest.js';
import type { CommitInputResponse as _talkmesh_v1_CommitInputResponse, CommitInputResponse__Output as _talkmesh_v1_CommitInputResponse__Output } from './talkmesh/v1/CommitInputResponse.js';
import type { ConversationServiceClient as _talkmesh_v1_ConversationServiceClient, ConversationServiceDefinition as _talkmesh_v1_ConversationServiceDefinition } from './talkmesh/v1/ConversationService.js';
import type { HangupRequest as _talkmesh_v1_HangupRequest, HangupRequest__Output as _talkmesh_v1_HangupRequest__Output } from './talkmesh/v1/HangupRequest.js';
import type { HangupResponse as _talkmesh_v1_HangupResponse, HangupResponse__Output as _talkmesh_v1_HangupResponse__Output } from './talkmesh/v1/HangupResponse.js';
import type { InterruptRequest as _talkmesh_v1_InterruptRequest, InterruptRequest__Output as _talkmesh_v1_InterruptRequest__Output } from './talkmesh/v1/InterruptRequest.js';
import type { InterruptResponse as _talkmesh_v1_InterruptResponse, InterruptResponse__Output as _talkmesh_v1_InterruptResponse__Output } from './talkmesh/v1/InterruptResponse.js';
import type { OfferRequest as _talkmesh_v1_OfferRequest, OfferRequest__Output as _talkmesh_v1_OfferRequest__Output } from './talkmesh/v1/OfferRequest.js';
import type { OfferResponse as _talkmesh_v1_OfferResponse, OfferResponse__Output as _talkmesh_v1_OfferResponse__Output } from './talkmesh/v1/OfferResponse.js';
import type { PauseRequest as _talkmesh_v1_PauseRequest, PauseRequest__Output as _talkmesh_v1_PauseRequest__Output } from './talkmesh/v1/PauseRequest.js';
import type { PauseResponse as _talkmesh_v1_PauseResponse, PauseResponse__Output as _talkmesh_v1_PauseResponse__Output } from './talkmesh/v1/PauseResponse.js';
import type { RecordRequest as _talkmesh_v1_RecordRequest, RecordRequest__Output as _talkmesh_v1_RecordRequest__Output } from './talkmesh/v1/RecordRequest.js';
import type { RecordServiceClient as _talkmesh_v1_RecordServiceClient, RecordServiceDefinition as _talkmesh_v1_RecordServiceDefinition } from './talkmesh/v1/RecordService.js';
import type { RecordedFrame as _talkmesh_v1_RecordedFrame, RecordedFrame__Output as _talkmesh_v1_RecordedFrame__Output } from './talkmesh/v1/RecordedFrame.js';
import type { ResumeRequest as _talkmesh_v1_ResumeRequest, ResumeRequest__Output as _talkmesh_v1_ResumeRequest__Output } from './talkmesh/v1/ResumeRequest.js';
import type { ResumeResponse as _talkmesh_v1_ResumeResponse, ResumeResponse__Output as _talkmesh_v1_ResumeResponse__Output } from './talkmesh/v1/ResumeResponse.js';
import type { SayRequest as _talkmesh_v1_SayRequest, SayRequest__Output as _talkmesh_v1_SayRequest__Output } from './talkmesh/v1/SayRequest.js';
import type { SayResponse as _talkmesh_v1_SayResponse, SayResponse__Output as _talkmesh_v1_SayResponse__Output } from './talkmesh/v1/SayResponse.js';
import type { SignallingServiceClient as _talkmesh_v1_SignallingServiceClient, SignallingServiceDefinition as _talkmesh_v1_SignallingServiceDefinition } from './talkmesh/v1/SignallingService.js';
import type { StartInputRequest as _talkmesh_v1_StartInputRequest, StartInputRequest__Output as _talkmesh_v1_StartInputRequest__Output } from './talkmesh/v1/StartInputRequest.js';
import type { StartInputResponse as _talkmesh_v1_StartInputResponse, StartInputResponse__Output as _talkmesh_v1_StartInputResponse__Output } from './talkmesh/v1/StartInputResponse.js';
import type { StreamAudioRequest as _talkmesh_v1_StreamAudioRequest, StreamAudioRequest__Output as _talkmesh_v1_StreamAudioRequest__Output } from './talkmesh/v1/StreamAudioRequest.js';
import type { StreamAudioResponse as _talkmesh_v1_StreamAudioResponse, StreamAudioResponse__Output as _talkmesh_v1_StreamAudioResponse__Output } from './talkmesh/v1/StreamAudioResponse.js';
import type { UtteranceFinished as _talkmesh_v1_UtteranceFinished, UtteranceFinished__Output as _talkmesh_v1_UtteranceFinished__Output } from './talkmesh/v1/UtteranceFinished.js';
import type { UtteranceStarted as _talkmesh_v1_UtteranceStarted, UtteranceStarted__Output as _talkmesh_v1_UtteranceStarted__Output } from './talkmesh/v1/UtteranceStarted.js';

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
      CancelInputRequest: MessageTypeDefinition<_talkmesh_v1_CancelInputRequest, _talkmesh_v1_CancelInputRequest__Output>
      CancelInputResponse: MessageTypeDefinition<_talkmesh_v1_CancelInputResponse, _talkmesh_v1_CancelInputResponse__Output>
      ChangeIceRequest: MessageTypeDefinition<_talkmesh_v1_ChangeIceRequest, _talkmesh_v1_ChangeIceRequest__Output>
      ChangeIceResponse: MessageTypeDefinition<_talkmesh_v1_ChangeIceResponse, _talkmesh_v1_ChangeIceResponse__Output>
      CommitInputRequest: MessageTypeDefinition<_talkmesh_v1_CommitInputRequest, _talkmesh_v1_CommitInputRequest__Output>
      CommitInputResponse: MessageTypeDefinition<_talkmesh_v1_CommitInputResponse, _talkmesh_v1_CommitInputResponse__Output>
      ConversationService: SubtypeConstructor<typeof grpc.Client, _talkmesh_v1_ConversationServiceClient> & { service: _talkmesh_v1_ConversationServiceDefinition }
      HangupRequest: MessageTypeDefinition<_talkmesh_v1_HangupRequest, _talkmesh_v1_HangupRequest__Output>
      HangupResponse: MessageTypeDefinition<_talkmesh_v1_HangupResponse, _talkmesh_v1_HangupResponse__Output>
      InterruptRequest: MessageTypeDefinition<_talkmesh_v1_InterruptRequest, _talkmesh_v1_InterruptRequest__Output>
      InterruptResponse: MessageTypeDefinition<_talkmesh_v1_InterruptResponse, _talkmesh_v1_InterruptResponse__Output>
      OfferRequest: MessageTypeDefinition<_talkmesh_v1_OfferRequest, _talkmesh_v1_OfferRequest__Output>
      OfferResponse: MessageTypeDefinition<_talkmesh_v1_OfferResponse, _talkmesh_v1_OfferResponse__Output>
      PauseRequest: MessageTypeDefinition<_talkmesh_v1_PauseRequest, _talkmesh_v1_PauseRequest__Output>
      PauseResponse: MessageTypeDefinition<_talkmesh_v1_PauseResponse, _talkmesh_v1_PauseResponse__Output>
      RecordRequest: MessageTypeDefinition<_talkmesh_v1_RecordRequest, _talkmesh_v1_RecordRequest__Output>
      RecordService: SubtypeConstructor<typeof grpc.Client, _talkmesh_v1_RecordServiceClient> & { service: _talkmesh_v1_RecordServiceDefinition }
      RecordedFrame: MessageTypeDefinition<_talkmesh_v1_RecordedFrame, _talkmesh_v1_RecordedFrame__Output>
      ResumeRequest: MessageTypeDefinition<_talkmesh_v1_ResumeRequest, _talkmesh_v1_ResumeRequest__Output>
      ResumeResponse: MessageTypeDefinition<_talkmesh_v1_ResumeResponse, _talkmesh_v1_ResumeResponse__Output>
      SayRequest: MessageTypeDefinition<_talkmesh_v1_SayRequest, _talkmesh_v1_SayRequest__Output>
      SayResponse: MessageTypeDefinition<_talkmesh_v1_SayResponse, _talkmesh_v1_SayResponse__Output>
      SignallingService: SubtypeConstructor<typeof grpc.Client, _talkmesh_v1_SignallingServiceClient> & { service: _talkmesh_v1_SignallingServiceDefinition }
      StartInputRequest: MessageTypeDefinition<_talkmesh_v1_StartInputRequest, _talkmesh_v1_StartInputRequest__Output>
      StartInputResponse: MessageTypeDefinition<_talkmesh_v1_StartInputResponse, _talkmesh_v1_StartInputResponse__Output>
      StreamAudioRequest: MessageTypeDefinition<_talkmesh_v1_StreamAudioRequest, _talkmesh_v1_StreamAudioRequest__Output>
      StreamAudioResponse: MessageTypeDefinition<_talkmesh_v1_StreamAudioResponse, _talkmesh_v1_StreamAudioResponse__Output>
      UtteranceFinished: MessageTypeDefinition<_talkmesh_v1_UtteranceFinished, _talkmesh_v1_UtteranceFinished__Output>
      UtteranceStarted: MessageTypeDefinition<_talkmesh_v1_UtteranceStarted, _talkmesh_v1_UtteranceStarted__Output>
      VideoFormat: EnumTypeDefinition
    }
  }
}

