import { type Landmarks, MeshError } from '@talkmesh/contracts';
import type { FastifyRequest } from 'fastify';
import type { Audit } from '../audit.js';
import { ownerFilter } from '../auth.js';
import type { AvatarCatalogue } from '../avatar-catalogue.js';
import { FairQueue } from '../fair-queue.js';
import type { OwnAvatarRecord, OwnAvatars } from '../own-avatars.js';
import { type Inspect, makeAvatar } from '../picture/make-avatar.js';
import { typeOf } from '../picture/picture-header.js';
import type { PictureHints } from '../picture/picture-hints.js';
import type { PictureLimits } from '../picture/picture-process.js';
import * as schemas from '../schemas.js';
import { check, HttpRefusal } from './problems.js';
import { callerSignal, keyOf, type Operation, param } from './routes.js';

export interface OwnAvatarRoutes {
  readonly own: OwnAvatars;
  readonly catalogue: AvatarCatalogue;
  readonly inspect: Inspect;
  readonly audit: Audit;
  readonly maxPictureBytes: number;
  readonly maxPicturePixels: number;
  readonly pictureDeadlineMs: number;
}

export const PICTURE_TYPES = ['image/png', 'image/jpeg'] as const;
const MAX_PICTURES_AT_ONCE = 2;
/** One key leaves a place for the others. */
const MAX_PICTURES_PER_KEY = 1;
const MAX_WAITING_PER_KEY = 4;
const MAX_WAITING = 16;
const UNNAMED = 'Your picture';

/** Own pictures: a user uploads one, it is cropped for the model, kept until it expires, and used like any other avatar. */
export function ownAvatarOperations(options: OwnAvatarRoutes): Operation[] {
  const queue = new FairQueue({
    permits: MAX_PICTURES_AT_ONCE,
    permitsPerKey: MAX_PICTURES_PER_KEY,
    waitingPerKey: MAX_WAITING_PER_KEY,
    waiting: MAX_WAITING,
    refusal: () =>
      new MeshError('RATE_LIMITED', 'too many pictures are being processed; try again in a few seconds', {
        retryAfterMs: 5000,
      }),
  });
  const limits = pictureLimits(options);
  const { manifest } = options.catalogue;
  return [
    {
      method: 'POST',
      path: '/v1/avatars',
      id: 'createAvatar',
      summary: 'Makes an avatar from a picture: finds mouth and eyes and reports how well the picture suits the model',
      access: 'key',
      body: { schema: schemas.createAvatarBody, types: ['application/json'], files: PICTURE_TYPES },
      // base64 needs 4 characters for 3 bytes; 4096 bytes are enough for the other fields.
      bodyLimitBytes: Math.ceil(options.maxPictureBytes / 3) * 4 + 4096,
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
        const { file, hints } = pictureOf(request, options.maxPictureBytes);
        const signal = AbortSignal.any([callerSignal(reply), AbortSignal.timeout(options.pictureDeadlineMs)]);
        const make = () => makeAvatar(file, hints, { manifest, inspect: options.inspect, limits }, signal);
        const key = keyOf(request);
        const { owner } = key;
        const { png, landmarks, ...rest } = await queue.run(owner, make, signal);
        const record = await options.own.create({
          owner,
          name: hints.name ?? UNNAMED,
          png,
          landmarks: landmarks && rounded(landmarks),
          ...rest,
        });
        options.audit.record(key, 'createAvatar', { avatarId: record.id, owner, expiresAtMs: record.expiresAtMs });
        reply.header('location', `/v1/avatars/${record.id}`);
        return publicAvatar(record, options.catalogue);
      },
    },
    {
      method: 'GET',
      path: '/v1/avatars/{id}',
      id: 'getAvatar',
      summary: 'One own picture: positions of mouth and eyes, and the verdict',
      access: 'key',
      status: 200,
      answer: { schema: schemas.ownAvatar, type: 'application/json' },
      errors: ['AVATAR_NOT_FOUND', 'NATS_UNAVAILABLE'],
      handle: async (request) => {
        const key = keyOf(request);
        const record = await options.own.get(param(request, 'id'), ownerFilter(key));
        options.audit.record(key, 'getAvatar', { avatarId: record.id, owner: record.owner });
        return publicAvatar(record, options.catalogue);
      },
    },
    {
      method: 'DELETE',
      path: '/v1/avatars/{id}',
      id: 'deleteAvatar',
      summary: 'Deletes an own picture; sessions that already use it continue',
      access: 'key',
      status: 204,
      errors: ['AVATAR_NOT_FOUND', 'NATS_UNAVAILABLE'],
      handle: async (request) => {
        const key = keyOf(request);
        const { id, owner } = await options.own.delete(param(request, 'id'), ownerFilter(key));
        options.audit.record(key, 'deleteAvatar', { avatarId: id, owner });
      },
    },
  ];
}

/** Room for the largest picture in every encoding: pixels as bytes, as samples of 16 bits, and as blocks of a JPEG. */
const MEMORY_BYTES_PER_PIXEL = 32;
const BASE_MEMORY_MB = 160;

function pictureLimits({ maxPicturePixels, pictureDeadlineMs }: OwnAvatarRoutes): PictureLimits {
  return {
    maxPixels: maxPicturePixels,
    memoryMb: BASE_MEMORY_MB + Math.ceil((maxPicturePixels * MEMORY_BYTES_PER_PIXEL) / 2 ** 20),
    cpuSeconds: Math.ceil(pictureDeadlineMs / 1000),
  };
}

/** The picture file of a request, sent as the body itself or as base64 in JSON. @throws MeshError ARGUMENT_INVALID (400, 415), BODY_TOO_LARGE */
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
      `the picture has more than ${Math.floor(maxBytes / 1e6)} MB: send a smaller file`,
    );
  if (typeOf(file) === undefined) throw new HttpRefusal(415, 'the file is neither PNG nor JPEG: send one of these');
  return { file, hints };
}

const ofFace = ([mouth, leftEye, rightEye]: Landmarks) => ({ mouth, leftEye, rightEye });
const round = (value: number): number => Math.round(value * 100) / 100;
const rounded = (landmarks: Landmarks): Landmarks => landmarks.map(([x, y]) => [round(x), round(y)]) as Landmarks;

/** The answer to the owner; the owner's name is left out. */
function publicAvatar(record: OwnAvatarRecord, { manifest }: AvatarCatalogue) {
  const { id, name, landmarks, size = manifest.width, picture, crop, verdict, createdAtMs, expiresAtMs } = record;
  const scale = size / manifest.width;
  const inImage = ([x, y]: Landmarks[0]): [number, number] => [round(x * scale), round(y * scale)];
  const { left, top, side } = crop;
  const inPicture = ([x, y]: Landmarks[0]): [number, number] => [
    round(left + (x * side) / manifest.width),
    round(top + (y * side) / manifest.height),
  ];
  return {
    ...{ id, name, style: schemas.OWN_STYLE, image: `/v1/avatars/${id}/image` },
    ...(landmarks && { landmarks: ofFace(landmarks.map(inImage) as Landmarks) }),
    ...boxesOf(record, scale, manifest.portrait),
    source: {
      ...picture,
      crop: { left: round(left), top: round(top), side: round(side) },
      ...(landmarks && { landmarks: ofFace(landmarks.map(inPicture) as Landmarks) }),
    },
    verdict,
    createdAtMs,
    expiresAtMs,
  };
}

type Portrait = AvatarCatalogue['manifest']['portrait'];

/** The rectangle that the decoder redraws around each landmark. */
function boxesOf({ landmarks }: OwnAvatarRecord, scale: number, portrait: Portrait) {
  if (portrait === undefined || landmarks === undefined) return {};
  const { mouth, leftEye, rightEye } = ofFace(landmarks);
  const box = ([x, y]: Landmarks[0], [width, height, above]: readonly [number, number, number]) =>
    [x - width / 2, y - above, x + width / 2, y - above + height].map((place) => round(place * scale));
  const { boxes } = portrait;
  return {
    boxes: {
      mouth: box(mouth, boxes.mouth),
      leftEye: box(leftEye, boxes.eye),
      rightEye: box(rightEye, boxes.eye),
    },
  };
}
