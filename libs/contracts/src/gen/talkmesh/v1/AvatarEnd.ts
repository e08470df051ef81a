// Original file: protos/talkmesh/v1/media.proto


export interface AvatarEnd {
}

export interface AvatarEnd__Output {
}
