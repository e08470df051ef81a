// Original file: protos/talkmesh/v1/stage.proto


export interface BridgeOptions {
  'provider'?: (string);
  'voice'?: (string);
}

export interface BridgeOptions__Output {
  'provider': (string);
  'voice': (string);
}
