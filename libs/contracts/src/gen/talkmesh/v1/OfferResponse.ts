// Original file: protos/talkmesh/v1/media.proto


export interface OfferResponse {
  'sdp'?: (string);
  'resourceId'?: (string);
}

export interface OfferResponse__Output {
  'sdp': (string);
  'resourceId': (string);
}
