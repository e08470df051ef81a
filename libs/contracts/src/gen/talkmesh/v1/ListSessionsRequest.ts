// Original file: protos/talkmesh/v1/session.proto


export interface ListSessionsRequest {
}

export interface ListSessionsRequest__Output {
}
