// Original file: protos/talkmesh/v1/media.proto


export interface AvatarCleared {
}

export interface AvatarCleared__Output {
}
