import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { CreateSessionRequest as _talkmesh_v1_CreateSessionRequest, CreateSessionRequest__Output as _talkmesh_v1_CreateSessionRequest__Output } from './talkmesh/v1/CreateSessionRequest.js';
import type { CreateSessionResponse as _talkmesh_v1_CreateSessionResponse, CreateSessionResponse__Output as _talkmesh_v1_CreateSessionResponse__Output } from './talkmesh/v1/CreateSessionResponse.js';
import type { EndSessionRequest as _talkmesh_v1_EndSessionRequest, EndSessionRequest__Output as _talkmesh_v1_EndSessionRequest__Output } from './talkmesh/v1/EndSessionRequest.js';
import type { EndSessionResponse as _talkmesh_v1_EndSessionResponse, EndSessionResponse__Output as _talkmesh_v1_EndSessionResponse__Output } from './talkmesh/v1/EndSessionResponse.js';
import type { GetSessionRequest as _talkmesh_v1_GetSessionRequest, GetSessionRequest__Output as _talkmesh_v1_GetSessionRequest__Output } from './talkmesh/v1/GetSessionRequest.js';
import type { InterruptSessionRequest as _talkmesh_v1_InterruptSessionRequest, InterruptSessionRequest__Output as _talkmesh_v1_InterruptSessionRequest__Output } from './talkmesh/v1/InterruptSessionRequest.js';
import type { InterruptSessionResponse as _talkmesh_v1_InterruptSessionResponse, InterruptSessionResponse__Output as _talkmesh_v1_InterruptSessionResponse__Output } from './talkmesh/v1/InterruptSessionResponse.js';
import type { ListSessionsRequest as _talkmesh_v1_ListSessionsRequest, ListSessionsRequest__Output as _talkmesh_v1_ListSessionsRequest__Output } from './talkmesh/v1/ListSessionsRequest.js';
import type { ListSessionsResponse as _talkmesh_v1_ListSessionsResponse, ListSessionsResponse__Output as _talkmesh_v1_ListSessionsResponse__Output } from './talkmesh/v1/ListSessionsResponse.js';
import type { PauseSessionRequest as _talkmesh_v1_PauseSessionRequest, PauseSessionRequest__Output as _talkmesh_v1_PauseSessionRequest__Output } from './talkmesh/v1/PauseSessionRequest.js';
import type { PauseSessionResponse as _talkmesh_v1_PauseSessionResponse, PauseSessionResponse__Output as _talkmesh_v1_PauseSessionResponse__Output } from './talkmesh/v1/PauseSessionResponse.js';
import type { ResumeSessionRequest as _talkmesh_v1_ResumeSessionRequest, ResumeSessionRequest__Output as _talkmesh_v1_ResumeSessionRequest__Output } from './talkmesh/v1/ResumeSessionRequest.js';
import type { ResumeSessionResponse as _talkmesh_v1_ResumeSessionResponse, ResumeSessionResponse__Output as _talkmesh_v1_ResumeSessionResponse__Output } from './talkmesh/v1/ResumeSessionResponse.js';
import type { SaySessionRequest as _talkmesh_v1_SaySessionRequest, SaySessionRequest__Output as _talkmesh_v1_SaySessionRequest__Output } from './talkmesh/v1/SaySessionRequest.js';
import type { SaySessionResponse as _talkmesh_v1_SaySessionResponse, SaySessionResponse__Output as _talkmesh_v1_SaySessionResponse__Output } from './talkmesh/v1/SaySessionResponse.js';
import type { Session as _talkmesh_v1_Session, Session__Output as _talkmesh_v1_Session__Output } from './talkmesh/v1/Session.js';
import type { SessionEvent as _talkmesh_v1_SessionEvent, SessionEvent__Output as _talkmesh_v1_SessionEvent__Output } from './talkmesh/v1/SessionEvent.js';
import type { SessionServiceClient as _talkmesh_v1_SessionServiceClient, SessionServiceDefinition as _talkmesh_v1_SessionServiceDefinition } from './talkmesh/v1/SessionService.js';
import type { WatchEventsRequest as _talkmesh_v1_WatchEventsRequest, WatchEventsRequest__Output as _talkmesh_v1_WatchEventsRequest__Output } from './talkmesh/v1/WatchEventsRequest.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  talkmesh: {
    v1: {
      CreateSessionRequest: MessageTypeDefinition<_talkmesh_v1_CreateSessionRequest, _talkmesh_v1_CreateSessionRequest__Output>
      CreateSessionResponse: MessageTypeDefinition<_talkmesh_v1_CreateSessionResponse, _talkmesh_v1_CreateSessionResponse__Output>
      EndSessionRequest: MessageTypeDefinition<_talkmesh_v1_EndSessionRequest, _talkmesh_v1_EndSessionRequest__Output>
      EndSessionResponse: MessageTypeDefinition<_talkmesh_v1_EndSessionResponse, _talkmesh_v1_EndSessionResponse__Output>
      GetSessionRequest: MessageTypeDefinition<_talkmesh_v1_GetSessionRequest, _talkmesh_v1_GetSessionRequest__Output>
      InterruptSessionRequest: MessageTypeDefinition<_talkmesh_v1_InterruptSessionRequest, _talkmesh_v1_InterruptSessionRequest__Output>
      InterruptSessionResponse: MessageTypeDefinition<_talkmesh_v1_InterruptSessionResponse, _talkmesh_v1_InterruptSessionResponse__Output>
      ListSessionsRequest: MessageTypeDefinition<_talkmesh_v1_ListSessionsRequest, _talkmesh_v1_ListSessionsRequest__Output>
      ListSessionsResponse: MessageTypeDefinition<_talkmesh_v1_ListSessionsResponse, _talkmesh_v1_ListSessionsResponse__Output>
      PauseSessionRequest: MessageTypeDefinition<_talkmesh_v1_PauseSessionRequest, _talkmesh_v1_PauseSessionRequest__Output>
      PauseSessionResponse: MessageTypeDefinition<_talkmesh_v1_PauseSessionResponse, _talkmesh_v1_PauseSessionResponse__Output>
      ResumeSessionRequest: MessageTypeDefinition<_talkmesh_v1_ResumeSessionRequest, _talkmesh_v1_ResumeSessionRequest__Output>
      ResumeSessionResponse: MessageTypeDefinition<_talkmesh_v1_ResumeSessionResponse, _talkmesh_v1_ResumeSessionResponse__Output>
      SaySessionRequest: MessageTypeDefinition<_talkmesh_v1_SaySessionRequest, _talkmesh_v1_SaySessionRequest__Output>
      SaySessionResponse: MessageTypeDefinition<_talkmesh_v1_SaySessionResponse, _talkmesh_v1_SaySessionResponse__Output>
      Session: MessageTypeDefinition<_talkmesh_v1_Session, _talkmesh_v1_Session__Output>
      SessionEvent: MessageTypeDefinition<_talkmesh_v1_SessionEvent, _talkmesh_v1_SessionEvent__Output>
      SessionService: SubtypeConstructor<typeof grpc.Client, _talkmesh_v1_SessionServiceClient> & { service: _talkmesh_v1_SessionServiceDefinition }
      SessionState: EnumTypeDefinition
      WatchEventsRequest: MessageTypeDefinition<_talkmesh_v1_WatchEventsRequest, _talkmesh_v1_WatchEventsRequest__Output>
    }
  }
}

