// Original file: protos/talkmesh/v1/stage.proto


// Original file: protos/talkmesh/v1/stage.proto

export const _talkmesh_v1_EgressOptions_Sink = {
  SINK_UNSPECIFIED: 'SINK_UNSPECIFIED',
  SINK_WEBRTC: 'SINK_WEBRTC',
  SINK_RECORD: 'SINK_RECORD',
} as const;

export type _talkmesh_v1_EgressOptions_Sink =
  | 'SINK_UNSPECIFIED'
  | 0
  | 'SINK_WEBRTC'
  | 1
  | 'SINK_RECORD'
  | 2

export type _talkmesh_v1_EgressOptions_Sink__Output = typeof _talkmesh_v1_EgressOptions_Sink[keyof typeof _talkmesh_v1_EgressOptions_Sink]

export interface EgressOptions {
  'sink'?: (_talkmesh_v1_EgressOptions_Sink);
  'width'?: (number);
  'height'?: (number);
  'fps'?: (number);
}

export interface EgressOptions__Output {
  'sink': (_talkmesh_v1_EgressOptions_Sink__Output);
  'width': (number);
  'height': (number);
  'fps': (number);
}
