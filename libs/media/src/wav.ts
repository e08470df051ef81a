import { MeshError } from '@talkmesh/contracts';

export interface WavAudio {
  readonly sampleRateHz: number;
  readonly channels: number;
  /** One array per channel, -1..1. */
  readonly samples: Float32Array[];
  readonly seconds: number;
}

export interface WavLimits {
  /** Longest audio accepted, seconds; default 600. */
  readonly maxSeconds?: number;
}

const FORMAT_PCM = 1;
const FORMAT_FLOAT = 3;
const FORMAT_A_LAW = 6;
const FORMAT_MU_LAW = 7;
const FORMAT_EXTENSIBLE = 0xfffe;
const MIN_RATE_HZ = 8_000;
const MAX_RATE_HZ = 192_000;
/** Writers that cannot seek back (pipes) declare a length that no file has: 0xffffffff, or just under 2^31 as sox and espeak-ng do. */
const PIPED_LENGTH = 0x7fff_0000;
/** In RF64 (EBU Tech 3306) this length refers to the ds64 chunk. */
const IN_DS64 = 0xffff_ffff;

interface Format {
  readonly tag: number;
  readonly channels: number;
  readonly sampleRateHz: number;
  readonly blockBytes: number;
  readonly bits: number;
}

const invalid = (why: string): MeshError =>
  new MeshError(
    'AUDIO_FORMAT_INVALID',
    `${why}; send a WAV file of ${MIN_RATE_HZ} to ${MAX_RATE_HZ} Hz, mono or stereo, with integers of 8 to 32 bits, floats, mu-law or A-law`,
  );

/**
 * Reads a WAV file (Microsoft RIFF, incl. WAVE_FORMAT_EXTENSIBLE, and RF64), tolerating unknown chunks and odd padding. A length that
 * cannot be true is the placeholder of a streaming writer: the file is read to its end. A file that is cut off is refused.
 * @throws MeshError AUDIO_FORMAT_INVALID, AUDIO_EMPTY, AUDIO_TOO_LONG
 */
export function parseWav(bytes: Uint8Array, limits: WavLimits = {}): WavAudio {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < 12 || !/^(RIFF|RF64|BW64)$/.test(tagAt(bytes, 0)) || tagAt(bytes, 8) !== 'WAVE')
    throw invalid('this is not a RIFF/WAVE file');
  const { format, data } = findChunks(bytes, view);
  const sampleBytes = checkFormat(format);
  const frames = Math.floor(data.byteLength / format.blockBytes);
  if (frames === 0) throw new MeshError('AUDIO_EMPTY', 'the WAV file holds no samples');
  const seconds = frames / format.sampleRateHz;
  const maxSeconds = limits.maxSeconds ?? 600;
  if (seconds > maxSeconds)
    throw new MeshError(
      'AUDIO_TOO_LONG',
      `the audio lasts ${seconds.toFixed(1)} s; at most ${maxSeconds} s are accepted`,
    );
  const read = READERS[format.tag]?.[format.bits] as ReadSample;
  const samples = Array.from({ length: format.channels }, (_, channel) =>
    Float32Array.from({ length: frames }, (_, i) => read(data, i * format.blockBytes + channel * sampleBytes)),
  );
  return { sampleRateHz: format.sampleRateHz, channels: format.channels, samples, seconds };
}

/** Encodes a mono 16-bit WAV file with the canonical 44-byte header. */
export function encodeWav(pcm: Int16Array, rateHz: number): Uint8Array {
  const bytes = new Uint8Array(44 + pcm.byteLength);
  const view = new DataView(bytes.buffer);
  const tag = (at: number, text: string): void => {
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  };
  tag(0, 'RIFF');
  view.setUint32(4, 36 + pcm.byteLength, true);
  tag(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, FORMAT_PCM, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rateHz, true);
  view.setUint32(28, rateHz * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  tag(36, 'data');
  view.setUint32(40, pcm.byteLength, true);
  for (let i = 0; i < pcm.length; i++) view.setInt16(44 + 2 * i, pcm[i] ?? 0, true);
  return bytes;
}

const tagAt = (bytes: Uint8Array, at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));

function findChunks(bytes: Uint8Array, view: DataView): { format: Format; data: DataView } {
  let format: Format | undefined;
  let sizes = { riff: view.getUint32(4, true), data: IN_DS64, placeholder: PIPED_LENGTH };
  for (let at = 12; at + 8 <= bytes.byteLength; ) {
    const tag = tagAt(bytes, at);
    const declared = view.getUint32(at + 4, true);
    const start = at + 8;
    const room = bytes.byteLength - start;
    if (tag === 'ds64' && declared >= 16 && room >= 16)
      sizes = {
        riff: Number(view.getBigUint64(start, true)),
        data: Number(view.getBigUint64(start + 8, true)),
        placeholder: 2 ** 63,
      };
    if (tag === 'fmt ') {
      if (declared < 16 || declared > room) throw invalid('the format chunk has an invalid length');
      format = readFormat(view, start, declared);
    }
    if (tag === 'data') {
      if (format === undefined) throw invalid('the data chunk precedes the format chunk');
      const length = declared === IN_DS64 ? sizes.data : declared;
      // The file ends before its own length says so. A placeholder says nothing.
      const isCut = sizes.riff + 8 > bytes.byteLength && sizes.riff < sizes.placeholder;
      if (length > room && length < sizes.placeholder && isCut)
        throw invalid(`the file is cut off: ${length} bytes of audio declared, ${room} present`);
      const isEmpty = length === 0 && endsWithChunks(bytes, view, start);
      const present = length > room || (length === 0 && !isEmpty) ? room : length;
      return { format, data: new DataView(bytes.buffer, bytes.byteOffset + start, present) };
    }
    at = start + declared + (declared % 2);
  }
  throw invalid('the file has no data chunk');
}

/** Whether only whole chunks follow. */
function endsWithChunks(bytes: Uint8Array, view: DataView, from: number): boolean {
  let at = from;
  while (at + 8 <= bytes.byteLength) {
    if (!/^[ -~]{4}$/.test(tagAt(bytes, at))) return false;
    const size = view.getUint32(at + 4, true);
    at += 8 + size + (size % 2);
  }
  return at === bytes.byteLength || at === bytes.byteLength + 1;
}

function readFormat(view: DataView, at: number, size: number): Format {
  const tag = view.getUint16(at, true);
  return {
    // The first two bytes of the extensible sub-format GUID are the plain format tag.
    tag: tag === FORMAT_EXTENSIBLE && size >= 40 ? view.getUint16(at + 24, true) : tag,
    channels: view.getUint16(at + 2, true),
    sampleRateHz: view.getUint32(at + 4, true),
    blockBytes: view.getUint16(at + 12, true),
    bits: view.getUint16(at + 14, true),
  };
}

function checkFormat(format: Format): number {
  const { tag, channels, sampleRateHz, blockBytes, bits } = format;
  if (!READERS[tag]?.[bits]) throw invalid(`format ${tag} with ${bits} bits is not supported`);
  if (channels < 1 || channels > 2) throw invalid(`${channels} channels are not supported`);
  if (sampleRateHz < MIN_RATE_HZ || sampleRateHz > MAX_RATE_HZ) throw invalid(`${sampleRateHz} Hz is not supported`);
  if (blockBytes !== (channels * bits) / 8) throw invalid('the fields of the format chunk contradict each other');
  return bits / 8;
}

type ReadSample = (data: DataView, at: number) => number;

const finite = (value: number): number => (Number.isFinite(value) ? value : 0);

/** By format tag and bits. */
const READERS: Readonly<Record<number, Readonly<Record<number, ReadSample>>>> = {
  [FORMAT_PCM]: {
    // Only 8-bit samples are unsigned.
    8: (data, at) => (data.getUint8(at) - 0x80) / 0x80,
    16: (data, at) => data.getInt16(at, true) / 0x8000,
    24: (data, at) => ((data.getInt8(at + 2) << 16) | data.getUint16(at, true)) / 0x800000,
    32: (data, at) => data.getInt32(at, true) / 0x80000000,
  },
  [FORMAT_FLOAT]: {
    32: (data, at) => finite(data.getFloat32(at, true)),
    64: (data, at) => finite(data.getFloat64(at, true)),
  },
  [FORMAT_A_LAW]: { 8: (data, at) => fromALaw(data.getUint8(at)) },
  [FORMAT_MU_LAW]: { 8: (data, at) => fromMuLaw(data.getUint8(at)) },
};

/** ITU-T G.711, table 1: even bits are inverted; 13-bit samples. */
function fromALaw(code: number): number {
  const bits = code ^ 0x55;
  const [exponent, mantissa] = [(bits >> 4) & 7, bits & 15];
  const magnitude = exponent === 0 ? (mantissa << 4) + 8 : ((mantissa << 4) + 0x108) << (exponent - 1);
  return (bits & 0x80 ? magnitude : -magnitude) / 0x8000;
}

/** ITU-T G.711, table 2: all bits are inverted; 14-bit samples. */
function fromMuLaw(code: number): number {
  const bits = ~code & 0xff;
  const magnitude = ((((bits & 15) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
  return (bits & 0x80 ? -magnitude : magnitude) / 0x8000;
}
