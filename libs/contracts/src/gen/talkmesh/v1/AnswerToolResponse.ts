// Original file: protos/talkmesh/v1/media.proto


export interface AnswerToolResponse {
}

export interface AnswerToolResponse__Output {
}
