// Original file: protos/talkmesh/v1/picture.proto

import type { PictureReason as _talkmesh_v1_PictureReason, PictureReason__Output as _talkmesh_v1_PictureReason__Output } from '../../talkmesh/v1/PictureReason.js';

export interface InspectPictureResponse {
  'landmarks'?: (number | string)[];
  'kinds'?: ({[key: string]: number | string});
  'confidence'?: (number | string)[];
  'found'?: (boolean);
  'fits'?: (boolean);
  'reasons'?: (_talkmesh_v1_PictureReason)[];
}

export interface InspectPictureResponse__Output {
  'landmarks': (number)[];
  'kinds': ({[key: string]: number});
  'confidence': (number)[];
  'found': (boolean);
  'fits': (boolean);
  'reasons': (_talkmesh_v1_PictureReason__Output)[];
}
