import { MeshError } from '@talkmesh/contracts';
import { z } from 'zod';

/** Longest base64 text of one `input_audio_buffer.append`: 30 s of PCM16 at 24 kHz. */
const MAX_APPEND_CHARACTERS = 1_920_000;

const eventId = { event_id: z.string().max(512).optional() };
const text = z.string().max(20_000);

/** Both shapes are read: `audio.input` of today, and the flat one of the beta protocol and of Azure. Unknown fields are passed over, as the real service does. */
const format = z.union([z.string(), z.object({ type: z.string().optional(), rate: z.number().int().optional() })]);
const turnDetection = z.object({ type: z.string() }).nullable();
const tool = z.object({
  type: z.literal('function'),
  name: z.string(),
  description: z.string().optional(),
  parameters: z.record(z.string(), z.unknown()).optional(),
});
const voice = z.union([z.string(), z.object({ id: z.string().optional(), name: z.string().optional() })]);

export const sessionSettings = z.object({
  instructions: text.optional(),
  tools: z.array(tool).optional(),
  audio: z
    .object({
      input: z.object({ format: format.optional(), turn_detection: turnDetection.optional() }).optional(),
      output: z.object({ format: format.optional(), voice: voice.optional() }).optional(),
    })
    .optional(),
  voice: voice.optional(),
  input_audio_format: z.string().optional(),
  output_audio_format: z.string().optional(),
  input_audio_sampling_rate: z.number().int().optional(),
  turn_detection: turnDetection.optional(),
  /** Azure's, but for `audio_deltas`: write audio although it also comes by WebRTC. */
  avatar: z
    .object({
      character: z.string().optional(),
      output_protocol: z.string().optional(),
      audio_deltas: z.boolean().optional(),
    })
    .nullable()
    .optional(),
});
export type SessionSettings = z.infer<typeof sessionSettings>;

const item = z.object({
  id: z.string().max(200).optional(),
  type: z.string(),
  role: z.string().optional(),
  call_id: z.string().max(200).optional(),
  output: text.optional(),
});

const clientEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('session.update'), ...eventId, session: sessionSettings }),
  z.object({
    type: z.literal('input_audio_buffer.append'),
    ...eventId,
    audio: z.string().max(MAX_APPEND_CHARACTERS),
  }),
  z.object({ type: z.literal('input_audio_buffer.commit'), ...eventId }),
  z.object({ type: z.literal('input_audio_buffer.clear'), ...eventId }),
  z.object({ type: z.literal('output_audio_buffer.clear'), ...eventId }),
  z.object({ type: z.literal('conversation.item.create'), ...eventId, item }),
  z.object({
    type: z.literal('conversation.item.truncate'),
    ...eventId,
    item_id: z.string().max(200),
    content_index: z.number().int().default(0),
    audio_end_ms: z.number().int().nonnegative(),
  }),
  z.object({
    type: z.literal('response.create'),
    ...eventId,
    response: z
      .object({
        /** Azure's: words that the avatar says as they are. */
        pre_generated_assistant_message: z
          .object({ content: z.array(z.object({ type: z.string(), text: text.optional() })).min(1) })
          .optional(),
      })
      .optional(),
  }),
  z.object({ type: z.literal('response.cancel'), ...eventId, response_id: z.string().max(200).optional() }),
  z.object({ type: z.literal('session.avatar.connect'), ...eventId, client_sdp: z.string().max(131_072) }),
]);
export type ClientEvent = z.infer<typeof clientEvent>;

/** What is wrong with an event, in the terms of the protocol. */
export class EventRefusal extends MeshError {
  readonly code: string;
  readonly param: string | null;

  constructor(code: string, message: string, param: string | null = null) {
    super('ARGUMENT_INVALID', message);
    this.code = code;
    this.param = param;
  }
}

/** @returns the event, and its `event_id` even when the event is not valid. */
export function readClientEvent(message: string): { eventId: string | null; event: ClientEvent | EventRefusal } {
  let json: unknown;
  try {
    json = JSON.parse(message);
  } catch {
    return { eventId: null, event: new EventRefusal('invalid_json', 'the message is not valid JSON; send one event') };
  }
  const { event_id, type } = (json ?? {}) as { event_id?: unknown; type?: unknown };
  const id = typeof event_id === 'string' ? event_id.slice(0, 512) : null;
  const parsed = clientEvent.safeParse(json);
  if (parsed.success) return { eventId: id, event: parsed.data };
  const [issue] = parsed.error.issues;
  const known = clientEvent.options.some((option) => option.shape.type.value === type);
  const refusal = known
    ? new EventRefusal(
        'invalid_value',
        `the field ${issue?.path.join('.')} is wrong: ${issue?.message}`,
        issue?.path.join('.') ?? null,
      )
    : new EventRefusal(
        'unknown_event',
        `this gateway has no event of type ${String(type).slice(0, 80)}; docs/realtime.md lists those that it takes`,
        'type',
      );
  return { eventId: id, event: refusal };
}
