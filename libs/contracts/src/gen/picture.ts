import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { InspectPictureRequest as _talkmesh_v1_InspectPictureRequest, InspectPictureRequest__Output as _talkmesh_v1_InspectPictureRequest__Output } from './talkmesh/v1/InspectPictureRequest.js';
import type { InspectPictureResponse as _talkmesh_v1_InspectPictureResponse, InspectPictureResponse__Output as _talkmesh_v1_InspectPictureResponse__Output } from './talkmesh/v1/InspectPictureResponse.js';
import type { PictureReason as _talkmesh_v1_PictureReason, PictureReason__Output as _talkmesh_v1_PictureReason__Output } from './talkmesh/v1/PictureReason.js';
import type { PictureServiceClient as _talkmesh_v1_PictureServiceClient, PictureServiceDefinition as _talkmesh_v1_PictureServiceDefinition } from './talkmesh/v1/PictureService.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  talkmesh: {
    v1: {
      InspectPictureRequest: MessageTypeDefinition<_talkmesh_v1_InspectPictureRequest, _talkmesh_v1_InspectPictureRequest__Output>
      InspectPictureResponse: MessageTypeDefinition<_talkmesh_v1_InspectPictureResponse, _talkmesh_v1_InspectPictureResponse__Output>
      PictureReason: MessageTypeDefinition<_talkmesh_v1_PictureReason, _talkmesh_v1_PictureReason__Output>
      PictureService: SubtypeConstructor<typeof grpc.Client, _talkmesh_v1_PictureServiceClient> & { service: _talkmesh_v1_PictureServiceDefinition }
    }
  }
}

