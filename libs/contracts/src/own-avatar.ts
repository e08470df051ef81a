import { z } from 'zod';

/** Syntax of the ids of avatars that users make from a picture of their own. No model may contain an avatar with such an id. */
export const OWN_AVATAR_ID = /^own-[0-9a-f]{16}$/;

export const isOwnAvatar = (id: string): boolean => OWN_AVATAR_ID.test(id);

/** Longest time that a user's picture is stored, milliseconds. It is the TTL of the KV buckets, so NATS removes pictures on its own. */
export const MAX_AVATAR_TTL_MS = 7 * 24 * 3_600_000;

const coordinate = z.number().min(-4096).max(8192);
const point = z.tuple([coordinate, coordinate]);
/** Mouth centre, left eye and right eye in pixels of the model's own size; left and right are the viewer's. */
export const landmarkPoints = z.tuple([point, point, point]);
export type Landmarks = z.infer<typeof landmarkPoints>;

/** Largest PNG that fits into one NATS message as base64, bytes. */
export const MAX_PNG_BYTES = 700_000;

/** A user's picture in the KV bucket `talkmesh_pictures`, from which workers read it. It is personal data and must not be logged. */
export const ownPicture = z.object({
  v: z.literal(1),
  /** PNG of one of the model's sizes, 8-bit RGB, as base64. */
  png: z.string().max(Math.ceil(MAX_PNG_BYTES / 3) * 4),
  /** Absent when the model needs none. */
  landmarks: landmarkPoints.optional(),
  expiresAtMs: z.number(),
});
export type OwnPicture = z.infer<typeof ownPicture>;
