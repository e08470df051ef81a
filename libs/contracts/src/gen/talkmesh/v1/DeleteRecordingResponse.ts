// Original file: protos/talkmesh/v1/session.proto


export interface DeleteRecordingResponse {
}

export interface DeleteRecordingResponse__Output {
}
