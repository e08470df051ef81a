import { z } from 'zod';
import type { AvatarCatalogue } from '../avatars.js';
import { avatarList } from '../schemas.js';
import { type Operation, param } from './routes.js';

/** The avatars of the model. Pictures are public, so that an `<img>` can show them. */
export function avatarOperations(avatars: AvatarCatalogue): Operation[] {
  return [
    {
      method: 'GET',
      path: '/v1/avatars',
      id: 'listAvatars',
      summary: 'The avatars there are, and the size and rate of their picture',
      access: 'any',
      status: 200,
      answer: { schema: avatarList, type: 'application/json' },
      errors: [],
      handle: async () => {
        const { width, height, fps } = avatars.manifest;
        const list = avatars.all.map(({ id, name, style }) => ({ id, name, style, image: `/v1/avatars/${id}/image` }));
        return { model: avatars.model, width, height, fps, avatars: list };
      },
    },
    {
      method: 'GET',
      path: '/v1/avatars/{id}/image',
      id: 'getAvatarImage',
      summary: 'The reference picture of an avatar',
      access: 'public',
      status: 200,
      answer: { schema: z.string(), type: 'image/png' },
      errors: ['AVATAR_NOT_FOUND'],
      handle: async (request, reply) => {
        const { png, etag } = avatars.picture(param(request, 'id'));
        reply.headers({
          etag,
          'cache-control': 'public, max-age=3600',
          'cross-origin-resource-policy': 'cross-origin',
        });
        if (request.headers['if-none-match'] === etag) return reply.code(304).send();
        reply.type('image/png');
        return png;
      },
    },
  ];
}
