// Original file: protos/talkmesh/v1/session.proto


export interface ListRecordingsRequest {
}

export interface ListRecordingsRequest__Output {
}
