// Original file: protos/talkmesh/v1/stage.proto


export interface StatsRequest {
}

export interface StatsRequest__Output {
}
