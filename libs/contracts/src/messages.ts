/**
 * Binary messages of the data plane: an 84-byte little-endian header, then the payload. Readers ignore flags that they do not know, and what
 * a longer header has after its first 84 bytes; so fields can be added without a new version.
 *
 * | offset | type | field |
 * |---|---|---|
 * | 0 | u8 x2 | 'T' 'M' |
 * | 2 | u8 | version (3) |
 * | 3 | u8 | kind: 1 audio, 2 latent, 3 frame, 4 playhead |
 * | 4 | u16 | flags; in a latent message the upper byte is the number of steps |
 * | 6 | u16 | header bytes: 84, or more from a newer sender |
 * | 8 | ascii x24 | session id, zero padded |
 * | 32 | u32 | epoch |
 * | 36 | u32 | turn |
 * | 40 | u32 | chunk |
 * | 44 | u32 | index within the chunk or the stream; in a latent message parts << 16 \| part |
 * | 48 | u64 | media time, microseconds of the session's media clock |
 * | 56 | u64 | deadline, unix microseconds (0: none) |
 * | 64 | u32 x4 | four fields that depend on the kind, see the encode functions |
 * | 80 | u32 | payload bytes |
 */
import { MeshError } from './errors.js';
import { isSessionId } from './ids.js';
import { MAX_PAYLOAD_BYTES } from './pipeline.js';

export const MESSAGE_VERSION = 3;
export const HEADER_BYTES = 84;
/** Longest header that is read. */
const MAX_HEADER_BYTES = 1024;

export const KIND = { audio: 1, latent: 2, frame: 3, playhead: 4 } as const;
export type Kind = keyof typeof KIND;

const FLAG_SPEAKING = 1;
const FLAG_END_OF_TURN = 2;
const FLAG_DEGRADED = 4;
const FLAG_HELD = 8;
const FLAG_ENDS_IDLE = 16;

/** Fields of every message. */
export interface MessageHeader {
  readonly sessionId: string;
  /** Raised by every flush; `epochs.ts` defines which chunks of older epochs are dropped. */
  readonly epoch: number;
  /** Number of the turn, from 1; 0 outside a turn. */
  readonly turn: number;
  readonly chunk: number;
  /** Position on the session's media clock, microseconds; below 2^53, so that a number holds it exactly. */
  readonly mediaTimeUs: number;
  /** Unix time in microseconds by which the message must be used; 0: no deadline. */
  readonly deadlineUs: number;
}

/** A message of `mic` or `speech`: PCM16 mono. */
export interface AudioMessage extends MessageHeader {
  /** Counts messages of the stream, from 0. */
  readonly sequence: number;
  readonly sampleRateHz: number;
  readonly pcm: Int16Array;
  /** Samples of the turn before this message, so that a receiver detects gaps and duplicates. 0 in `mic`. */
  readonly fromSample: number;
  /** This is the last message of the turn (`pcm` may be empty). */
  readonly endOfTurn: boolean;
}

/** A message of `latent`: the latents of a chunk with the chunk's audio. The parts of a large chunk differ in `part`, `values` and `pcm` only. */
export interface LatentMessage extends MessageHeader {
  readonly part: number;
  readonly parts: number;
  /** Float32 values of shape [latentFrames, C, H, W], as in the manifest; in chunk 0 of a model with sink chunks, theirs before. Empty when the chunk is held. */
  readonly values: Float32Array;
  /** The chunk's audio, PCM16 mono at 24 kHz; in part 0 only. */
  readonly pcm: Int16Array;
  readonly speaking: boolean;
  /** The chunk was generated with fewer denoising steps than the model's schedule has. */
  readonly degraded: boolean;
  /** The chunk has no latents: the previous frame stays while the chunk's audio is played. */
  readonly held: boolean;
  /** The chunk contains the last audio of its turn. */
  readonly endOfTurn: boolean;
  /** Speech begins: the player leaves the idle chunk that it plays as soon as this chunk is there. */
  readonly endsIdle: boolean;
  /** Denoising steps taken, at most 255; 0 when the chunk is held. */
  readonly steps: number;
  /** Samples of speech at the start of the chunk's audio; the others are padding. Also in the parts without `pcm`. */
  readonly speechSamples: number;
  /** Samples of the turn up to the end of this chunk, without padding. In an idle chunk: those of the paused turn, which is `closedTurn` + 1. */
  readonly turnSamples: number;
  /** Turns up to this number are finished or cut when this chunk has been played; a takeover does not continue them. */
  readonly closedTurn: number;
}

/** A message of `frame`: one video frame with its slice of the audio. */
export interface FrameMessage extends MessageHeader {
  /** Index of the frame in its chunk, from 0. */
  readonly frame: number;
  readonly framesInChunk: number;
  readonly width: number;
  readonly height: number;
  /** Planar I420, width*height*3/2 bytes; empty when the frame is held. */
  readonly i420: Uint8Array;
  /** PCM16 mono at 24 kHz; 24000 / fps samples. */
  readonly pcm: Int16Array;
  /** Samples of the turn up to the end of this frame, without padding; 0 outside a turn. */
  readonly turnSamples: number;
  readonly speaking: boolean;
  readonly degraded: boolean;
  /** The previous frame stays while this frame's audio is played. */
  readonly held: boolean;
  readonly endOfTurn: boolean;
  /** As in the latent message; the same in all frames of the chunk. */
  readonly endsIdle: boolean;
}

/** A message of `playhead`: the position that webrtc-egress has played, and the credit. `chunk` and `frame` are those of the last frame played. */
export interface PlayheadMessage extends MessageHeader {
  readonly frame: number;
  /** Chunks that score-model may generate ahead of `chunk`. */
  readonly creditChunks: number;
  /** Frame periods since the start of the session in which the previous frame stayed because the next one was late. */
  readonly heldFrames: number;
  /** Position in the speech of `turn`, milliseconds: all before it was played. */
  readonly turnPlayedMs: number;
}

interface Fields extends MessageHeader {
  readonly kind: Kind;
  readonly flags: number;
  readonly index: number;
  readonly words: readonly [number, number, number, number];
}

function encode(fields: Fields, ...payload: readonly Uint8Array[]): Uint8Array {
  const payloadBytes = payload.reduce((sum, part) => sum + part.byteLength, 0);
  if (HEADER_BYTES + payloadBytes > MAX_PAYLOAD_BYTES)
    throw new MeshError(
      'MESSAGE_MALFORMED',
      `a ${fields.kind} message of ${payloadBytes} bytes is over ${MAX_PAYLOAD_BYTES}`,
    );
  const bytes = new Uint8Array(HEADER_BYTES + payloadBytes);
  const view = new DataView(bytes.buffer);
  bytes.set([0x54, 0x4d, MESSAGE_VERSION, KIND[fields.kind]]);
  view.setUint16(4, fields.flags, true);
  view.setUint16(6, HEADER_BYTES, true);
  for (let i = 0; i < fields.sessionId.length && i < 24; i++) bytes[8 + i] = fields.sessionId.charCodeAt(i);
  view.setUint32(32, fields.epoch, true);
  view.setUint32(36, fields.turn, true);
  view.setUint32(40, fields.chunk, true);
  view.setUint32(44, fields.index, true);
  view.setBigUint64(48, BigInt(Math.round(fields.mediaTimeUs)), true);
  view.setBigUint64(56, BigInt(Math.round(fields.deadlineUs)), true);
  fields.words.forEach((word, i) => {
    view.setUint32(64 + 4 * i, word, true);
  });
  view.setUint32(80, payloadBytes, true);
  let at = HEADER_BYTES;
  for (const part of payload) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

interface Decoded extends Fields {
  /** A copy, because typed arrays need an aligned buffer of exactly this size. */
  readonly payload: Uint8Array;
}

function decode(kind: Kind, bytes: Uint8Array): Decoded {
  const malformed = (what: string): MeshError => new MeshError('MESSAGE_MALFORMED', `${kind} message: ${what}`);
  if (bytes.byteLength < HEADER_BYTES) throw malformed(`${bytes.byteLength} bytes are shorter than the header`);
  if (bytes[0] !== 0x54 || bytes[1] !== 0x4d) throw malformed('it does not start with TM');
  if (bytes[2] !== MESSAGE_VERSION)
    throw new MeshError(
      'MESSAGE_VERSION',
      `${kind} message version ${bytes[2]} is not supported, only ${MESSAGE_VERSION}`,
    );
  if (bytes[3] !== KIND[kind]) throw malformed(`kind ${bytes[3]} is not ${KIND[kind]}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = view.getUint16(6, true);
  if (headerBytes < HEADER_BYTES || headerBytes > MAX_HEADER_BYTES) throw malformed('wrong header size');
  if (view.getUint32(80, true) !== bytes.byteLength - headerBytes) throw malformed('payload size does not match');
  const sessionId = String.fromCharCode(...bytes.subarray(8, 32)).replace(/\0+$/, '');
  if (!isSessionId(sessionId)) throw malformed('invalid session id');
  return {
    kind,
    flags: view.getUint16(4, true),
    sessionId,
    epoch: view.getUint32(32, true),
    turn: view.getUint32(36, true),
    chunk: view.getUint32(40, true),
    index: view.getUint32(44, true),
    mediaTimeUs: Number(view.getBigUint64(48, true)),
    deadlineUs: Number(view.getBigUint64(56, true)),
    words: [view.getUint32(64, true), view.getUint32(68, true), view.getUint32(72, true), view.getUint32(76, true)],
    // Not slice(): the slice of a Buffer is a view, not a copy.
    payload: new Uint8Array(bytes.subarray(headerBytes)),
  };
}

const bytesOf = (array: Int16Array | Float32Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

function expectBytes(kind: Kind, payload: Uint8Array, expected: number): void {
  if (payload.byteLength !== expected)
    throw new MeshError(
      'MESSAGE_MALFORMED',
      `${kind} message: payload has ${payload.byteLength} bytes, not ${expected}`,
    );
}

const header = (d: Decoded): MessageHeader => ({
  sessionId: d.sessionId,
  epoch: d.epoch,
  turn: d.turn,
  chunk: d.chunk,
  mediaTimeUs: d.mediaTimeUs,
  deadlineUs: d.deadlineUs,
});

/** Fields at offset 64: sample rate in Hz, samples, samples of the turn before this message, 0. */
export function encodeAudio(m: AudioMessage): Uint8Array {
  const flags = m.endOfTurn ? FLAG_END_OF_TURN : 0;
  return encode(
    { ...m, kind: 'audio', flags, index: m.sequence, words: [m.sampleRateHz, m.pcm.length, m.fromSample, 0] },
    bytesOf(m.pcm),
  );
}

/** @throws MeshError MESSAGE_VERSION, MESSAGE_MALFORMED */
export function decodeAudio(bytes: Uint8Array): AudioMessage {
  const d = decode('audio', bytes);
  const [sampleRateHz, samples, fromSample] = d.words;
  expectBytes('audio', d.payload, samples * 2);
  return {
    ...header(d),
    sequence: d.index,
    sampleRateHz,
    pcm: new Int16Array(d.payload.buffer),
    fromSample,
    endOfTurn: (d.flags & FLAG_END_OF_TURN) !== 0,
  };
}

/** Fields at offset 64: PCM samples, `turnSamples`, `closedTurn`, `speechSamples`. Payload: values as float32, then PCM. */
export function encodeLatent(m: LatentMessage): Uint8Array {
  if (m.held !== (m.values.length === 0 && m.steps === 0))
    throw new MeshError('MESSAGE_MALFORMED', 'a held chunk, and only a held chunk, has neither values nor steps');
  return encode(
    {
      ...m,
      kind: 'latent',
      flags: chunkFlags(m) | (m.steps << 8),
      index: (m.parts << 16) | m.part,
      words: [m.pcm.length, m.turnSamples, m.closedTurn, m.speechSamples],
    },
    bytesOf(m.values),
    bytesOf(m.pcm),
  );
}

/** @throws MeshError MESSAGE_VERSION, MESSAGE_MALFORMED */
export function decodeLatent(bytes: Uint8Array): LatentMessage {
  const d = decode('latent', bytes);
  const [samples, turnSamples, closedTurn, speechSamples] = d.words;
  const valueBytes = d.payload.byteLength - samples * 2;
  if (valueBytes < 0 || valueBytes % 4 !== 0)
    throw new MeshError(
      'MESSAGE_MALFORMED',
      `latent message: ${d.payload.byteLength} bytes are not float32 values and ${samples} samples`,
    );
  const [parts, part] = [d.index >>> 16, d.index & 0xffff];
  if (part >= parts) throw new MeshError('MESSAGE_MALFORMED', `latent message: part ${part} of ${parts}`);
  if (part === 0 && speechSamples > samples)
    throw new MeshError('MESSAGE_MALFORMED', `latent message: ${speechSamples} of ${samples} samples are speech`);
  const [chunk, steps] = [readChunkFlags(d.flags), d.flags >>> 8];
  if (chunk.held !== (valueBytes === 0 && steps === 0))
    throw new MeshError(
      'MESSAGE_MALFORMED',
      'latent message: a held chunk, and only a held chunk, has neither values nor steps',
    );
  return {
    ...header(d),
    part,
    parts,
    values: new Float32Array(d.payload.buffer, 0, valueBytes / 4),
    pcm: new Int16Array(d.payload.buffer, valueBytes, samples),
    steps,
    speechSamples,
    turnSamples,
    closedTurn,
    ...chunk,
  };
}

/** Fields at offset 64: width << 16 | height, PCM samples, frames in the chunk, `turnSamples`. Payload: I420, then PCM. */
export function encodeFrame(m: FrameMessage): Uint8Array {
  expectBytes('frame', m.i420, m.held ? 0 : (m.width * m.height * 3) / 2);
  const words = [(m.width << 16) | m.height, m.pcm.length, m.framesInChunk, m.turnSamples] as const;
  return encode({ ...m, kind: 'frame', flags: chunkFlags(m), index: m.frame, words }, m.i420, bytesOf(m.pcm));
}

/** @throws MeshError MESSAGE_VERSION, MESSAGE_MALFORMED */
export function decodeFrame(bytes: Uint8Array): FrameMessage {
  const d = decode('frame', bytes);
  const [size, samples, framesInChunk, turnSamples] = d.words;
  const [width, height] = [size >>> 16, size & 0xffff];
  const flags = readChunkFlags(d.flags);
  const pictureBytes = flags.held ? 0 : (width * height * 3) / 2;
  expectBytes('frame', d.payload, pictureBytes + samples * 2);
  return {
    ...header(d),
    frame: d.index,
    framesInChunk,
    width,
    height,
    i420: d.payload.subarray(0, pictureBytes),
    pcm: new Int16Array(d.payload.slice(pictureBytes).buffer),
    turnSamples,
    ...flags,
  };
}

/** Fields at offset 64: credit in chunks, held frames, milliseconds of the turn that were played, 0. */
export function encodePlayhead(m: PlayheadMessage): Uint8Array {
  return encode({
    ...m,
    kind: 'playhead',
    flags: 0,
    index: m.frame,
    words: [m.creditChunks, m.heldFrames, Math.round(m.turnPlayedMs), 0],
  });
}

/** @throws MeshError MESSAGE_VERSION, MESSAGE_MALFORMED */
export function decodePlayhead(bytes: Uint8Array): PlayheadMessage {
  const d = decode('playhead', bytes);
  expectBytes('playhead', d.payload, 0);
  const [creditChunks, heldFrames, turnPlayedMs] = d.words;
  return { ...header(d), frame: d.index, creditChunks, heldFrames, turnPlayedMs };
}

interface ChunkFlags {
  readonly speaking: boolean;
  readonly degraded: boolean;
  readonly held: boolean;
  readonly endOfTurn: boolean;
  readonly endsIdle: boolean;
}

const chunkFlags = (m: ChunkFlags): number =>
  (m.speaking ? FLAG_SPEAKING : 0) |
  (m.degraded ? FLAG_DEGRADED : 0) |
  (m.held ? FLAG_HELD : 0) |
  (m.endOfTurn ? FLAG_END_OF_TURN : 0) |
  (m.endsIdle ? FLAG_ENDS_IDLE : 0);

const readChunkFlags = (flags: number): ChunkFlags => ({
  speaking: (flags & FLAG_SPEAKING) !== 0,
  degraded: (flags & FLAG_DEGRADED) !== 0,
  held: (flags & FLAG_HELD) !== 0,
  endOfTurn: (flags & FLAG_END_OF_TURN) !== 0,
  endsIdle: (flags & FLAG_ENDS_IDLE) !== 0,
});
