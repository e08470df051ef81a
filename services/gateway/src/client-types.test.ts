/** The client has its own copies of the API's types, because it has no dependencies. This file compiles only while they agree. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  Avatar,
  ConversationOffer,
  CreatedSession,
  OwnAvatar,
  PictureOptions,
  SessionEvent,
  SessionOptions,
} from '@talkmesh/client';
import type { MeshEvent } from '@talkmesh/contracts';
import type { z } from 'zod';
import { pictureHints } from './picture/picture-hints.js';
import { type avatarList, type createdSession, createSessionBody, type offer, type ownAvatar } from './schemas.js';

/** Without `readonly`, and with absent instead of undefined, which JSON does not have. */
type Plain<T> = T extends object ? { -readonly [K in keyof T]: Plain<Exclude<T[K], undefined>> } : T;
type Same<A, B> = [Exclude<A, B>, Exclude<B, A>] extends [never, never] ? true : never;
type Body = z.input<typeof createSessionBody>;
/** Of the server of a product; not for browsers. */
type OfServers = 'tools' | 'providerKey';

export const sameEvents: [(event: MeshEvent) => SessionEvent, (event: SessionEvent) => MeshEvent] = [
  (e) => e,
  (e) => e,
];
export const accepted: [
  (options: Plain<SessionOptions>) => Plain<Body>,
  (options: Plain<PictureOptions>) => Plain<z.input<typeof pictureHints>>,
] = [(o) => o, (o) => o];
export const answered: [
  (answer: Plain<z.output<typeof createdSession>>) => Plain<CreatedSession>,
  (answer: Plain<z.output<typeof ownAvatar>>) => Plain<OwnAvatar>,
  (answer: Plain<z.output<typeof avatarList>['avatars'][number]>) => Plain<Avatar>,
  (answer: Plain<z.output<typeof offer>>) => Plain<ConversationOffer>,
] = [(a) => a, (a) => a, (a) => a, (a) => a];
export const noneIsMissing: [
  Same<keyof SessionOptions, Exclude<keyof Body, OfServers>>,
  Same<keyof PictureOptions, keyof z.input<typeof pictureHints>>,
  Same<keyof CreatedSession, keyof z.output<typeof createdSession>>,
  Same<keyof OwnAvatar, keyof z.output<typeof ownAvatar>>,
  Same<keyof ConversationOffer, keyof z.output<typeof offer>>,
] = [true, true, true, true, true];

test('options with every field of the client pass the checks of the API', () => {
  const options: Required<SessionOptions> = {
    ...{ avatar: 'mia', provider: 'parrot', instructions: 'Be brief.', voice: 'kim', language: 'de' },
    ...{ input: 'push-to-talk', output: 'frames', badge: true, quality: '3x4', size: 512, seed: 7 },
    ...{ maxSeconds: 60, idleSeconds: 30 },
    origins: ['https://shop.example.com'],
    recording: { sides: 'both', format: 'webm', maxSeconds: 60 },
    transport: {
      livekit: { room: 'lobby', microphone: { identity: 'caller', attributes: { role: 'guest' }, token: 'x' } },
    },
  };
  assert.equal(createSessionBody.safeParse(options).error, undefined);
  const picture: Required<PictureOptions> = {
    name: 'Ada',
    landmarks: { mouth: [50, 70], leftEye: [40, 40], rightEye: [60, 40] },
    boxes: { mouth: [40, 60, 60, 80], leftEye: [35, 35, 45, 45], rightEye: [55, 35, 65, 45] },
    crop: { left: 0, top: 0, side: 100 },
  };
  assert.equal(pictureHints.safeParse(picture).error, undefined);
});
