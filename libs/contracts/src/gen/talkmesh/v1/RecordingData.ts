// Original file: protos/talkmesh/v1/session.proto


export interface RecordingData {
  'data'?: (Buffer | Uint8Array | string);
}

export interface RecordingData__Output {
  'data': (Buffer);
}
