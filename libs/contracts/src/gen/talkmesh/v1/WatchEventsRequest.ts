// Original file: protos/talkmesh/v1/session.proto


export interface WatchEventsRequest {
  'sessionId'?: (string);
  'lastEventId'?: (string);
}

export interface WatchEventsRequest__Output {
  'sessionId': (string);
  'lastEventId': (string);
}
