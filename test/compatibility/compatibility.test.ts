/**
 * Services of this code and of the released wire format understand each other, so that old gateways work with new workers, and new ones with
 * old workers, while a release rolls out. docs/compatibility.md is the promise; the folder named by the minor version is what was released.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  decodeAudio,
  decodeEvent,
  decodeFrame,
  decodeLatent,
  decodeLedger,
  decodePlayhead,
  HEADER_BYTES,
  type SessionRecord,
  sessionRecord,
  workerRecord,
} from '@talkmesh/contracts';
import { packageDefinition } from '@talkmesh/contracts/protos';
import { brokenProtos } from './proto-rules.js';
import { codecsOf, loadProtos } from './proto-samples.js';
import { brokenRest, type OpenApi } from './rest-rules.js';
import { faultsOf, type Rules } from './schema-rules.js';
import {
  encoded,
  folderOf,
  type MessageKind,
  minorVersion,
  type NatsFormat,
  natsFormat,
  openApiDocument,
  type PlainMessage,
  type SchemaPair,
  SESSION_ID,
  typed,
} from './wire-format.js';

const folder = folderOf(minorVersion());
const HINT = 'docs/compatibility.md says what may change, and what to do before the first release of a minor version';
assert.ok(
  existsSync(folder),
  `${folder} is missing: run npm run wire-format, which writes the wire format of this minor version`,
);
const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));
const released = json('nats.json') as NatsFormat;
const present = JSON.parse(JSON.stringify(natsFormat())) as NatsFormat;
const none = (faults: readonly string[]): void => assert.deepEqual(faults, [], HINT);

const DECODERS = { audio: decodeAudio, latent: decodeLatent, frame: decodeFrame, playhead: decodePlayhead };
const messages = (
  Object.entries(released.messages) as [MessageKind, { fields: PlainMessage; hex: string }[]][]
).flatMap(([kind, samples]) => samples.map((sample) => ({ kind, ...sample, bytes: Buffer.from(sample.hex, 'hex') })));

/** Everything in `expected` is in `actual`, which may have more fields. */
function assertHolds(actual: unknown, expected: unknown, path: string): void {
  const isObject = typeof expected === 'object' && expected !== null;
  if (Array.isArray(expected)) {
    assert.equal((actual as unknown[] | undefined)?.length, expected.length, `${path}. ${HINT}`);
    for (const [at, value] of expected.entries()) assertHolds((actual as unknown[])[at], value, `${path}.${at}`);
    return;
  }
  if (!isObject || ArrayBuffer.isView(expected)) {
    assert.deepEqual(actual, expected, `${path}. ${HINT}`);
    return;
  }
  for (const [key, value] of Object.entries(expected))
    assertHolds((actual as Record<string, unknown> | undefined)?.[key], value, `${path}.${key}`);
}

test('binary messages of the release are read, with every field', () => {
  assert.equal(messages.length, 6);
  for (const { kind, bytes, fields } of messages) assertHolds(DECODERS[kind](bytes), typed(fields), kind);
});

/** The bytes without header words that came later. */
function asReleased(bytes: Uint8Array): string {
  const header = Buffer.from(bytes).readUInt16LE(6);
  const kept = Buffer.concat([bytes.subarray(0, HEADER_BYTES), bytes.subarray(header)]);
  kept.writeUInt16LE(HEADER_BYTES, 6);
  return kept.toString('hex');
}

test('binary messages are sent as in the release, so its services read them', () => {
  for (const { kind, fields, hex } of messages)
    assert.equal(asReleased(encoded(kind, fields)), hex, `${kind}. ${HINT}`);
});

test('readers ignore flags, words and header bytes of binary messages that they do not know', () => {
  /** Flags that mean nothing yet, and the word at offset 76 where it is none yet. */
  const unknown = { audio: [0xff_fd, 76], latent: [0xe0, 0], frame: [0xff_e0, 0], playhead: [0xff_ff, 76] } as const;
  for (const { kind, bytes } of messages) {
    const newer = Buffer.concat([bytes.subarray(0, HEADER_BYTES), Buffer.alloc(12, 9), bytes.subarray(HEADER_BYTES)]);
    const [flags, word] = unknown[kind];
    newer.writeUInt16LE(newer.readUInt16LE(4) | flags, 4);
    newer.writeUInt16LE(HEADER_BYTES + 12, 6);
    if (word !== 0) newer.writeUInt32LE(77, word);
    assert.deepEqual(DECODERS[kind](newer), DECODERS[kind](bytes), kind);
  }
});

const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

test('events of the release are read, with every field, and with fields that are not known', () => {
  assert.ok(released.eventSamples.length > 30);
  for (const event of released.eventSamples) {
    const name = String((event as { type?: unknown }).type);
    const decoded = decodeEvent(bytesOf(event));
    assertHolds(decoded, event, name);
    assert.deepEqual(decodeEvent(bytesOf({ ...event, later: { than: 'the release' } })), decoded, name);
  }
});

/** Both directions: what the release writes is read, and what is written is read by the release. */
function pairFaults(was: SchemaPair, is: SchemaPair, rules: Rules = {}): string[] {
  const [reader, old] = [faultsOf(is.reads, was.writes), faultsOf(was.reads, is.writes, rules)];
  return [...reader.map((fault) => `to this code: ${fault}`), ...old.map((fault) => `to the release: ${fault}`)];
}

test('events and records are exchanged with services of the release; kinds of events that it does not know are left out', () => {
  none(pairFaults(released.envelope, present.envelope));
  none(pairFaults(released.events, present.events, { newKindsBy: 'type' }));
  for (const name of Object.keys(released.records) as (keyof NatsFormat['records'])[])
    none(pairFaults(released.records[name], present.records[name]).map((fault) => `${name} record, ${fault}`));
  assert.throws(() => decodeEvent(bytesOf({ ...released.eventSamples[0], type: 'later' })), {
    reason: 'MESSAGE_MALFORMED',
  });
});

test('a gateway that changes a record keeps the fields of a newer one', () => {
  const place = { instanceId: 'vae-decode-1', grpcAddress: '10.0.0.1:9090', zone: 'later' };
  const disclosure = { label: 'AI', badge: true, colour: 'later' };
  const stored = {
    ...{ id: SESSION_ID, owner: 'a', state: 'open', avatar: 'mia', provider: 'parrot', output: 'webrtc', seed: 1 },
    ...{ createdAtMs: 5, placement: { 'vae-decode': place }, disclosure, later: [1] },
    choices: { ...sessionRecord.shape.choices.unwrap().parse({}), later: 2 },
    limits: { origins: [], later: 3 },
    recording: { sides: 'both', format: 'mp4', maxMs: 1, maxBytes: 1, later: 4 },
  };
  assert.deepEqual(sessionRecord.parse(stored), stored);
  const changed: SessionRecord = { ...sessionRecord.parse(stored), state: 'ended' };
  assert.deepEqual(changed, { ...stored, state: 'ended' });
  const worker = {
    ...{ service: 'vae-decode', instanceId: 'vae-decode-1', grpcAddress: '10.0.0.1:9090', version: '9.9.9' },
    ...{ state: 'ready', sessions: 1, capacity: 4, model: 'nano@1' },
  };
  assertHolds(workerRecord.parse({ ...worker, later: true }), worker, 'worker record');
});

test('names on NATS are those of the release, and each of its users may do what it could', () => {
  assert.deepEqual(present.versions, released.versions, HINT);
  for (const list of ['subjects', 'buckets', 'retained'] as const)
    for (const entry of released[list])
      assert.ok(
        present[list].some((now) => JSON.stringify(now) === JSON.stringify(entry)),
        `${JSON.stringify(entry)} is gone. ${HINT}`,
      );
  for (const { user, permissions } of released.users) {
    const now = present.users.find((entry) => entry.user === user)?.permissions;
    for (const side of ['publish', 'subscribe'] as const)
      none(
        permissions[side].allow
          .filter((subject) => !now?.[side].allow.includes(subject))
          .map((subject) => `${user} ${side} ${subject}`),
      );
    // A denial takes nothing away from a subject that the release did not allow.
    const { allow, deny } = permissions.subscribe;
    const denied = (now?.subscribe.deny ?? []).filter((subject) => !deny.includes(subject));
    none(denied.filter((subject) => allow.includes(subject.split(' ')[0] ?? '')));
  }
  assert.deepEqual(decodeLedger(released.ledger), { 'audio-ingest': 420, 'audio-llm-bridge': 312.4 });
  assert.deepEqual(decodeLedger(`${released.ledger};later=3`), decodeLedger(released.ledger));
  assertHolds(present.reasons, released.reasons, 'reasons');
});

const old = loadProtos(join(folder, 'protos'));

test('nothing in the protos of the release was removed, renumbered, renamed or retyped', () => {
  none(brokenProtos(old, packageDefinition));
});

test('gRPC messages of the release are read by this code and the other way round; unknown fields are ignored', () => {
  const [ofRelease, ofCode] = [codecsOf(old), codecsOf(packageDefinition)];
  /** Field 1000, a varint. */
  const later = Buffer.from([0xc0, 0x3e, 0x01]);
  let messagesRead = 0;
  for (const [name, was] of ofRelease) {
    const is = ofCode.get(name);
    assert.ok(is !== undefined, `${name} is gone`);
    for (const bytes of [...was.samples.map(was.encode), ...is.samples.map(is.encode)]) {
      assertHolds(is.decode(bytes), was.decode(bytes), name);
      assert.deepEqual(is.decode(Buffer.concat([bytes, later])), is.decode(bytes), name);
      messagesRead += 1;
    }
  }
  assert.ok(messagesRead > 250, `${messagesRead} messages`);
});

test('REST has all that clients of the release use', async () => {
  none(brokenRest(json('openapi.json') as OpenApi, (await openApiDocument()) as OpenApi));
});
