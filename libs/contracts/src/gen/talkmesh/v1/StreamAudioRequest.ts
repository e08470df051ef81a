// Original file: protos/talkmesh/v1/media.proto


export interface StreamAudioRequest {
  'sessionId'?: (string);
  'sampleRateHz'?: (number);
  'channels'?: (number);
  'pcm'?: (Buffer | Uint8Array | string);
}

export interface StreamAudioRequest__Output {
  'sessionId': (string);
  'sampleRateHz': (number);
  'channels': (number);
  'pcm': (Buffer);
}
