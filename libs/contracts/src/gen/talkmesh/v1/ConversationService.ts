// Original file: protos/talkmesh/v1/media.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AnswerToolRequest as _talkmesh_v1_AnswerToolRequest, AnswerToolRequest__Output as _talkmesh_v1_AnswerToolRequest__Output } from '../../talkmesh/v1/AnswerToolRequest.js';
import type { AnswerToolResponse as _talkmesh_v1_AnswerToolResponse, AnswerToolResponse__Output as _talkmesh_v1_AnswerToolResponse__Output } from '../../talkmesh/v1/AnswerToolResponse.js';
import type { CancelInputRequest as _talkmesh_v1_CancelInputRequest, CancelInputRequest__Output as _talkmesh_v1_CancelInputRequest__Output } from '../../talkmesh/v1/CancelInputRequest.js';
import type { CancelInputResponse as _talkmesh_v1_CancelInputResponse, CancelInputResponse__Output as _talkmesh_v1_CancelInputResponse__Output } from '../../talkmesh/v1/CancelInputResponse.js';
import type { CommitInputRequest as _talkmesh_v1_CommitInputRequest, CommitInputRequest__Output as _talkmesh_v1_CommitInputRequest__Output } from '../../talkmesh/v1/CommitInputRequest.js';
import type { CommitInputResponse as _talkmesh_v1_CommitInputResponse, CommitInputResponse__Output as _talkmesh_v1_CommitInputResponse__Output } from '../../talkmesh/v1/CommitInputResponse.js';
import type { InterruptRequest as _talkmesh_v1_InterruptRequest, InterruptRequest__Output as _talkmesh_v1_InterruptRequest__Output } from '../../talkmesh/v1/InterruptRequest.js';
import type { InterruptResponse as _talkmesh_v1_InterruptResponse, InterruptResponse__Output as _talkmesh_v1_InterruptResponse__Output } from '../../talkmesh/v1/InterruptResponse.js';
import type { PauseRequest as _talkmesh_v1_PauseRequest, PauseRequest__Output as _talkmesh_v1_PauseRequest__Output } from '../../talkmesh/v1/PauseRequest.js';
import type { PauseResponse as _talkmesh_v1_PauseResponse, PauseResponse__Output as _talkmesh_v1_PauseResponse__Output } from '../../talkmesh/v1/PauseResponse.js';
import type { ResumeRequest as _talkmesh_v1_ResumeRequest, ResumeRequest__Output as _talkmesh_v1_ResumeRequest__Output } from '../../talkmesh/v1/ResumeRequest.js';
import type { ResumeResponse as _talkmesh_v1_ResumeResponse, ResumeResponse__Output as _talkmesh_v1_ResumeResponse__Output } from '../../talkmesh/v1/ResumeResponse.js';
import type { SayRequest as _talkmesh_v1_SayRequest, SayRequest__Output as _talkmesh_v1_SayRequest__Output } from '../../talkmesh/v1/SayRequest.js';
import type { SayResponse as _talkmesh_v1_SayResponse, SayResponse__Output as _talkmesh_v1_SayResponse__Output } from '../../talkmesh/v1/SayResponse.js';
import type { StartInputRequest as _talkmesh_v1_StartInputRequest, StartInputRequest__Output as _talkmesh_v1_StartInputRequest__Output } from '../../talkmesh/v1/StartInputRequest.js';
import type { StartInputResponse as _talkmesh_v1_StartInputResponse, StartInputResponse__Output as _talkmesh_v1_StartInputResponse__Output } from '../../talkmesh/v1/StartInputResponse.js';

export interface ConversationServiceClient extends grpc.Client {
  AnswerTool(argument: _talkmesh_v1_AnswerToolRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_AnswerToolResponse__Output>): grpc.ClientUnaryCall;
  AnswerTool(argument: _talkmesh_v1_AnswerToolRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_AnswerToolResponse__Output>): grpc.ClientUnaryCall;
  AnswerTool(argument: _talkmesh_v1_AnswerToolRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_AnswerToolResponse__Output>): grpc.ClientUnaryCall;
  AnswerTool(argument: _talkmesh_v1_AnswerToolRequest, callback: grpc.requestCallback<_talkmesh_v1_AnswerToolResponse__Output>): grpc.ClientUnaryCall;
  answerTool(argument: _talkmesh_v1_AnswerToolRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_AnswerToolResponse__Output>): grpc.ClientUnaryCall;
  answerTool(argument: _talkmesh_v1_AnswerToolRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_AnswerToolResponse__Output>): grpc.ClientUnaryCall;
  answerTool(argument: _talkmesh_v1_AnswerToolRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_AnswerToolResponse__Output>): grpc.ClientUnaryCall;
  answerTool(argument: _talkmesh_v1_AnswerToolRequest, callback: grpc.requestCallback<_talkmesh_v1_AnswerToolResponse__Output>): grpc.ClientUnaryCall;
  
  CancelInput(argument: _talkmesh_v1_CancelInputRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CancelInputResponse__Output>): grpc.ClientUnaryCall;
  CancelInput(argument: _talkmesh_v1_CancelInputRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_CancelInputResponse__Output>): grpc.ClientUnaryCall;
  CancelInput(argument: _talkmesh_v1_CancelInputRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CancelInputResponse__Output>): grpc.ClientUnaryCall;
  CancelInput(argument: _talkmesh_v1_CancelInputRequest, callback: grpc.requestCallback<_talkmesh_v1_CancelInputResponse__Output>): grpc.ClientUnaryCall;
  cancelInput(argument: _talkmesh_v1_CancelInputRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CancelInputResponse__Output>): grpc.ClientUnaryCall;
  cancelInput(argument: _talkmesh_v1_CancelInputRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_CancelInputResponse__Output>): grpc.ClientUnaryCall;
  cancelInput(argument: _talkmesh_v1_CancelInputRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CancelInputResponse__Output>): grpc.ClientUnaryCall;
  cancelInput(argument: _talkmesh_v1_CancelInputRequest, callback: grpc.requestCallback<_talkmesh_v1_CancelInputResponse__Output>): grpc.ClientUnaryCall;
  
  CommitInput(argument: _talkmesh_v1_CommitInputRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CommitInputResponse__Output>): grpc.ClientUnaryCall;
  CommitInput(argument: _talkmesh_v1_CommitInputRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_CommitInputResponse__Output>): grpc.ClientUnaryCall;
  CommitInput(argument: _talkmesh_v1_CommitInputRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CommitInputResponse__Output>): grpc.ClientUnaryCall;
  CommitInput(argument: _talkmesh_v1_CommitInputRequest, callback: grpc.requestCallback<_talkmesh_v1_CommitInputResponse__Output>): grpc.ClientUnaryCall;
  commitInput(argument: _talkmesh_v1_CommitInputRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CommitInputResponse__Output>): grpc.ClientUnaryCall;
  commitInput(argument: _talkmesh_v1_CommitInputRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_CommitInputResponse__Output>): grpc.ClientUnaryCall;
  commitInput(argument: _talkmesh_v1_CommitInputRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CommitInputResponse__Output>): grpc.ClientUnaryCall;
  commitInput(argument: _talkmesh_v1_CommitInputRequest, callback: grpc.requestCallback<_talkmesh_v1_CommitInputResponse__Output>): grpc.ClientUnaryCall;
  
  Interrupt(argument: _talkmesh_v1_InterruptRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  Interrupt(argument: _talkmesh_v1_InterruptRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  Interrupt(argument: _talkmesh_v1_InterruptRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  Interrupt(argument: _talkmesh_v1_InterruptRequest, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  interrupt(argument: _talkmesh_v1_InterruptRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  interrupt(argument: _talkmesh_v1_InterruptRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  interrupt(argument: _talkmesh_v1_InterruptRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  interrupt(argument: _talkmesh_v1_InterruptRequest, callback: grpc.requestCallback<_talkmesh_v1_InterruptResponse__Output>): grpc.ClientUnaryCall;
  
  Pause(argument: _talkmesh_v1_PauseRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_PauseResponse__Output>): grpc.ClientUnaryCall;
  Pause(argument: _talkmesh_v1_PauseRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_PauseResponse__Output>): grpc.ClientUnaryCall;
  Pause(argument: _talkmesh_v1_PauseRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_PauseResponse__Output>): grpc.ClientUnaryCall;
  Pause(argument: _talkmesh_v1_PauseRequest, callback: grpc.requestCallback<_talkmesh_v1_PauseResponse__Output>): grpc.ClientUnaryCall;
  pause(argument: _talkmesh_v1_PauseRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_PauseResponse__Output>): grpc.ClientUnaryCall;
  pause(argument: _talkmesh_v1_PauseRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_PauseResponse__Output>): grpc.ClientUnaryCall;
  pause(argument: _talkmesh_v1_PauseRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_PauseResponse__Output>): grpc.ClientUnaryCall;
  pause(argument: _talkmesh_v1_PauseRequest, callback: grpc.requestCallback<_talkmesh_v1_PauseResponse__Output>): grpc.ClientUnaryCall;
  
  Resume(argument: _talkmesh_v1_ResumeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ResumeResponse__Output>): grpc.ClientUnaryCall;
  Resume(argument: _talkmesh_v1_ResumeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_ResumeResponse__Output>): grpc.ClientUnaryCall;
  Resume(argument: _talkmesh_v1_ResumeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ResumeResponse__Output>): grpc.ClientUnaryCall;
  Resume(argument: _talkmesh_v1_ResumeRequest, callback: grpc.requestCallback<_talkmesh_v1_ResumeResponse__Output>): grpc.ClientUnaryCall;
  resume(argument: _talkmesh_v1_ResumeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ResumeResponse__Output>): grpc.ClientUnaryCall;
  resume(argument: _talkmesh_v1_ResumeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_ResumeResponse__Output>): grpc.ClientUnaryCall;
  resume(argument: _talkmesh_v1_ResumeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ResumeResponse__Output>): grpc.ClientUnaryCall;
  resume(argument: _talkmesh_v1_ResumeRequest, callback: grpc.requestCallback<_talkmesh_v1_ResumeResponse__Output>): grpc.ClientUnaryCall;
  
  Say(argument: _talkmesh_v1_SayRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  Say(argument: _talkmesh_v1_SayRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  Say(argument: _talkmesh_v1_SayRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  Say(argument: _talkmesh_v1_SayRequest, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  say(argument: _talkmesh_v1_SayRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  say(argument: _talkmesh_v1_SayRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  say(argument: _talkmesh_v1_SayRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  say(argument: _talkmesh_v1_SayRequest, callback: grpc.requestCallback<_talkmesh_v1_SayResponse__Output>): grpc.ClientUnaryCall;
  
  StartInput(argument: _talkmesh_v1_StartInputRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  StartInput(argument: _talkmesh_v1_StartInputRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  StartInput(argument: _talkmesh_v1_StartInputRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  StartInput(argument: _talkmesh_v1_StartInputRequest, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  startInput(argument: _talkmesh_v1_StartInputRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  startInput(argument: _talkmesh_v1_StartInputRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  startInput(argument: _talkmesh_v1_StartInputRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  startInput(argument: _talkmesh_v1_StartInputRequest, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface ConversationServiceHandlers extends grpc.UntypedServiceImplementation {
  AnswerTool: grpc.handleUnaryCall<_talkmesh_v1_AnswerToolRequest__Output, _talkmesh_v1_AnswerToolResponse>;
  
  CancelInput: grpc.handleUnaryCall<_talkmesh_v1_CancelInputRequest__Output, _talkmesh_v1_CancelInputResponse>;
  
  CommitInput: grpc.handleUnaryCall<_talkmesh_v1_CommitInputRequest__Output, _talkmesh_v1_CommitInputResponse>;
  
  Interrupt: grpc.handleUnaryCall<_talkmesh_v1_InterruptRequest__Output, _talkmesh_v1_InterruptResponse>;
  
  Pause: grpc.handleUnaryCall<_talkmesh_v1_PauseRequest__Output, _talkmesh_v1_PauseResponse>;
  
  Resume: grpc.handleUnaryCall<_talkmesh_v1_ResumeRequest__Output, _talkmesh_v1_ResumeResponse>;
  
  Say: grpc.handleUnaryCall<_talkmesh_v1_SayRequest__Output, _talkmesh_v1_SayResponse>;
  
  StartInput: grpc.handleUnaryCall<_talkmesh_v1_StartInputRequest__Output, _talkmesh_v1_StartInputResponse>;
  
}

export interface ConversationServiceDefinition extends grpc.ServiceDefinition {
  AnswerTool: MethodDefinition<_talkmesh_v1_AnswerToolRequest, _talkmesh_v1_AnswerToolResponse, _talkmesh_v1_AnswerToolRequest__Output, _talkmesh_v1_AnswerToolResponse__Output>
  CancelInput: MethodDefinition<_talkmesh_v1_CancelInputRequest, _talkmesh_v1_CancelInputResponse, _talkmesh_v1_CancelInputRequest__Output, _talkmesh_v1_CancelInputResponse__Output>
  CommitInput: MethodDefinition<_talkmesh_v1_CommitInputRequest, _talkmesh_v1_CommitInputResponse, _talkmesh_v1_CommitInputRequest__Output, _talkmesh_v1_CommitInputResponse__Output>
  Interrupt: MethodDefinition<_talkmesh_v1_InterruptRequest, _talkmesh_v1_InterruptResponse, _talkmesh_v1_InterruptRequest__Output, _talkmesh_v1_InterruptResponse__Output>
  Pause: MethodDefinition<_talkmesh_v1_PauseRequest, _talkmesh_v1_PauseResponse, _talkmesh_v1_PauseRequest__Output, _talkmesh_v1_PauseResponse__Output>
  Resume: MethodDefinition<_talkmesh_v1_ResumeRequest, _talkmesh_v1_ResumeResponse, _talkmesh_v1_ResumeRequest__Output, _talkmesh_v1_ResumeResponse__Output>
  Say: MethodDefinition<_talkmesh_v1_SayRequest, _talkmesh_v1_SayResponse, _talkmesh_v1_SayRequest__Output, _talkmesh_v1_SayResponse__Output>
  StartInput: MethodDefinition<_talkmesh_v1_StartInputRequest, _talkmesh_v1_StartInputResponse, _talkmesh_v1_StartInputRequest__Output, _talkmesh_v1_StartInputResponse__Output>
}
