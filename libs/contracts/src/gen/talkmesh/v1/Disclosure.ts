// Original file: protos/talkmesh/v1/stage.proto


export interface Disclosure {
  'label'?: (string);
  'badge'?: (boolean);
}

export interface Disclosure__Output {
  'label': (string);
  'badge': (boolean);
}
