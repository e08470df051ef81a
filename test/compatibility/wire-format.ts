/**
 * The wire format of this version: REST, gRPC and what is on NATS. `npm run wire-format` writes it to a folder of the minor version, and
 * compatibility.test.ts holds every later state of the code against that.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import {
  BUCKETS,
  EVENT_VERSION,
  encodeAudio,
  encodeFrame,
  encodeLatent,
  encodeLedger,
  encodePlayhead,
  eventBody,
  eventEnvelope,
  MESSAGE_VERSION,
  natsUsers,
  ownPicture,
  REASONS,
  RETENTION,
  STREAMS,
  sessionRecord,
  subjectOf,
  workerRecord,
} from '@talkmesh/contracts';
import { z } from 'zod';
import { FakeMesh } from '../../services/gateway/src/testing/fake-mesh.js';
import { ownAvatarRecord } from '../../services/gateway/src/testing/index.js';
import { samplesOf } from './samples.js';
import type { Schema } from './schema-rules.js';

export const SESSION_ID = '0123456789abcdefghjk';
const head = { sessionId: SESSION_ID, epoch: 2, turn: 3, chunk: 4, mediaTimeUs: 1_920_000, deadlineUs: 1.8e15 };
const flags = { speaking: true, degraded: true, held: false, endOfTurn: true, endsIdle: true };
const chunk = {
  part: 1,
  parts: 3,
  values: [0.5, -1],
  pcm: [256, -3],
  steps: 2,
  speechSamples: 1,
  turnSamples: 11_520,
  closedTurn: 1,
};
const picture = {
  frame: 11,
  framesInChunk: 12,
  width: 2,
  height: 2,
  i420: [16, 17, 18, 19, 128, 129],
  pcm: [-1],
  turnSamples: 960,
};

/** One message of every kind with every field, as plain JSON; and those without picture or latents. */
const MESSAGES = {
  audio: [{ ...head, sequence: 7, sampleRateHz: 24_000, pcm: [1, -2], fromSample: 960, endOfTurn: true }],
  latent: [
    { ...head, ...chunk, ...flags },
    { ...head, ...chunk, ...flags, held: true, values: [], steps: 0 },
  ],
  frame: [
    { ...head, ...picture, ...flags },
    { ...head, ...picture, ...flags, held: true, i420: [] },
  ],
  playhead: [{ ...head, frame: 5, creditChunks: 2, heldFrames: 1, turnPlayedMs: 440 }],
};
export type MessageKind = keyof typeof MESSAGES;
export type PlainMessage = Readonly<Record<string, unknown>>;

const ENCODERS = { audio: encodeAudio, latent: encodeLatent, frame: encodeFrame, playhead: encodePlayhead };
const ARRAYS = { values: Float32Array, pcm: Int16Array, i420: Uint8Array };

/** A message of plain JSON with its arrays as the code has them. */
export function typed(message: PlainMessage): PlainMessage {
  const entries = Object.entries(message).map(([key, value]) =>
    key in ARRAYS ? [key, ARRAYS[key as keyof typeof ARRAYS].from(value as number[])] : [key, value],
  );
  return Object.fromEntries(entries) as PlainMessage;
}

export function encoded(kind: MessageKind, message: PlainMessage): Uint8Array {
  return ENCODERS[kind](typed(message) as never);
}

/** What a schema accepts (`reads`) and what is written by it, with defaults filled in (`writes`). */
export interface SchemaPair {
  readonly reads: Schema;
  readonly writes: Schema;
}
const schemaPair = (schema: z.ZodType): SchemaPair => ({
  reads: z.toJSONSchema(schema, { io: 'input' }),
  writes: z.toJSONSchema(schema, { io: 'output' }),
});

/** What is on NATS, as JSON. */
export function natsFormat() {
  const events = schemaPair(eventBody);
  const messages = Object.entries(MESSAGES).map(([kind, samples]) => [
    kind,
    samples.map((fields) => ({ fields, hex: Buffer.from(encoded(kind as MessageKind, fields)).toString('hex') })),
  ]);
  return {
    versions: { messages: MESSAGE_VERSION, events: EVENT_VERSION },
    subjects: STREAMS.map((stream) => subjectOf(SESSION_ID, stream)),
    retained: Object.values(RETENTION).map(({ name, subject }) => ({ name, subject })),
    buckets: [...BUCKETS],
    users: natsUsers(),
    ledger: encodeLedger({ 'audio-ingest': 420, 'audio-llm-bridge': 312.4 }),
    reasons: Object.fromEntries(
      Object.entries(REASONS).map(([reason, { grpc, http }]) => [reason, { grpc: status[grpc], http }]),
    ),
    messages: Object.fromEntries(messages) as Record<MessageKind, { fields: PlainMessage; hex: string }[]>,
    envelope: schemaPair(eventEnvelope),
    events,
    eventSamples: samplesOf(events.writes).map((event) => ({
      ...{ v: EVENT_VERSION, id: 'score-model-1.7', sessionId: SESSION_ID, epoch: 2, turn: 3, atMs: 1.8e12 },
      ...(event as object),
    })),
    records: {
      worker: schemaPair(workerRecord),
      session: schemaPair(sessionRecord),
      picture: schemaPair(ownPicture),
      avatar: schemaPair(ownAvatarRecord),
    },
  };
}
export type NatsFormat = ReturnType<typeof natsFormat>;

/** The OpenAPI document that a gateway serves. */
export async function openApiDocument(): Promise<unknown> {
  await using mesh = await FakeMesh.start();
  return (await mesh.call('GET', '/openapi.json')).body;
}

/** `0.1` of version `0.1.7`. */
export const minorVersion = (): string =>
  (JSON.parse(readFileSync('package.json', 'utf8')).version as string).split('.').slice(0, 2).join('.');
export const folderOf = (minor: string): string => `test/compatibility/${minor}`;

async function write(folder: string): Promise<void> {
  const openApi = await openApiDocument();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync('protos', join(folder, 'protos'), { recursive: true });
  writeFileSync(join(folder, 'nats.json'), `${JSON.stringify(natsFormat(), undefined, 1)}\n`);
  writeFileSync(join(folder, 'openapi.json'), `${JSON.stringify(openApi, undefined, 1)}\n`);
  process.stdout.write(`${folder} holds the wire format of this code.\n`);
}

if (process.argv[1] === import.meta.filename) await write(folderOf(minorVersion()));
