import { z } from 'zod';
import { OPEN_ORDER } from './pipeline.js';
import { sessionRecording } from './recording.js';
import { QUALITIES } from './tiers.js';

/**
 * An object that keeps fields that it does not know: a gateway that reads, changes and writes a record must not drop what a newer gateway wrote
 * into it.
 */
const keeping = <S extends z.ZodRawShape>(shape: S): z.ZodObject<S> =>
  z.looseObject(shape) as unknown as z.ZodObject<S>;

/** What an audio-llm-bridge lets sessions choose; no secrets. */
export const conversationOffer = z.object({
  providers: z
    .array(
      z.object({
        name: z.string().max(41),
        /** How the user's turns can begin and end; empty: it hears no user. */
        input: z.array(z.enum(['voice-activity', 'push-to-talk'])),
        /** Names of voices, as far as they are known. */
        voices: z.array(z.string().max(80)).max(200),
        /** Whether sessions may use these voices only. */
        onlyTheseVoices: z.boolean(),
      }),
    )
    .max(50),
  choices: z.array(z.enum(['instructions', 'voice', 'language', 'tools', 'key'])),
});
export type ConversationOffer = z.infer<typeof conversationOffer>;

/** A worker's own record in the KV bucket `talkmesh_workers`, written at every heartbeat and at every change. */
export const workerRecord = z.object({
  service: z.enum(OPEN_ORDER),
  instanceId: z.string().regex(/^[0-9a-z-]{1,63}$/),
  /** host:port of its gRPC server. */
  grpcAddress: z.string().min(3),
  version: z.string(),
  state: z.enum(['warming', 'ready', 'draining']),
  sessions: z.number().int().nonnegative(),
  capacity: z.number().int().positive(),
  /** "name@version" of the loaded model; empty for services without a model. */
  model: z.string(),
  /** Of audio-llm-bridge only. */
  offer: conversationOffer.optional(),
  /** Of webrtc-egress only: whether it records calls. Absent in records of older ones, which would ignore the request. */
  recordsCalls: z.boolean().optional(),
});
export type WorkerRecord = z.infer<typeof workerRecord>;

/** A function of the embedding product that a model may call. */
export const toolDefinition = z.object({
  name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'has 1 to 64 characters of A-Z, a-z, 0-9, _ and -'),
  description: z.string().max(2000).default(''),
  /** JSON Schema of the arguments. */
  parameters: z.record(z.string(), z.unknown()).default({ type: 'object', properties: {} }),
});
export type ToolDefinition = z.infer<typeof toolDefinition>;

const MAX_TOOLS = 64;
const MAX_TOOLS_CHARACTERS = 40_000;

/** What a session chooses of its conversation; empty values mean the deployment's. */
export const sessionChoices = z.object({
  /** What the model is told about its role. */
  instructions: z.string().max(20_000).default(''),
  /** By the provider's own names. */
  voice: z
    .string()
    .regex(/^[\w+./:-]{0,80}$/, 'has at most 80 characters of A-Z, a-z, 0-9 and _+./:-')
    .default(''),
  language: z
    .string()
    .regex(/^$|^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'is a BCP 47 tag such as de or pt-BR')
    .max(35)
    .default(''),
  /** How the user's turns begin and end: by their voice, or by commands of the program. */
  input: z.enum(['voice-activity', 'push-to-talk']).default('voice-activity'),
  tools: z
    .array(toolDefinition)
    .max(MAX_TOOLS)
    .refine(
      (tools) => JSON.stringify(tools).length <= MAX_TOOLS_CHARACTERS,
      `take more than ${MAX_TOOLS_CHARACTERS} characters as JSON`,
    )
    .refine((tools) => new Set(tools.map(({ name }) => name)).size === tools.length, 'have the same name twice')
    .default([]),
});
export type SessionChoices = z.infer<typeof sessionChoices>;

/** Bounds of one session, which its creator set. */
export const sessionLimits = keeping({
  maxMs: z.number().int().positive().optional(),
  /** Longest time in which neither side speaks. */
  idleMs: z.number().int().positive().optional(),
  /** Pages that may use the session's token; empty: all. */
  origins: z.array(z.string()).default([]),
  /** The grant with which it was created, and how many sessions of it may be open. */
  grantId: z.string().optional(),
  maxOfGrant: z.number().int().positive().optional(),
});
export type SessionLimits = z.infer<typeof sessionLimits>;

/** The room of a LiveKit server that a session plays into. */
export const livekitTransport = keeping({
  url: z.string(),
  room: z.string(),
  /** Of the avatar's participant. */
  identity: z.string(),
  /** Identity of the LiveKit agent that speaks through the avatar; empty: none. */
  agent: z.string(),
  /** The token that the caller brought, encrypted for the gateways; empty: they mint one. */
  sealedToken: z.string(),
  /** Set when audio-ingest hears the room, as a hidden participant. */
  microphone: keeping({
    /** Who is heard; empty: everyone but agents. */
    identity: z.string(),
    /** Which attributes they must have, with these values. */
    attributes: z.record(z.string(), z.string()),
    sealedToken: z.string(),
  }).optional(),
});
export type LivekitTransport = z.infer<typeof livekitTransport>;

/** How the session says that its avatar is generated by AI. */
export const sessionDisclosure = keeping({
  label: z.string(),
  /** The label is drawn into the picture. */
  badge: z.boolean(),
});
export type SessionDisclosure = z.infer<typeof sessionDisclosure>;

/** A session's record in the KV bucket `talkmesh_sessions`. It is changed only by compare-and-set, because several gateways write it. */
export const sessionRecord = keeping({
  id: z.string(),
  /** Owner id of the API key that made it; empty in records of older gateways, which only admin keys and session tokens reach. */
  owner: z.string().default(''),
  state: z.enum(['opening', 'open', 'ended']),
  avatar: z.string(),
  provider: z.string(),
  choices: keeping(sessionChoices.shape).optional(),
  limits: sessionLimits.optional(),
  /** Whether the session was created with a key of its own for the provider. The key itself is stored nowhere. */
  ownKey: z.boolean().optional(),
  output: z.enum(['webrtc', 'record', 'frames']),
  /** Set when the session plays into a LiveKit room instead of waiting for a WHEP viewer. */
  livekit: livekitTransport.optional(),
  /** Absent in records of older gateways. */
  disclosure: sessionDisclosure.optional(),
  /** Set when the session is recorded. */
  recording: keeping(sessionRecording.shape).optional(),
  /** Absent in records of older gateways: balanced. */
  quality: z.enum(QUALITIES).optional(),
  /** Width of the video, pixels. Absent in records of older gateways: the model's own. */
  size: z.number().int().positive().optional(),
  seed: z.number().int().nonnegative(),
  createdAtMs: z.number(),
  placement: z.partialRecord(z.enum(OPEN_ORDER), keeping({ instanceId: z.string(), grpcAddress: z.string() })),
});
export type SessionRecord = z.infer<typeof sessionRecord>;
