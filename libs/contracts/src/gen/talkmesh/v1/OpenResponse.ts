// Original file: protos/talkmesh/v1/stage.proto


export interface OpenResponse {
}

export interface OpenResponse__Output {
}
