// Original file: protos/talkmesh/v1/media.proto


export interface HangupResponse {
}

export interface HangupResponse__Output {
}
