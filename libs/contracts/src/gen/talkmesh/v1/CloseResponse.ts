// Original file: protos/talkmesh/v1/stage.proto


export interface CloseResponse {
}

export interface CloseResponse__Output {
}
