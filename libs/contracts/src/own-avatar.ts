import { z } from 'zod';

/** Ids of people's own pictures; no model may ship an avatar of such a name. */
export const OWN_AVATAR_ID = /^own-[0-9a-f]{16}$/;

export const isOwnAvatar = (id: string): boolean => OWN_AVATAR_ID.test(id);

/** Longest life of an own picture, milliseconds; what NATS forgets by itself. */
export const MAX_AVATAR_TTL_MS = 7 * 24 * 3_600_000;

const coordinate = z.number().min(-4096).max(8192);
const point = z.tuple([coordinate, coordinate]);
/** Mouth centre, left eye, right eye as the viewer sees them: pixels of the picture. */
export const landmarkPoints = z.tuple([point, point, point]);
export type Landmarks = z.infer<typeof landmarkPoints>;

/** Longest PNG that fits one NATS message as base64, bytes. */
const MAX_PNG_BYTES = 700_000;

/** An own picture as workers read it, in the KV bucket `talkmesh_pictures`. Personal data: never logged. */
export const ownPicture = z.object({
  v: z.literal(1),
  /** PNG of the model's size, 8-bit RGB, base64. */
  png: z.string().max(Math.ceil(MAX_PNG_BYTES / 3) * 4),
  landmarks: landmarkPoints,
  expiresAtMs: z.number(),
});
export type OwnPicture = z.infer<typeof ownPicture>;
