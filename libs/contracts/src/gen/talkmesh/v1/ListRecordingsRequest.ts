// Original file: protos/talkmesh/v1/session.proto


export interface ListRecordingsRequest {
  'limit'?: (number);
  'cursor'?: (string);
}

export interface ListRecordingsRequest__Output {
  'limit': (number);
  'cursor': (string);
}
