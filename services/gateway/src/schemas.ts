import {
  conversationOffer,
  OPEN_ORDER,
  QUALITIES,
  REASONS,
  RECORDING_FORMATS,
  RECORDING_SIDES,
  recordingManifest,
  SESSION_ID_LENGTH,
  sessionChoices,
} from '@talkmesh/contracts';
import { z } from 'zod';
import { limitsShape } from './grants.js';
import { pictureHints } from './picture/picture-hints.js';
import { QUALITY_PATTERN, QUALITY_RULE } from './session-qualities.js';

/** Longest text of one `say` request, characters. */
export const MAX_TEXT_CHARACTERS = 2_000;

const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/, 'has 1 to 41 characters of a-z, 0-9 and -');

export const sessionId = z
  .string()
  .length(SESSION_ID_LENGTH)
  .regex(/^[0-9a-hjkmnp-tv-z]+$/, 'is 20 characters of 0-9 and a-z without i, l, o, u')
  .describe('Session id');

const livekitName = z.string().min(1).max(200);

/** A session's own LiveKit token. */
const livekitToken = z.string().max(8192);
const MAX_ATTRIBUTES = 10;

/** Who in a LiveKit room is heard. */
const livekitMicrophone = z.strictObject({
  identity: livekitName.optional().describe('Only this participant'),
  attributes: z
    .record(livekitName, z.string().max(200))
    .refine((wanted) => Object.keys(wanted).length <= MAX_ATTRIBUTES, `has at most ${MAX_ATTRIBUTES} attributes`)
    .optional()
    .describe('Only participants that have these attributes, with these values'),
  token: livekitToken
    .optional()
    .describe(
      'LiveKit access token of a participant with the grants hidden and canSubscribe; for a deployment without a key',
    ),
});

/** A LiveKit room that shows the avatar. */
export const livekitTransport = z
  .strictObject({
    url: z
      .string()
      .max(500)
      .optional()
      .describe('ws:// or wss:// URL of an allowed server; the first one when left out'),
    token: livekitToken
      .optional()
      .describe("LiveKit access token of the avatar's participant; for a deployment without a key for that server"),
    room: livekitName.optional().describe('Name of the room, when the deployment makes the token'),
    identity: livekitName.optional().describe('Of the avatar in the room; avatar-<session id> when left out'),
    agent: livekitName
      .optional()
      .describe(
        'Identity of the LiveKit agent that speaks through the avatar (lk.publish_on_behalf); its token may name it too',
      ),
    microphone: livekitMicrophone
      .optional()
      .describe(
        'Hears the room: of these participants, without identity and attributes of all but agents, the first with a microphone, until it leaves',
      ),
  })
  .refine(({ token, room }) => (token === undefined) !== (room === undefined), {
    message: 'needs either token or room',
  })
  .refine(({ token, identity }) => token === undefined || identity === undefined, {
    message: 'has the identity in its token: leave identity out',
  });

/** Records the call; the deployment decides whether it may. */
export const recordingOptions = z.strictObject({
  sides: z
    .enum(RECORDING_SIDES)
    .default('avatar')
    .describe(
      "avatar: what the avatar says; both: the caller's voice is mixed in. Tell the caller, and ask where the law wants it",
    ),
  format: z.enum(RECORDING_FORMATS).default('mp4').describe('mp4: H.264 and AAC; webm: VP8 and Opus'),
  maxSeconds: z.number().int().min(1).max(86_400).optional().describe('Longest playing time'),
});

const pictureWidth = z.number().int().min(2).max(8192);

export const createSessionBody = z.strictObject({
  avatar: name.describe('Id of an avatar from GET /v1/avatars'),
  provider: name
    .optional()
    .describe(
      'The conversation provider, which decides what the avatar says; the default of the deployment when left out',
    ),
  output: z
    .enum(['webrtc', 'record', 'frames'])
    .default('webrtc')
    .describe(
      'webrtc: a live talk in the browser; record: frames for RecordService; frames: live, for the program at /v1/avatar',
    ),
  seed: z
    .number()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('Seed of the noise of the model; random when left out'),
  badge: z
    .boolean()
    .optional()
    .describe('Draws the label of `disclosure` into the picture; a deployment may do so always'),
  quality: z
    .string()
    .regex(QUALITY_PATTERN, QUALITY_RULE)
    .optional()
    .describe(
      'fast, balanced or best, or latent frames of a chunk x denoising steps, such as 3x4, as GET /v1/providers lists them; the default of the deployment when left out',
    ),
  size: pictureWidth
    .optional()
    .describe(
      'Width of the video, pixels, such as 256 or 512, as GET /v1/providers lists them; the default of the deployment when left out',
    ),
  transport: z
    .strictObject({ livekit: livekitTransport })
    .optional()
    .describe('Where the avatar is shown; WHEP when left out'),
  recording: recordingOptions.optional().describe('Records the call; without it nothing is recorded'),
  ...sessionChoices.shape,
  ...limitsShape,
  providerKey: z
    .string()
    .max(4096)
    .regex(/^[\x21-\x7e]*$/, 'has no spaces and only ASCII characters')
    .optional()
    .describe('A key of this session for the provider; it is neither stored nor logged'),
});

/** What the model reads as the result of its call: text, or JSON. */
export const toolResultBody = z.strictObject({
  callId: z.string().min(1).max(200).describe('From the event tool.call'),
  output: z.union([z.string().max(20_000), z.record(z.string(), z.unknown()), z.array(z.unknown())]),
});

export const session = z.object({
  id: sessionId,
  state: z.enum(['opening', 'open', 'ended']),
  avatar: z.string(),
  provider: z.string(),
  voice: z.string(),
  language: z.string(),
  input: sessionChoices.shape.input.unwrap().describe('How the turns of the user begin and end'),
  output: z.enum(['webrtc', 'record', 'frames']),
  quality: z.enum(QUALITIES).describe('How many denoising steps a chunk takes'),
  size: z.number().int().optional().describe('Width of the video, pixels; absent in sessions of older gateways'),
  seed: z.number().int(),
  transport: z
    .object({ livekit: z.object({ url: z.string(), room: z.string(), identity: z.string() }) })
    .optional()
    .describe('The LiveKit room that shows the avatar'),
  disclosure: z
    .object({
      label: z.string().describe('Says that the avatar is generated by AI; listeners must see it'),
      badge: z.boolean().describe('The label is drawn into the picture; otherwise your program shows it'),
    })
    .optional()
    .describe('EU AI Act, article 50'),
  recording: z
    .object({ sides: z.enum(RECORDING_SIDES), format: z.enum(RECORDING_FORMATS), maxSeconds: z.number() })
    .optional()
    .describe('The call is recorded: the caller must be told'),
  createdAtMs: z.number().describe('Unix milliseconds'),
  placement: z.partialRecord(z.enum(OPEN_ORDER), z.string()).describe('Instance that holds the session, by service'),
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
      streamSamples: z
        .number()
        .optional()
        .describe('Samples per channel accepted of the running or last StreamAudio; reported by audio-ingest only'),
      paused: z.boolean().optional().describe('Whether the session is paused; reported by score-model only'),
      p50Ms: z
        .number()
        .describe('Median compute time per chunk (per frame in audio-ingest and webrtc-egress), milliseconds'),
      p95Ms: z.number(),
    }),
  ),
});

export const sayBody = z.strictObject({ text: z.string().trim().min(1).max(MAX_TEXT_CHARACTERS) });
export const said = z.object({
  turn: z.number().int(),
  cancelled: z.boolean().describe('True when an interrupt came before the first sound: nothing of the line is spoken'),
});
export const interrupted = z.object({
  interrupted: z.boolean().describe('False when nothing was being said or about to be answered'),
});
export const paused = z.object({ paused: z.boolean().describe('False when the session was paused already') });
export const resumed = z.object({ resumed: z.boolean().describe('False when the session was not paused') });
export const inputStarted = z.object({ started: z.boolean().describe('False when an input was open already') });
export const inputCommitted = z.object({ committed: z.boolean().describe('False when no input was open') });
export const inputCancelled = z.object({ cancelled: z.boolean().describe('False when no input was open') });
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
      style: z.string().describe('"own" for a picture that the caller uploaded, which expires'),
      image: z.string().describe('Path of the picture, PNG'),
      idle: z
        .string()
        .optional()
        .describe('Path of an AVIF image sequence of the avatar in silence; models may have none'),
      expiresAtMs: z.number().optional().describe('Unix milliseconds; own pictures only'),
    }),
  ),
});

export const offer = conversationOffer.extend({
  default: z.string().describe('Provider of sessions that name none'),
  quality: z
    .object({
      default: z.enum(QUALITIES).describe('Of sessions that name none'),
      choices: z.array(
        z.object({
          name: z.enum(QUALITIES),
          size: z.string().describe('Latent frames of a chunk x denoising steps'),
          cost: z.number().describe('Time of the score model for a chunk, as a multiple of that of balanced'),
        }),
      ),
    })
    .describe('Qualities that sessions may have, the cheapest first'),
  size: z
    .object({
      default: z.number().int().describe('Of sessions that name none'),
      choices: z.array(
        z.object({
          size: z.number().int().describe('Width of the video, pixels'),
          width: z.number().int(),
          height: z.number().int(),
          cost: z.number().describe("Time of the decoder for a chunk, as a multiple of that of the model's own size"),
        }),
      ),
    })
    .describe('Sizes of the video that sessions may have, the smallest first'),
});

const recordingState = z.enum(['recording', 'finished', 'failed', 'lost']);
export const recording = z.object({
  sessionId,
  state: recordingState.describe('lost: the worker that wrote it was lost; another one completes it soon'),
  createdAtMs: z.number(),
  expiresAtMs: z.number().optional().describe('Unix milliseconds; it is deleted then. Absent while it is being made'),
  parts: z
    .array(
      z.object({
        part: z.number().int(),
        state: recordingState,
        end: z.string().optional().describe('Why it ended: ended, limit, moved, lost, or why it failed'),
        type: z.string().describe('Media type'),
        bytes: z.number().int(),
        durationMs: z.number().int().describe('Of a lost part: at least'),
        video: z.string().describe('Path of the video'),
        manifest: z.string().optional().describe('Path of the signed manifest; absent until the part is complete'),
        sha256: z.string().optional(),
      }),
    )
    .describe('A worker that takes a session over begins a new part'),
});
export const recordingsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100).describe('Recordings of a page'),
  cursor: z.string().max(200).optional().describe('nextCursor of the page before; without it the first page'),
});
export const recordingList = z.object({
  recordings: z.array(recording),
  nextCursor: z.string().optional().describe('Of the next page; absent: this is the last one'),
});
export const recordingManifestAnswer = recordingManifest;

/** The style of own pictures in lists. */
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
  landmarks: ofFace(at)
    .optional()
    .describe('Pixels of that picture; left and right as seen by the viewer; absent when the model needs none'),
  boxes: ofFace(around).optional().describe('The rectangles that the model animates'),
  source: z
    .object({
      width: z.number().int(),
      height: z.number().int(),
      crop: z.object({ left: z.number(), top: z.number(), side: z.number() }),
      landmarks: ofFace(at).optional(),
    })
    .describe('Size of the uploaded picture after it was turned upright, and the part of it that is used'),
  verdict: z
    .object({
      fits: z.boolean().describe('Whether the model was trained for pictures like this one'),
      reasons: z
        .array(z.object({ code: z.string(), text: z.string() }))
        .describe('Reasons against it, most severe first'),
    })
    .describe('How well the picture suits the model'),
  createdAtMs: z.number(),
  expiresAtMs: z.number().describe('Unix milliseconds; the picture is deleted then'),
});

export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().describe('What happened and what to do'),
    reason: z.enum(Object.keys(REASONS) as [string, ...string[]]).describe('Stable name for programs to match'),
    retryable: z.boolean(),
    retryAfterMs: z.number().optional(),
  })
  .describe('RFC 9457');
