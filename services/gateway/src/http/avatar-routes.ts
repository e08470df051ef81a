import { isOwnAvatar } from '@talkmesh/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { AvatarCatalogue, AvatarPicture } from '../avatar-catalogue.js';
import { avatarList, OWN_STYLE } from '../schemas.js';
import { type Operation, param } from './routes.js';

const imageOf = (id: string): string => `/v1/avatars/${id}/image`;

function sendPicture({ bytes, etag }: AvatarPicture, type: string, request: FastifyRequest, reply: FastifyReply) {
  reply.headers({ etag, 'cache-control': 'public, max-age=3600', 'cross-origin-resource-policy': 'cross-origin' });
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  reply.type(type);
  return bytes;
}

/** The avatars of the model. Their pictures are public, because an `<img>` cannot send a token. */
export function avatarOperations(avatars: AvatarCatalogue): Operation[] {
  return [
    {
      method: 'GET',
      path: '/v1/avatars',
      id: 'listAvatars',
      summary: 'Lists the avatars of the model, then the own pictures of the caller, with frame size and frame rate',
      access: 'any',
      status: 200,
      answer: { schema: avatarList, type: 'application/json' },
      errors: ['NATS_UNAVAILABLE'],
      handle: async ({ principal }) => {
        const { width, height, fps } = avatars.manifest;
        const list = avatars.all.map(({ id, name, style, idle }) => ({
          ...{ id, name, style, image: imageOf(id) },
          ...(idle !== undefined && { idle: `/v1/avatars/${id}/idle` }),
        }));
        const pictures = principal?.kind === 'key' ? ((await avatars.own?.list(principal.owner)) ?? []) : [];
        const own = pictures.map(({ id, name, expiresAtMs }) => ({
          ...{ id, name, style: OWN_STYLE, image: imageOf(id) },
          expiresAtMs,
        }));
        return { model: avatars.model, width, height, fps, avatars: [...list, ...own] };
      },
    },
    {
      method: 'GET',
      path: '/v1/avatars/{id}/image',
      id: 'getAvatarImage',
      summary: 'The picture of an avatar; own pictures are readable by every caller that knows the id',
      access: 'public',
      status: 200,
      answer: { schema: z.string(), type: 'image/png' },
      errors: ['AVATAR_NOT_FOUND', 'NATS_UNAVAILABLE'],
      handle: async (request, reply) => {
        const id = param(request, 'id');
        if (avatars.own !== undefined && isOwnAvatar(id)) {
          reply.headers({ 'cache-control': 'private, no-store' }).type('image/png');
          return avatars.own.png(id);
        }
        return sendPicture(avatars.picture(id), 'image/png', request, reply);
      },
    },
    {
      method: 'GET',
      path: '/v1/avatars/{id}/idle',
      id: 'getAvatarIdle',
      summary: 'A few seconds of an avatar in silence, made by the model, which repeat without end',
      access: 'public',
      status: 200,
      answer: { schema: z.string(), type: 'image/avif' },
      errors: ['AVATAR_NOT_FOUND'],
      handle: async (request, reply) => sendPicture(avatars.idle(param(request, 'id')), 'image/avif', request, reply),
    },
  ];
}
