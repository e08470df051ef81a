// Original file: protos/talkmesh/v1/stage.proto


export interface ToolDefinition {
  'name'?: (string);
  'description'?: (string);
  'parametersJson'?: (string);
}

export interface ToolDefinition__Output {
  'name': (string);
  'description': (string);
  'parametersJson': (string);
}
