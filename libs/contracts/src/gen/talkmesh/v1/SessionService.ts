// Original file: protos/talkmesh/v1/session.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AnswerToolRequest as _talkmesh_v1_AnswerToolRequest, AnswerToolRequest__Output as _talkmesh_v1_AnswerToolRequest__Output } from '../../talkmesh/v1/AnswerToolRequest.js';
import type { AnswerToolResponse as _talkmesh_v1_AnswerToolResponse, AnswerToolResponse__Output as _talkmesh_v1_AnswerToolResponse__Output } from '../../talkmesh/v1/AnswerToolResponse.js';
import type { CancelInputRequest as _talkmesh_v1_CancelInputRequest, CancelInputRequest__Output as _talkmesh_v1_CancelInputRequest__Output } from '../../talkmesh/v1/CancelInputRequest.js';
import type { CancelInputResponse as _talkmesh_v1_CancelInputResponse, CancelInputResponse__Output as _talkmesh_v1_CancelInputResponse__Output } from '../../talkmesh/v1/CancelInputResponse.js';
import type { CommitInputRequest as _talkmesh_v1_CommitInputRequest, CommitInputRequest__Output as _talkmesh_v1_CommitInputRequest__Output } from '../../talkmesh/v1/CommitInputRequest.js';
import type { CommitInputResponse as _talkmesh_v1_CommitInputResponse, CommitInputResponse__Output as _talkmesh_v1_CommitInputResponse__Output } from '../../talkmesh/v1/CommitInputResponse.js';
import type { CreateSessionRequest as _talkmesh_v1_CreateSessionRequest, CreateSessionRequest__Output as _talkmesh_v1_CreateSessionRequest__Output } from '../../talkmesh/v1/CreateSessionRequest.js';
import type { CreateSessionResponse as _talkmesh_v1_CreateSessionResponse, CreateSessionResponse__Output as _talkmesh_v1_CreateSessionResponse__Output } from '../../talkmesh/v1/CreateSessionResponse.js';
import type { DeleteRecordingRequest as _talkmesh_v1_DeleteRecordingRequest, DeleteRecordingRequest__Output as _talkmesh_v1_DeleteRecordingRequest__Output } from '../../talkmesh/v1/DeleteRecordingRequest.js';
import type { DeleteRecordingResponse as _talkmesh_v1_DeleteRecordingResponse, DeleteRecordingResponse__Output as _talkmesh_v1_DeleteRecordingResponse__Output } from '../../talkmesh/v1/DeleteRecordingResponse.js';
import type { DownloadRecordingRequest as _talkmesh_v1_DownloadRecordingRequest, DownloadRecordingRequest__Output as _talkmesh_v1_DownloadRecordingRequest__Output } from '../../talkmesh/v1/DownloadRecordingRequest.js';
import type { EndSessionRequest as _talkmesh_v1_EndSessionRequest, EndSessionRequest__Output as _talkmesh_v1_EndSessionRequest__Output } from '../../talkmesh/v1/EndSessionRequest.js';
import type { EndSessionResponse as _talkmesh_v1_EndSessionResponse, EndSessionResponse__Output as _talkmesh_v1_EndSessionResponse__Output } from '../../talkmesh/v1/EndSessionResponse.js';
import type { GetRecordingRequest as _talkmesh_v1_GetRecordingRequest, GetRecordingRequest__Output as _talkmesh_v1_GetRecordingRequest__Output } from '../../talkmesh/v1/GetRecordingRequest.js';
import type { GetSessionRequest as _talkmesh_v1_GetSessionRequest, GetSessionRequest__Output as _talkmesh_v1_GetSessionRequest__Output } from '../../talkmesh/v1/GetSessionRequest.js';
import type { InterruptSessionRequest as _talkmesh_v1_InterruptSessionRequest, InterruptSessionRequest__Output as _talkmesh_v1_InterruptSessionRequest__Output } from '../../talkmesh/v1/InterruptSessionRequest.js';
import type { InterruptSessionResponse as _talkmesh_v1_InterruptSessionResponse, InterruptSessionResponse__Output as _talkmesh_v1_InterruptSessionResponse__Output } from '../../talkmesh/v1/InterruptSessionResponse.js';
import type { ListRecordingsRequest as _talkmesh_v1_ListRecordingsRequest, ListRecordingsRequest__Output as _talkmesh_v1_ListRecordingsRequest__Output } from '../../talkmesh/v1/ListRecordingsRequest.js';
import type { ListRecordingsResponse as _talkmesh_v1_ListRecordingsResponse, ListRecordingsResponse__Output as _talkmesh_v1_ListRecordingsResponse__Output } from '../../talkmesh/v1/ListRecordingsResponse.js';
import type { ListSessionsRequest as _talkmesh_v1_ListSessionsRequest, ListSessionsRequest__Output as _talkmesh_v1_ListSessionsRequest__Output } from '../../talkmesh/v1/ListSessionsRequest.js';
import type { ListSessionsResponse as _talkmesh_v1_ListSessionsResponse, ListSessionsResponse__Output as _talkmesh_v1_ListSessionsResponse__Output } from '../../talkmesh/v1/ListSessionsResponse.js';
import type { PauseSessionRequest as _talkmesh_v1_PauseSessionRequest, PauseSessionRequest__Output as _talkmesh_v1_PauseSessionRequest__Output } from '../../talkmesh/v1/PauseSessionRequest.js';
import type { PauseSessionResponse as _talkmesh_v1_PauseSessionResponse, PauseSessionResponse__Output as _talkmesh_v1_PauseSessionResponse__Output } from '../../talkmesh/v1/PauseSessionResponse.js';
import type { Recording as _talkmesh_v1_Recording, Recording__Output as _talkmesh_v1_Recording__Output } from '../../talkmesh/v1/Recording.js';
import type { RecordingData as _talkmesh_v1_RecordingData, RecordingData__Output as _talkmesh_v1_RecordingData__Output } from '../../talkmesh/v1/RecordingData.js';
import type { ResumeSessionRequest as _talkmesh_v1_ResumeSessionRequest, ResumeSessionRequest__Output as _talkmesh_v1_ResumeSessionRequest__Output } from '../../talkmesh/v1/ResumeSessionRequest.js';
import type { ResumeSessionResponse as _talkmesh_v1_ResumeSessionResponse, ResumeSessionResponse__Output as _talkmesh_v1_ResumeSessionResponse__Output } from '../../talkmesh/v1/ResumeSessionResponse.js';
import type { SaySessionRequest as _talkmesh_v1_SaySessionRequest, SaySessionRequest__Output as _talkmesh_v1_SaySessionRequest__Output } from '../../talkmesh/v1/SaySessionRequest.js';
import type { SaySessionResponse as _talkmesh_v1_SaySessionResponse, SaySessionResponse__Output as _talkmesh_v1_SaySessionResponse__Output } from '../../talkmesh/v1/SaySessionResponse.js';
import type { Session as _talkmesh_v1_Session, Session__Output as _talkmesh_v1_Session__Output } from '../../talkmesh/v1/Session.js';
import type { SessionEvent as _talkmesh_v1_SessionEvent, SessionEvent__Output as _talkmesh_v1_SessionEvent__Output } from '../../talkmesh/v1/SessionEvent.js';
import type { StartInputRequest as _talkmesh_v1_StartInputRequest, StartInputRequest__Output as _talkmesh_v1_StartInputRequest__Output } from '../../talkmesh/v1/StartInputRequest.js';
import type { StartInputResponse as _talkmesh_v1_StartInputResponse, StartInputResponse__Output as _talkmesh_v1_StartInputResponse__Output } from '../../talkmesh/v1/StartInputResponse.js';
import type { StopRecordingRequest as _talkmesh_v1_StopRecordingRequest, StopRecordingRequest__Output as _talkmesh_v1_StopRecordingRequest__Output } from '../../talkmesh/v1/StopRecordingRequest.js';
import type { WatchEventsRequest as _talkmesh_v1_WatchEventsRequest, WatchEventsRequest__Output as _talkmesh_v1_WatchEventsRequest__Output } from '../../talkmesh/v1/WatchEventsRequest.js';

export interface SessionServiceClient extends grpc.Client {
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
  
  CreateSession(argument: _talkmesh_v1_CreateSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CreateSessionResponse__Output>): grpc.ClientUnaryCall;
  CreateSession(argument: _talkmesh_v1_CreateSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_CreateSessionResponse__Output>): grpc.ClientUnaryCall;
  CreateSession(argument: _talkmesh_v1_CreateSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CreateSessionResponse__Output>): grpc.ClientUnaryCall;
  CreateSession(argument: _talkmesh_v1_CreateSessionRequest, callback: grpc.requestCallback<_talkmesh_v1_CreateSessionResponse__Output>): grpc.ClientUnaryCall;
  createSession(argument: _talkmesh_v1_CreateSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CreateSessionResponse__Output>): grpc.ClientUnaryCall;
  createSession(argument: _talkmesh_v1_CreateSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_CreateSessionResponse__Output>): grpc.ClientUnaryCall;
  createSession(argument: _talkmesh_v1_CreateSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_CreateSessionResponse__Output>): grpc.ClientUnaryCall;
  createSession(argument: _talkmesh_v1_CreateSessionRequest, callback: grpc.requestCallback<_talkmesh_v1_CreateSessionResponse__Output>): grpc.ClientUnaryCall;
  
  DeleteRecording(argument: _talkmesh_v1_DeleteRecordingRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_DeleteRecordingResponse__Output>): grpc.ClientUnaryCall;
  DeleteRecording(argument: _talkmesh_v1_DeleteRecordingRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_DeleteRecordingResponse__Output>): grpc.ClientUnaryCall;
  DeleteRecording(argument: _talkmesh_v1_DeleteRecordingRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_DeleteRecordingResponse__Output>): grpc.ClientUnaryCall;
  DeleteRecording(argument: _talkmesh_v1_DeleteRecordingRequest, callback: grpc.requestCallback<_talkmesh_v1_DeleteRecordingResponse__Output>): grpc.ClientUnaryCall;
  deleteRecording(argument: _talkmesh_v1_DeleteRecordingRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_DeleteRecordingResponse__Output>): grpc.ClientUnaryCall;
  deleteRecording(argument: _talkmesh_v1_DeleteRecordingRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_DeleteRecordingResponse__Output>): grpc.ClientUnaryCall;
  deleteRecording(argument: _talkmesh_v1_DeleteRecordingRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_DeleteRecordingResponse__Output>): grpc.ClientUnaryCall;
  deleteRecording(argument: _talkmesh_v1_DeleteRecordingRequest, callback: grpc.requestCallback<_talkmesh_v1_DeleteRecordingResponse__Output>): grpc.ClientUnaryCall;
  
  DownloadRecording(argument: _talkmesh_v1_DownloadRecordingRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_talkmesh_v1_RecordingData__Output>;
  DownloadRecording(argument: _talkmesh_v1_DownloadRecordingRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_talkmesh_v1_RecordingData__Output>;
  downloadRecording(argument: _talkmesh_v1_DownloadRecordingRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_talkmesh_v1_RecordingData__Output>;
  downloadRecording(argument: _talkmesh_v1_DownloadRecordingRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_talkmesh_v1_RecordingData__Output>;
  
  EndSession(argument: _talkmesh_v1_EndSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  EndSession(argument: _talkmesh_v1_EndSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  EndSession(argument: _talkmesh_v1_EndSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  EndSession(argument: _talkmesh_v1_EndSessionRequest, callback: grpc.requestCallback<_talkmesh_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  endSession(argument: _talkmesh_v1_EndSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  endSession(argument: _talkmesh_v1_EndSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  endSession(argument: _talkmesh_v1_EndSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  endSession(argument: _talkmesh_v1_EndSessionRequest, callback: grpc.requestCallback<_talkmesh_v1_EndSessionResponse__Output>): grpc.ClientUnaryCall;
  
  GetRecording(argument: _talkmesh_v1_GetRecordingRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  GetRecording(argument: _talkmesh_v1_GetRecordingRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  GetRecording(argument: _talkmesh_v1_GetRecordingRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  GetRecording(argument: _talkmesh_v1_GetRecordingRequest, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  getRecording(argument: _talkmesh_v1_GetRecordingRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  getRecording(argument: _talkmesh_v1_GetRecordingRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  getRecording(argument: _talkmesh_v1_GetRecordingRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  getRecording(argument: _talkmesh_v1_GetRecordingRequest, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  
  GetSession(argument: _talkmesh_v1_GetSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_Session__Output>): grpc.ClientUnaryCall;
  GetSession(argument: _talkmesh_v1_GetSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_Session__Output>): grpc.ClientUnaryCall;
  GetSession(argument: _talkmesh_v1_GetSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_Session__Output>): grpc.ClientUnaryCall;
  GetSession(argument: _talkmesh_v1_GetSessionRequest, callback: grpc.requestCallback<_talkmesh_v1_Session__Output>): grpc.ClientUnaryCall;
  getSession(argument: _talkmesh_v1_GetSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_Session__Output>): grpc.ClientUnaryCall;
  getSession(argument: _talkmesh_v1_GetSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_Session__Output>): grpc.ClientUnaryCall;
  getSession(argument: _talkmesh_v1_GetSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_Session__Output>): grpc.ClientUnaryCall;
  getSession(argument: _talkmesh_v1_GetSessionRequest, callback: grpc.requestCallback<_talkmesh_v1_Session__Output>): grpc.ClientUnaryCall;
  
  InterruptSession(argument: _talkmesh_v1_InterruptSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InterruptSessionResponse__Output>): grpc.ClientUnaryCall;
  InterruptSession(argument: _talkmesh_v1_InterruptSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_InterruptSessionResponse__Output>): grpc.ClientUnaryCall;
  InterruptSession(argument: _talkmesh_v1_InterruptSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InterruptSessionResponse__Output>): grpc.ClientUnaryCall;
  InterruptSession(argument: _talkmesh_v1_InterruptSessionRequest, callback: grpc.requestCallback<_talkmesh_v1_InterruptSessionResponse__Output>): grpc.ClientUnaryCall;
  interruptSession(argument: _talkmesh_v1_InterruptSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InterruptSessionResponse__Output>): grpc.ClientUnaryCall;
  interruptSession(argument: _talkmesh_v1_InterruptSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_InterruptSessionResponse__Output>): grpc.ClientUnaryCall;
  interruptSession(argument: _talkmesh_v1_InterruptSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_InterruptSessionResponse__Output>): grpc.ClientUnaryCall;
  interruptSession(argument: _talkmesh_v1_InterruptSessionRequest, callback: grpc.requestCallback<_talkmesh_v1_InterruptSessionResponse__Output>): grpc.ClientUnaryCall;
  
  ListRecordings(argument: _talkmesh_v1_ListRecordingsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ListRecordingsResponse__Output>): grpc.ClientUnaryCall;
  ListRecordings(argument: _talkmesh_v1_ListRecordingsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_ListRecordingsResponse__Output>): grpc.ClientUnaryCall;
  ListRecordings(argument: _talkmesh_v1_ListRecordingsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ListRecordingsResponse__Output>): grpc.ClientUnaryCall;
  ListRecordings(argument: _talkmesh_v1_ListRecordingsRequest, callback: grpc.requestCallback<_talkmesh_v1_ListRecordingsResponse__Output>): grpc.ClientUnaryCall;
  listRecordings(argument: _talkmesh_v1_ListRecordingsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ListRecordingsResponse__Output>): grpc.ClientUnaryCall;
  listRecordings(argument: _talkmesh_v1_ListRecordingsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_ListRecordingsResponse__Output>): grpc.ClientUnaryCall;
  listRecordings(argument: _talkmesh_v1_ListRecordingsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ListRecordingsResponse__Output>): grpc.ClientUnaryCall;
  listRecordings(argument: _talkmesh_v1_ListRecordingsRequest, callback: grpc.requestCallback<_talkmesh_v1_ListRecordingsResponse__Output>): grpc.ClientUnaryCall;
  
  ListSessions(argument: _talkmesh_v1_ListSessionsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  ListSessions(argument: _talkmesh_v1_ListSessionsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  ListSessions(argument: _talkmesh_v1_ListSessionsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  ListSessions(argument: _talkmesh_v1_ListSessionsRequest, callback: grpc.requestCallback<_talkmesh_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  listSessions(argument: _talkmesh_v1_ListSessionsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  listSessions(argument: _talkmesh_v1_ListSessionsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  listSessions(argument: _talkmesh_v1_ListSessionsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  listSessions(argument: _talkmesh_v1_ListSessionsRequest, callback: grpc.requestCallback<_talkmesh_v1_ListSessionsResponse__Output>): grpc.ClientUnaryCall;
  
  PauseSession(argument: _talkmesh_v1_PauseSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_PauseSessionResponse__Output>): grpc.ClientUnaryCall;
  PauseSession(argument: _talkmesh_v1_PauseSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_PauseSessionResponse__Output>): grpc.ClientUnaryCall;
  PauseSession(argument: _talkmesh_v1_PauseSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_PauseSessionResponse__Output>): grpc.ClientUnaryCall;
  PauseSession(argument: _talkmesh_v1_PauseSessionRequest, callback: grpc.requestCallback<_talkmesh_v1_PauseSessionResponse__Output>): grpc.ClientUnaryCall;
  pauseSession(argument: _talkmesh_v1_PauseSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_PauseSessionResponse__Output>): grpc.ClientUnaryCall;
  pauseSession(argument: _talkmesh_v1_PauseSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_PauseSessionResponse__Output>): grpc.ClientUnaryCall;
  pauseSession(argument: _talkmesh_v1_PauseSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_PauseSessionResponse__Output>): grpc.ClientUnaryCall;
  pauseSession(argument: _talkmesh_v1_PauseSessionRequest, callback: grpc.requestCallback<_talkmesh_v1_PauseSessionResponse__Output>): grpc.ClientUnaryCall;
  
  ResumeSession(argument: _talkmesh_v1_ResumeSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  ResumeSession(argument: _talkmesh_v1_ResumeSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  ResumeSession(argument: _talkmesh_v1_ResumeSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  ResumeSession(argument: _talkmesh_v1_ResumeSessionRequest, callback: grpc.requestCallback<_talkmesh_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  resumeSession(argument: _talkmesh_v1_ResumeSessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  resumeSession(argument: _talkmesh_v1_ResumeSessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  resumeSession(argument: _talkmesh_v1_ResumeSessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  resumeSession(argument: _talkmesh_v1_ResumeSessionRequest, callback: grpc.requestCallback<_talkmesh_v1_ResumeSessionResponse__Output>): grpc.ClientUnaryCall;
  
  SaySession(argument: _talkmesh_v1_SaySessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_SaySessionResponse__Output>): grpc.ClientUnaryCall;
  SaySession(argument: _talkmesh_v1_SaySessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_SaySessionResponse__Output>): grpc.ClientUnaryCall;
  SaySession(argument: _talkmesh_v1_SaySessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_SaySessionResponse__Output>): grpc.ClientUnaryCall;
  SaySession(argument: _talkmesh_v1_SaySessionRequest, callback: grpc.requestCallback<_talkmesh_v1_SaySessionResponse__Output>): grpc.ClientUnaryCall;
  saySession(argument: _talkmesh_v1_SaySessionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_SaySessionResponse__Output>): grpc.ClientUnaryCall;
  saySession(argument: _talkmesh_v1_SaySessionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_SaySessionResponse__Output>): grpc.ClientUnaryCall;
  saySession(argument: _talkmesh_v1_SaySessionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_SaySessionResponse__Output>): grpc.ClientUnaryCall;
  saySession(argument: _talkmesh_v1_SaySessionRequest, callback: grpc.requestCallback<_talkmesh_v1_SaySessionResponse__Output>): grpc.ClientUnaryCall;
  
  StartInput(argument: _talkmesh_v1_StartInputRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  StartInput(argument: _talkmesh_v1_StartInputRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  StartInput(argument: _talkmesh_v1_StartInputRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  StartInput(argument: _talkmesh_v1_StartInputRequest, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  startInput(argument: _talkmesh_v1_StartInputRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  startInput(argument: _talkmesh_v1_StartInputRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  startInput(argument: _talkmesh_v1_StartInputRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  startInput(argument: _talkmesh_v1_StartInputRequest, callback: grpc.requestCallback<_talkmesh_v1_StartInputResponse__Output>): grpc.ClientUnaryCall;
  
  StopRecording(argument: _talkmesh_v1_StopRecordingRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  StopRecording(argument: _talkmesh_v1_StopRecordingRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  StopRecording(argument: _talkmesh_v1_StopRecordingRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  StopRecording(argument: _talkmesh_v1_StopRecordingRequest, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  stopRecording(argument: _talkmesh_v1_StopRecordingRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  stopRecording(argument: _talkmesh_v1_StopRecordingRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  stopRecording(argument: _talkmesh_v1_StopRecordingRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  stopRecording(argument: _talkmesh_v1_StopRecordingRequest, callback: grpc.requestCallback<_talkmesh_v1_Recording__Output>): grpc.ClientUnaryCall;
  
  WatchEvents(argument: _talkmesh_v1_WatchEventsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_talkmesh_v1_SessionEvent__Output>;
  WatchEvents(argument: _talkmesh_v1_WatchEventsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_talkmesh_v1_SessionEvent__Output>;
  watchEvents(argument: _talkmesh_v1_WatchEventsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_talkmesh_v1_SessionEvent__Output>;
  watchEvents(argument: _talkmesh_v1_WatchEventsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_talkmesh_v1_SessionEvent__Output>;
  
}

export interface SessionServiceHandlers extends grpc.UntypedServiceImplementation {
  AnswerTool: grpc.handleUnaryCall<_talkmesh_v1_AnswerToolRequest__Output, _talkmesh_v1_AnswerToolResponse>;
  
  CancelInput: grpc.handleUnaryCall<_talkmesh_v1_CancelInputRequest__Output, _talkmesh_v1_CancelInputResponse>;
  
  CommitInput: grpc.handleUnaryCall<_talkmesh_v1_CommitInputRequest__Output, _talkmesh_v1_CommitInputResponse>;
  
  CreateSession: grpc.handleUnaryCall<_talkmesh_v1_CreateSessionRequest__Output, _talkmesh_v1_CreateSessionResponse>;
  
  DeleteRecording: grpc.handleUnaryCall<_talkmesh_v1_DeleteRecordingRequest__Output, _talkmesh_v1_DeleteRecordingResponse>;
  
  DownloadRecording: grpc.handleServerStreamingCall<_talkmesh_v1_DownloadRecordingRequest__Output, _talkmesh_v1_RecordingData>;
  
  EndSession: grpc.handleUnaryCall<_talkmesh_v1_EndSessionRequest__Output, _talkmesh_v1_EndSessionResponse>;
  
  GetRecording: grpc.handleUnaryCall<_talkmesh_v1_GetRecordingRequest__Output, _talkmesh_v1_Recording>;
  
  GetSession: grpc.handleUnaryCall<_talkmesh_v1_GetSessionRequest__Output, _talkmesh_v1_Session>;
  
  InterruptSession: grpc.handleUnaryCall<_talkmesh_v1_InterruptSessionRequest__Output, _talkmesh_v1_InterruptSessionResponse>;
  
  ListRecordings: grpc.handleUnaryCall<_talkmesh_v1_ListRecordingsRequest__Output, _talkmesh_v1_ListRecordingsResponse>;
  
  ListSessions: grpc.handleUnaryCall<_talkmesh_v1_ListSessionsRequest__Output, _talkmesh_v1_ListSessionsResponse>;
  
  PauseSession: grpc.handleUnaryCall<_talkmesh_v1_PauseSessionRequest__Output, _talkmesh_v1_PauseSessionResponse>;
  
  ResumeSession: grpc.handleUnaryCall<_talkmesh_v1_ResumeSessionRequest__Output, _talkmesh_v1_ResumeSessionResponse>;
  
  SaySession: grpc.handleUnaryCall<_talkmesh_v1_SaySessionRequest__Output, _talkmesh_v1_SaySessionResponse>;
  
  StartInput: grpc.handleUnaryCall<_talkmesh_v1_StartInputRequest__Output, _talkmesh_v1_StartInputResponse>;
  
  StopRecording: grpc.handleUnaryCall<_talkmesh_v1_StopRecordingRequest__Output, _talkmesh_v1_Recording>;
  
  WatchEvents: grpc.handleServerStreamingCall<_talkmesh_v1_WatchEventsRequest__Output, _talkmesh_v1_SessionEvent>;
  
}

export interface SessionServiceDefinition extends grpc.ServiceDefinition {
  AnswerTool: MethodDefinition<_talkmesh_v1_AnswerToolRequest, _talkmesh_v1_AnswerToolResponse, _talkmesh_v1_AnswerToolRequest__Output, _talkmesh_v1_AnswerToolResponse__Output>
  CancelInput: MethodDefinition<_talkmesh_v1_CancelInputRequest, _talkmesh_v1_CancelInputResponse, _talkmesh_v1_CancelInputRequest__Output, _talkmesh_v1_CancelInputResponse__Output>
  CommitInput: MethodDefinition<_talkmesh_v1_CommitInputRequest, _talkmesh_v1_CommitInputResponse, _talkmesh_v1_CommitInputRequest__Output, _talkmesh_v1_CommitInputResponse__Output>
  CreateSession: MethodDefinition<_talkmesh_v1_CreateSessionRequest, _talkmesh_v1_CreateSessionResponse, _talkmesh_v1_CreateSessionRequest__Output, _talkmesh_v1_CreateSessionResponse__Output>
  DeleteRecording: MethodDefinition<_talkmesh_v1_DeleteRecordingRequest, _talkmesh_v1_DeleteRecordingResponse, _talkmesh_v1_DeleteRecordingRequest__Output, _talkmesh_v1_DeleteRecordingResponse__Output>
  DownloadRecording: MethodDefinition<_talkmesh_v1_DownloadRecordingRequest, _talkmesh_v1_RecordingData, _talkmesh_v1_DownloadRecordingRequest__Output, _talkmesh_v1_RecordingData__Output>
  EndSession: MethodDefinition<_talkmesh_v1_EndSessionRequest, _talkmesh_v1_EndSessionResponse, _talkmesh_v1_EndSessionRequest__Output, _talkmesh_v1_EndSessionResponse__Output>
  GetRecording: MethodDefinition<_talkmesh_v1_GetRecordingRequest, _talkmesh_v1_Recording, _talkmesh_v1_GetRecordingRequest__Output, _talkmesh_v1_Recording__Output>
  GetSession: MethodDefinition<_talkmesh_v1_GetSessionRequest, _talkmesh_v1_Session, _talkmesh_v1_GetSessionRequest__Output, _talkmesh_v1_Session__Output>
  InterruptSession: MethodDefinition<_talkmesh_v1_InterruptSessionRequest, _talkmesh_v1_InterruptSessionResponse, _talkmesh_v1_InterruptSessionRequest__Output, _talkmesh_v1_InterruptSessionResponse__Output>
  ListRecordings: MethodDefinition<_talkmesh_v1_ListRecordingsRequest, _talkmesh_v1_ListRecordingsResponse, _talkmesh_v1_ListRecordingsRequest__Output, _talkmesh_v1_ListRecordingsResponse__Output>
  ListSessions: MethodDefinition<_talkmesh_v1_ListSessionsRequest, _talkmesh_v1_ListSessionsResponse, _talkmesh_v1_ListSessionsRequest__Output, _talkmesh_v1_ListSessionsResponse__Output>
  PauseSession: MethodDefinition<_talkmesh_v1_PauseSessionRequest, _talkmesh_v1_PauseSessionResponse, _talkmesh_v1_PauseSessionRequest__Output, _talkmesh_v1_PauseSessionResponse__Output>
  ResumeSession: MethodDefinition<_talkmesh_v1_ResumeSessionRequest, _talkmesh_v1_ResumeSessionResponse, _talkmesh_v1_ResumeSessionRequest__Output, _talkmesh_v1_ResumeSessionResponse__Output>
  SaySession: MethodDefinition<_talkmesh_v1_SaySessionRequest, _talkmesh_v1_SaySessionResponse, _talkmesh_v1_SaySessionRequest__Output, _talkmesh_v1_SaySessionResponse__Output>
  StartInput: MethodDefinition<_talkmesh_v1_StartInputRequest, _talkmesh_v1_StartInputResponse, _talkmesh_v1_StartInputRequest__Output, _talkmesh_v1_StartInputResponse__Output>
  StopRecording: MethodDefinition<_talkmesh_v1_StopRecordingRequest, _talkmesh_v1_Recording, _talkmesh_v1_StopRecordingRequest__Output, _talkmesh_v1_Recording__Output>
  WatchEvents: MethodDefinition<_talkmesh_v1_WatchEventsRequest, _talkmesh_v1_SessionEvent, _talkmesh_v1_WatchEventsRequest__Output, _talkmesh_v1_SessionEvent__Output>
}
