// Original file: protos/talkmesh/v1/media.proto


export interface AvatarLeave {
}

export interface AvatarLeave__Output {
}
