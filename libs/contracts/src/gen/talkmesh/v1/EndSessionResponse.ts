// Original file: protos/talkmesh/v1/session.proto


export interface EndSessionResponse {
}

export interface EndSessionResponse__Output {
}
