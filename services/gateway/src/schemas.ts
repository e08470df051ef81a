import { OPEN_ORDER, REASONS, SESSION_ID_LENGTH } from '@talkmesh/contracts';
import { z } from 'zod';
import { pictureHints } from './picture/picture-hints.js';

/** Longest line the avatar says at once, characters. */
export const MAX_TEXT_CHARACTERS = 2_000;

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/, 'has 1 to 41 characters of a-z, 0-9 and -');

export const sessionId = z
  .string()
  .length(SESSION_ID_LENGTH)
  .regex(/^[0-9a-hjkmnp-tv-z]+$/, 'is 20 characters of 0-9 and a-z without i, l, o, u')
  .describe('Session id');

export const createSessionBody = z.strictObject({
  avatar: name.describe('Id of one of GET /v1/avatars'),
  provider: name.default('parrot').describe('Who decides what the avatar says'),
  output: z.enum(['webrtc', 'record']).default('webrtc').describe('A live call, or frames for RecordService'),
  seed: z
    .number()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('Seed of the noise; random when left out'),
});

export const session = z.object({
  id: sessionId,
  state: z.enum(['opening', 'open', 'ended']),
  avatar: z.string(),
  provider: z.string(),
  output: z.enum(['webrtc', 'record']),
  seed: z.number().int(),
  createdAtMs: z.number().describe('Unix milliseconds'),
  placement: z
    .partialRecord(z.enum(OPEN_ORDER), z.string())
    .describe('Service name to the instance that holds the session'),
});
export const createdSession = z.object({
  session,
  token: z.string().describe('Bearer token (JWT) for this session only'),
  tokenExpiresAtMs: z.number().int().describe('Unix milliseconds'),
  whip: z.string().describe('Path to POST the microphone offer to (RFC 9725)'),
  whep: z.string().describe('Path to POST the viewer offer to'),
  events: z.string().describe('Path of the server-sent events'),
});

export const sessionList = z.object({ sessions: z.array(session) });

const count = z.number().int().nonnegative();
export const sessionStats = z.object({
  stages: z.partialRecord(
    z.enum(OPEN_ORDER),
    z.object({
      epoch: count,
      chunk: count,
      itemsIn: count,
      itemsOut: count,
      dropped: count,
      late: count,
      paused: z.boolean().optional().describe('The call is paused; told by score-model'),
      p50Ms: z.number().describe('Compute time of the stage per chunk (per frame at the edges), milliseconds'),
      p95Ms: z.number(),
    }),
  ),
});

export const sayBody = z.strictObject({ text: z.string().trim().min(1).max(MAX_TEXT_CHARACTERS) });
export const said = z.object({ turn: z.number().int() });
export const interrupted = z.object({ interrupted: z.boolean().describe('False when nothing was being said') });
export const paused = z.object({ paused: z.boolean().describe('False when it was paused already') });
export const resumed = z.object({ resumed: z.boolean().describe('False when it was not paused') });
export const beaconBody = z.strictObject({ token: z.string().max(4096) });
export const issuedToken = z.object({ token: z.string(), tokenExpiresAtMs: z.number().int() });

export const avatarList = z.object({
  model: z.string().describe('name@version'),
  width: z.number().int(),
  height: z.number().int(),
  fps: z.number().int(),
  avatars: z.array(
    z.object({
      id: name,
      name: z.string(),
      style: z.string().describe('"own" for a picture of the caller, which is deleted after a while'),
      image: z.string().describe('Path of the picture, PNG'),
      expiresAtMs: z.number().optional().describe('Unix milliseconds; own pictures only'),
    }),
  ),
});

/** The style of people's own pictures in lists. */
export const OWN_STYLE = 'own';

export const createAvatarBody = pictureHints.extend({
  image: z.base64().min(1).describe('PNG or JPEG file'),
});

const at = z.tuple([z.number(), z.number()]).describe('x, y');
const around = z.tuple([z.number(), z.number(), z.number(), z.number()]).describe('left, top, right, bottom');
const ofFace = <T extends z.ZodType>(part: T) => z.object({ mouth: part, leftEye: part, rightEye: part });
export const ownAvatar = z.object({
  id: name,
  name: z.string(),
  style: z.string(),
  image: z.string().describe('Path of the picture as the model uses it, PNG'),
  landmarks: ofFace(at).describe('Pixels of that picture; left and right are the viewer\u2019s'),
  boxes: ofFace(around).optional().describe('What moves'),
  source: z
    .object({
      width: z.number().int(),
      height: z.number().int(),
      crop: z.object({ left: z.number(), top: z.number(), side: z.number() }),
      landmarks: ofFace(at),
    })
    .describe('The picture that was sent, turned upright, and what was taken of it'),
  verdict: z
    .object({
      fits: z.boolean().describe('Whether the model was trained for such a picture'),
      reasons: z.array(z.object({ code: z.string(), text: z.string() })).describe('Why not, gravest first'),
    })
    .describe('What to expect'),
  createdAtMs: z.number(),
  expiresAtMs: z.number().describe('Unix milliseconds; then the picture is deleted'),
});

export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().describe('What to do about it'),
    reason: z.enum(Object.keys(REASONS) as [string, ...string[]]).describe('The stable name programs match on'),
    retryable: z.boolean(),
    retryAfterMs: z.number().optional(),
  })
  .describe('RFC 9457');
