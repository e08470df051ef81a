import { type Landmarks, MeshError } from '@talkmesh/contracts';
import type { FastifyRequest } from 'fastify';
import type { AvatarCatalogue } from '../avatars.js';
import type { OwnAvatarRecord, OwnAvatars } from '../own-avatars.js';
import { type Inspect, makeAvatar } from '../picture/make-avatar.js';
import { typeOf } from '../picture/picture-header.js';
import type { PictureHints } from '../picture/picture-hints.js';
import { Turnstile } from '../picture/turnstile.js';
import * as schemas from '../schemas.js';
import { check, HttpRefusal } from './problems.js';
import { callerSignal, type Operation, ownerOf, param } from './routes.js';

export interface OwnAvatarRoutes {
  readonly own: OwnAvatars;
  readonly catalogue: AvatarCatalogue;
  readonly inspect: Inspect;
  readonly maxPictureBytes: number;
  readonly maxPicturePixels: number;
  readonly pictureDeadlineMs: number;
}

export const PICTURE_TYPES = ['image/png', 'image/jpeg'] as const;
const AT_ONCE = 2;
const MAY_WAIT = 8;
const UNNAMED = 'Your picture';

/** People's own pictures: made fit for the model, kept for a while, used like any avatar. */
export function ownAvatarOperations(o: OwnAvatarRoutes): Operation[] {
  const turnstile = new Turnstile(AT_ONCE, MAY_WAIT);
  const { manifest } = o.catalogue;
  return [
    {
      method: 'POST',
      path: '/v1/avatars',
      id: 'createAvatar',
      summary: 'Makes an avatar of a picture: finds mouth and eyes, says how well it fits the model',
      access: 'key',
      body: { schema: schemas.createAvatarBody, types: ['application/json'], files: PICTURE_TYPES },
      // base64 takes 4 bytes for 3; the rest of the JSON is short
      bodyLimitBytes: Math.ceil(o.maxPictureBytes / 3) * 4 + 4096,
      status: 201,
      answer: { schema: schemas.ownAvatar, type: 'application/json', headers: { Location: 'Path of the avatar' } },
      errors: [
        'ARGUMENT_INVALID',
        'BODY_TOO_LARGE',
        'PICTURE_INVALID',
        'FACE_NOT_FOUND',
        'AVATAR_LIMIT',
        'NO_WORKER',
        'DEADLINE_EXCEEDED',
        'NATS_UNAVAILABLE',
      ],
      handle: async (request, reply) => {
        const { file, hints } = pictureOf(request, o.maxPictureBytes);
        const signal = AbortSignal.any([callerSignal(reply), AbortSignal.timeout(o.pictureDeadlineMs)]);
        const options = { manifest, inspect: o.inspect, maxPixels: o.maxPicturePixels };
        const { png, landmarks, ...made } = await turnstile.run(() => makeAvatar(file, hints, options, signal));
        const owner = ownerOf(request);
        const record = await o.own.create({
          owner,
          name: hints.name ?? UNNAMED,
          png,
          landmarks: tidy(landmarks),
          ...made,
        });
        reply.header('location', `/v1/avatars/${record.id}`);
        return publicAvatar(record, o.catalogue);
      },
    },
    {
      method: 'GET',
      path: '/v1/avatars/{id}',
      id: 'getAvatar',
      summary: 'One own picture: where mouth and eyes are, and the verdict',
      access: 'key',
      status: 200,
      answer: { schema: schemas.ownAvatar, type: 'application/json' },
      errors: ['AVATAR_NOT_FOUND', 'NATS_UNAVAILABLE'],
      handle: async (request) => publicAvatar(await o.own.get(param(request, 'id'), ownerOf(request)), o.catalogue),
    },
    {
      method: 'DELETE',
      path: '/v1/avatars/{id}',
      id: 'deleteAvatar',
      summary: 'Removes an own picture for good; calls that are open go on',
      access: 'key',
      status: 204,
      errors: ['AVATAR_NOT_FOUND', 'NATS_UNAVAILABLE'],
      handle: async (request) => {
        await o.own.delete(param(request, 'id'), ownerOf(request));
      },
    },
  ];
}

/** The file of a request, as it is or as base64 in JSON. @throws MeshError ARGUMENT_INVALID (400, 415), BODY_TOO_LARGE */
function pictureOf(request: FastifyRequest, maxBytes: number): { file: Uint8Array; hints: PictureHints } {
  let file: Uint8Array;
  let hints: PictureHints = {};
  if (Buffer.isBuffer(request.body)) file = request.body;
  else {
    const { image, ...rest } = check(schemas.createAvatarBody, request.body ?? {});
    file = Buffer.from(image, 'base64');
    hints = rest;
  }
  if (file.byteLength > maxBytes)
    throw new MeshError(
      'BODY_TOO_LARGE',
      `the picture has more than ${Math.floor(maxBytes / 1e6)} MB: make it smaller`,
    );
  if (typeOf(file) === undefined) throw new HttpRefusal(415, 'send a PNG or a JPEG file');
  return { file, hints };
}

const round = (value: number): number => Math.round(value * 100) / 100;
const tidy = (landmarks: Landmarks): Landmarks => landmarks.map(([x, y]) => [round(x), round(y)]) as Landmarks;

/** What the owner is told: no owner in it. */
function publicAvatar(record: OwnAvatarRecord, { manifest }: AvatarCatalogue) {
  const { id, name, landmarks, picture, crop, verdict, createdAtMs, expiresAtMs } = record;
  const [mouth, leftEye, rightEye] = landmarks;
  const { left, top, side } = crop;
  const inPicture = ([x, y]: Landmarks[0]): [number, number] => [
    round(left + (x * side) / manifest.width),
    round(top + (y * side) / manifest.height),
  ];
  return {
    ...{ id, name, style: schemas.OWN_STYLE, image: `/v1/avatars/${id}/image` },
    landmarks: { mouth, leftEye, rightEye },
    ...boxesOf(record, manifest.portrait),
    source: {
      ...picture,
      crop: { left: round(left), top: round(top), side: round(side) },
      landmarks: { mouth: inPicture(mouth), leftEye: inPicture(leftEye), rightEye: inPicture(rightEye) },
    },
    verdict,
    createdAtMs,
    expiresAtMs,
  };
}

type Portrait = AvatarCatalogue['manifest']['portrait'];

/** What the decoder redraws around each landmark. */
function boxesOf({ landmarks }: OwnAvatarRecord, portrait: Portrait) {
  if (portrait === undefined) return {};
  const [mouth, leftEye, rightEye] = landmarks;
  const box = ([x, y]: Landmarks[0], [width, height, above]: readonly [number, number, number]) =>
    [round(x - width / 2), round(y - above), round(x + width / 2), round(y - above + height)] as const;
  const { boxes } = portrait;
  return {
    boxes: {
      mouth: box(mouth, boxes.mouth),
      leftEye: box(leftEye, boxes.eye),
      rightEye: box(rightEye, boxes.eye),
    },
  };
}
