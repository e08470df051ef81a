import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from './errors.js';
import { decodeEvent, encodeEvent } from './events.js';
import { LatentAssembler, splitLatent } from './latent-parts.js';
import {
  type AudioMessage,
  decodeAudio,
  decodeFrame,
  decodeLatent,
  decodePlayhead,
  encodeAudio,
  encodeFrame,
  encodeLatent,
  encodePlayhead,
  type FrameMessage,
  HEADER_BYTES,
  type LatentMessage,
  type PlayheadMessage,
} from './messages.js';

const SID = '0123456789abcdefghjk';
const head = { sessionId: SID, epoch: 2, turn: 3, chunk: 4, mediaTimeUs: 1_920_000, deadlineUs: 1_800_000_000_000_000 };

const audio: AudioMessage = {
  ...head,
  sequence: 7,
  sampleRateHz: 24_000,
  pcm: Int16Array.of(1, -2),
  fromSample: 960,
  endOfTurn: true,
};
const latent: LatentMessage = {
  ...head,
  part: 0,
  parts: 1,
  values: Float32Array.of(0.5, -1),
  pcm: Int16Array.of(256),
  speaking: true,
  degraded: false,
  held: false,
  endOfTurn: false,
  endsIdle: false,
  steps: 2,
  speechSamples: 1,
  turnSamples: 11_520,
  closedTurn: 1,
};
const frame: FrameMessage = {
  ...head,
  frame: 11,
  framesInChunk: 12,
  width: 2,
  height: 2,
  i420: Uint8Array.of(16, 17, 18, 19, 128, 129),
  pcm: Int16Array.of(-1),
  turnSamples: 960,
  speaking: true,
  degraded: true,
  held: false,
  endOfTurn: true,
  endsIdle: false,
};
const playhead: PlayheadMessage = {
  ...head,
  deadlineUs: 0,
  frame: 5,
  creditChunks: 2,
  heldFrames: 1,
  turnPlayedMs: 440,
};

/** The bytes on the wire. A change breaks running deployments: raise MESSAGE_VERSION with it. */
const GOLDEN_HEAD = `${'3031323334353637383961626364656667686a6b'}00000000020000000300000004000000`;
const GOLDEN = {
  audio: `544d030102005400${GOLDEN_HEAD}07000000004c1d00000000000080982817650600c05d000002000000c0030000 00000000 0400000001 00feff`,
  latent: `544d030201025400${GOLDEN_HEAD}00000100004c1d0000000000008098281765060001000000002d000001000000 01000000 0a000000 0000003f 000080bf 0001`,
  frame: `544d030307005400${GOLDEN_HEAD}0b000000004c1d00000000000080982817650600020002000100 00000c000000 c0030000 08000000 101112138081 ffff`,
  playhead: `544d030400005400${GOLDEN_HEAD}05000000004c1d00000000000000000000000000 02000000 01000000 b8010000 00000000 00000000`,
};
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const golden = (text: string): string => text.replaceAll(' ', '');

test('messages are encoded to the golden bytes', () => {
  assert.equal(hex(encodeAudio(audio)), golden(GOLDEN.audio));
  assert.equal(hex(encodeLatent(latent)), golden(GOLDEN.latent));
  assert.equal(hex(encodeFrame(frame)), golden(GOLDEN.frame));
  assert.equal(hex(encodePlayhead(playhead)), golden(GOLDEN.playhead));
});

test('flag 16 says that speech begins; a reader that does not know it ignores it', () => {
  const begins = { ...latent, endsIdle: true };
  assert.equal(hex(encodeLatent(begins)), golden(GOLDEN.latent).replace(/^544d03020102/, '544d03021102'));
  assert.deepEqual(decodeLatent(encodeLatent(begins)), begins);
  assert.equal(decodeFrame(encodeFrame({ ...frame, endsIdle: true })).endsIdle, true);
});

test('messages are equal after encoding and decoding, also from an unaligned buffer', () => {
  const unaligned = (bytes: Uint8Array): Uint8Array => {
    const shifted = new Uint8Array(bytes.byteLength + 1);
    shifted.set(bytes, 1);
    return shifted.subarray(1);
  };
  assert.deepEqual(decodeAudio(Buffer.from(encodeAudio(audio))), audio, 'from a Buffer, whose slice() is a view');
  assert.deepEqual(decodeFrame(Buffer.from(encodeFrame(frame))), frame);
  assert.deepEqual(decodeAudio(unaligned(encodeAudio(audio))), audio);
  assert.deepEqual(decodeLatent(unaligned(encodeLatent(latent))), latent);
  assert.deepEqual(decodeFrame(unaligned(encodeFrame(frame))), frame);
  assert.deepEqual(decodePlayhead(unaligned(encodePlayhead(playhead))), playhead);
});

const reasonOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return error instanceof MeshError ? error.reason : String(error);
  }
  return 'nothing was thrown';
};

test('malformed messages are refused with MESSAGE_MALFORMED or MESSAGE_VERSION', () => {
  const good = encodeAudio(audio);
  const changed = (at: number, value: number): Uint8Array => {
    const bytes = good.slice();
    bytes[at] = value;
    return bytes;
  };
  assert.equal(
    reasonOf(() => decodeAudio(changed(2, 2))),
    'MESSAGE_VERSION',
  );
  assert.equal(
    reasonOf(() => decodeAudio(changed(0, 0))),
    'MESSAGE_MALFORMED',
  );
  assert.equal(
    reasonOf(() => decodeAudio(changed(3, 3))),
    'MESSAGE_MALFORMED',
  );
  assert.equal(
    reasonOf(() => decodeAudio(changed(8, 42))),
    'MESSAGE_MALFORMED',
    'a * in the session id',
  );
  assert.equal(
    reasonOf(() => decodeAudio(changed(68, 9))),
    'MESSAGE_MALFORMED',
    'more samples than payload',
  );
  assert.equal(
    reasonOf(() => decodeAudio(good.subarray(0, HEADER_BYTES - 1))),
    'MESSAGE_MALFORMED',
  );
  assert.equal(
    reasonOf(() => decodeAudio(good.subarray(0, good.byteLength - 1))),
    'MESSAGE_MALFORMED',
  );
  assert.equal(
    reasonOf(() => encodeFrame({ ...frame, i420: new Uint8Array(2_000_000) })),
    'MESSAGE_MALFORMED',
  );
});

test('a held chunk and a held frame contain audio only', () => {
  const chunk: LatentMessage = { ...latent, held: true, values: new Float32Array(0), steps: 0 };
  assert.deepEqual(decodeLatent(encodeLatent(chunk)), chunk);
  assert.deepEqual(splitLatent(chunk), [chunk]);
  const still: FrameMessage = { ...frame, held: true, i420: new Uint8Array(0) };
  assert.deepEqual(decodeFrame(encodeFrame(still)), still);
  for (const wrong of [
    { ...chunk, held: false },
    { ...chunk, steps: 1 },
    { ...latent, held: true },
  ])
    assert.equal(
      reasonOf(() => encodeLatent(wrong)),
      'MESSAGE_MALFORMED',
    );
  const flagless = encodeLatent(chunk);
  flagless[4] = 0;
  assert.equal(
    reasonOf(() => decodeLatent(flagless)),
    'MESSAGE_MALFORMED',
  );
  assert.equal(
    reasonOf(() => decodeLatent(encodeLatent({ ...latent, speechSamples: 2 }))),
    'MESSAGE_MALFORMED',
    'more speech than audio',
  );
  const tooManySamples = encodeLatent(latent);
  tooManySamples[64] = 200;
  assert.equal(
    reasonOf(() => decodeLatent(tooManySamples)),
    'MESSAGE_MALFORMED',
  );
  assert.equal(
    reasonOf(() => encodeFrame({ ...frame, held: true })),
    'MESSAGE_MALFORMED',
  );
});

test('large latents are split into parts below the payload limit, and joined', () => {
  const values = Float32Array.from({ length: 393_216 }, (_, i) => i);
  const whole = { ...latent, values, pcm: new Int16Array(11_520) };
  const parts = splitLatent(whole);
  assert.equal(parts.length, 2);
  const assembler = new LatentAssembler();
  const joined = parts.map((part) => assembler.push(decodeLatent(encodeLatent(part))));
  assert.equal(joined[0], undefined);
  assert.deepEqual(joined[1], whole);
});

test('a lost part drops its own chunk only', () => {
  const whole = { ...latent, values: new Float32Array(300), pcm: new Int16Array(0), speechSamples: 0 };
  const parts = splitLatent(whole, HEADER_BYTES + 400);
  assert.equal(parts.length, 3);
  const assembler = new LatentAssembler();
  const push = (part: LatentMessage | undefined): unknown => assembler.push(part as LatentMessage);
  assert.equal(push(parts[0]), undefined);
  assert.equal(push(parts[2]), undefined);
  const next = splitLatent({ ...whole, chunk: 5 }, HEADER_BYTES + 400);
  assert.equal(push(next[0]), undefined);
  assert.equal(push(next[1]), undefined);
  assert.deepEqual(push(next[2]), { ...whole, chunk: 5 });
});

test('the events of pause and resume are encoded to the golden JSON', () => {
  const head = { id: 'gateway-1.1', sessionId: SID, epoch: 1, turn: 2 } as const;
  const expected = [
    [{ ...head, type: 'pause', cause: 'user-speech' }, '"type":"pause","cause":"user-speech"'],
    [{ ...head, type: 'resume', cause: 'too-short' }, '"type":"resume","cause":"too-short"'],
    [
      { ...head, type: 'turn.paused', heardMs: 480, cause: 'command' },
      '"type":"turn.paused","heardMs":480,"cause":"command"',
    ],
    [
      { ...head, type: 'turn.resumed', heardMs: 500.5, cause: 'command' },
      '"type":"turn.resumed","heardMs":500.5,"cause":"command"',
    ],
    [{ ...head, type: 'flush', fromChunk: 9, cause: 'resume' }, '"type":"flush","fromChunk":9,"cause":"resume"'],
  ] as const;
  for (const [event, json] of expected) {
    const bytes = encodeEvent(event, 5);
    assert.equal(
      new TextDecoder().decode(bytes),
      `{"v":2,"atMs":5,"id":"gateway-1.1","sessionId":"${SID}","epoch":1,"turn":2,${json}}`,
    );
    assert.deepEqual(decodeEvent(bytes), { v: 2, atMs: 5, ...event });
  }
});

test('a pause or resume without a cause, as older services send it, is a command', () => {
  for (const type of ['pause', 'resume']) {
    const json = { v: 2, atMs: 5, id: 'a.1', sessionId: SID, epoch: 1, turn: 2, type };
    const event = decodeEvent(new TextEncoder().encode(JSON.stringify(json)));
    assert.ok((event.type === 'pause' || event.type === 'resume') && event.cause === 'command');
  }
});

test('events are versioned JSON', () => {
  const event = {
    id: 'gateway-1.1',
    sessionId: SID,
    epoch: 1,
    turn: 2,
    type: 'flush',
    fromChunk: 9,
    cause: 'speech',
  } as const;
  assert.deepEqual(decodeEvent(encodeEvent(event, 5)), { v: 2, atMs: 5, ...event });
  const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  assert.equal(
    reasonOf(() => decodeEvent(bytes({ ...event, v: 1, atMs: 1 }))),
    'MESSAGE_VERSION',
  );
  assert.equal(
    reasonOf(() => decodeEvent(bytes({ ...event, v: 2, atMs: 1, type: 'nope' }))),
    'MESSAGE_MALFORMED',
  );
  assert.equal(
    reasonOf(() => decodeEvent(bytes({ ...event, v: 2, atMs: 1, sessionId: 'a.b' }))),
    'MESSAGE_MALFORMED',
  );
  // An id is a line of a server-sent event: it must not break the stream.
  for (const id of ['', 'a\nb', 'a'.repeat(81), undefined])
    assert.equal(
      reasonOf(() => decodeEvent(bytes({ ...event, v: 2, atMs: 1, id }))),
      'MESSAGE_MALFORMED',
    );
  assert.equal(
    reasonOf(() => decodeEvent(new TextEncoder().encode('{'))),
    'MESSAGE_MALFORMED',
  );
  assert.equal(
    reasonOf(() => decodeEvent(new Uint8Array(20_000))),
    'MESSAGE_MALFORMED',
  );
});
