import { MeshError } from '@talkmesh/contracts';
import { z } from 'zod';
import { check } from '../http/problems.js';
import { createSessionBody } from '../schemas.js';
import type { UtteranceReport } from './utterances.js';

const { avatar, badge, seed, maxSeconds, idleSeconds } = createSessionBody.shape;

const start = z.strictObject({
  type: z.literal('start'),
  /** Of the PCM16 that the program sends. */
  rate: z.number().int().min(8000).max(48_000).default(24_000),
  channels: z.number().int().min(1).max(2).default(1),
  video: z.enum(['jpeg', 'i420', 'none']).default('jpeg'),
  /** Of a session that is opened by it; without them the first avatar, and frames. */
  avatar: avatar.optional(),
  media: z.enum(['frames', 'whep']).optional(),
  ...{ badge, seed, maxSeconds, idleSeconds },
});
export type StartMessage = z.output<typeof start>;

const clientMessage = z.discriminatedUnion('type', [
  start,
  z.strictObject({ type: z.literal('end') }),
  z.strictObject({ type: z.literal('clear') }),
]);
export type ClientMessage = z.output<typeof clientMessage>;

/** @throws MeshError ARGUMENT_INVALID */
export function readClientMessage(text: string): ClientMessage {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new MeshError('ARGUMENT_INVALID', 'the message is not valid JSON; send start, end or clear', { cause });
  }
  return check(clientMessage, json);
}

/** What the program is told; the table in docs/avatar.md explains the fields. */
export type ServerMessage =
  | {
      readonly type: 'ready';
      readonly session: string;
      readonly token: string;
      readonly tokenExpiresAtMs: number;
      readonly media: 'frames' | 'whep';
      /** Path of the WHEP endpoint, for media that does not come here. */
      readonly whep?: string;
      readonly width: number;
      readonly height: number;
      readonly fps: number;
      readonly rate: number;
      readonly graceMs: number;
      readonly resumed: boolean;
      readonly utterances: number;
      readonly unfinished: readonly number[];
      readonly open: { readonly utterance: number; readonly receivedBytes: number } | null;
    }
  | UtteranceReport
  | { readonly type: 'cleared' }
  | { readonly type: 'error'; readonly reason: string; readonly message: string; readonly retryable: boolean };

export const MEDIA_KINDS = { jpeg: 1, i420: 2, pcm: 3 } as const;
export const MEDIA_HEADER_BYTES = 20;
const SPEAKING = 1;

export interface MediaPart {
  readonly kind: keyof typeof MEDIA_KINDS;
  /** Width and height of a picture; rate and channels of audio. */
  readonly shape: readonly [number, number];
  readonly timestampUs: number;
  readonly speaking: boolean;
  readonly bytes: Uint8Array;
}

/** One binary message: a fixed little-endian header, then a picture or samples. */
export function encodeMedia({ kind, shape, timestampUs, speaking, bytes }: MediaPart): Buffer {
  const message = Buffer.allocUnsafe(MEDIA_HEADER_BYTES + bytes.length);
  message.writeUInt8(MEDIA_KINDS[kind], 0);
  message.writeUInt8(speaking ? SPEAKING : 0, 1);
  message.writeUInt16LE(shape[0], 2);
  message.writeUInt16LE(shape[1], 4);
  message.writeUInt16LE(0, 6);
  message.writeBigUInt64LE(BigInt(timestampUs), 8);
  message.writeUInt32LE(bytes.length, 16);
  message.set(bytes, MEDIA_HEADER_BYTES);
  return message;
}
