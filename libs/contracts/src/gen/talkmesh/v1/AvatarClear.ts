// Original file: protos/talkmesh/v1/media.proto


export interface AvatarClear {
}

export interface AvatarClear__Output {
}
