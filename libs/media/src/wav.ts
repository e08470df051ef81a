import { MeshError } from '@talkmesh/contracts';

/** A decoded RIFF/WAVE file. */
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
const FORMAT_EXTENSIBLE = 0xfffe;
const MIN_RATE_HZ = 8_000;
const MAX_RATE_HZ = 48_000;
/** Writers that cannot seek back (pipes) announce a length no file has: 0xffffffff, or just under 2^31 as espeak-ng does. */
const PIPED_LENGTH = 0x7fff_0000;

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
    `${why}; send a WAV file of ${MIN_RATE_HZ} to ${MAX_RATE_HZ} Hz, mono or stereo, 16/24/32-bit integer or 32-bit float`,
  );

/**
 * Reads a WAV file (Microsoft RIFF, incl. WAVE_FORMAT_EXTENSIBLE), tolerating unknown chunks, odd padding and a data
 * length of a stream that was never patched.
 * @throws MeshError AUDIO_FORMAT_INVALID, AUDIO_EMPTY, AUDIO_TOO_LONG
 */
export function parseWav(bytes: Uint8Array, limits: WavLimits = {}): WavAudio {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < 12 || tagAt(bytes, 0) !== 'RIFF' || tagAt(bytes, 8) !== 'WAVE')
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
  const read = sampleReader(data, format.tag, sampleBytes);
  const samples = Array.from({ length: format.channels }, (_, channel) =>
    Float32Array.from({ length: frames }, (_, i) => read(i * format.blockBytes + channel * sampleBytes)),
  );
  return { sampleRateHz: format.sampleRateHz, channels: format.channels, samples, seconds };
}

/** A mono 16-bit WAV file with the canonical 44-byte header. */
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
  for (let at = 12; at + 8 <= bytes.byteLength; ) {
    const tag = tagAt(bytes, at);
    const declared = view.getUint32(at + 4, true);
    const start = at + 8;
    const room = bytes.byteLength - start;
    if (tag === 'fmt ') {
      if (declared < 16 || declared > room) throw invalid('the format chunk is damaged');
      format = readFormat(view, start, declared);
    }
    if (tag === 'data') {
      if (format === undefined) throw invalid('the data comes before the format');
      if (declared > room && declared < PIPED_LENGTH)
        throw invalid(`the file is cut off: ${declared} bytes of audio announced, ${room} present`);
      return { format, data: new DataView(bytes.buffer, bytes.byteOffset + start, Math.min(declared, room)) };
    }
    at = start + declared + (declared % 2);
  }
  throw invalid('there is no audio data in the file');
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
  const integer = tag === FORMAT_PCM && (bits === 16 || bits === 24 || bits === 32);
  if (!integer && !(tag === FORMAT_FLOAT && bits === 32))
    throw invalid(`format ${tag} with ${bits} bits is not supported`);
  if (channels < 1 || channels > 2) throw invalid(`${channels} channels are not supported`);
  if (sampleRateHz < MIN_RATE_HZ || sampleRateHz > MAX_RATE_HZ) throw invalid(`${sampleRateHz} Hz is not supported`);
  if (blockBytes !== (channels * bits) / 8) throw invalid('the format chunk contradicts itself');
  return bits / 8;
}

function sampleReader(data: DataView, tag: number, sampleBytes: number): (at: number) => number {
  if (tag === FORMAT_FLOAT) {
    return (at) => {
      const value = data.getFloat32(at, true);
      return Number.isFinite(value) ? value : 0;
    };
  }
  if (sampleBytes === 2) return (at) => data.getInt16(at, true) / 0x8000;
  if (sampleBytes === 3) return (at) => ((data.getInt8(at + 2) << 16) | data.getUint16(at, true)) / 0x800000;
  return (at) => data.getInt32(at, true) / 0x80000000;
}
