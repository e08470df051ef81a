// Original file: protos/talkmesh/v1/media.proto


export interface OfferRequest {
  'sessionId'?: (string);
  'sdp'?: (string);
}

export interface OfferRequest__Output {
  'sessionId': (string);
  'sdp': (string);
}
