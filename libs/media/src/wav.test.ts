import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MeshError } from '@talkmesh/contracts';
import { encodeWav, parseWav } from './wav.js';

interface Layout {
  readonly tag?: number;
  readonly channels?: number;
  readonly rateHz?: number;
  readonly bits?: number;
  readonly extensible?: boolean;
  readonly extraChunk?: boolean;
  readonly declaredBytes?: number;
  readonly riffBytes?: number;
}

/** Builds a WAV file without encodeWav, so that the parser is not tested against this package's encoder. */
function wav(values: readonly number[], layout: Layout = {}): Uint8Array {
  const { tag = 1, channels = 1, rateHz = 24_000, bits = 16, extensible = false } = layout;
  const formatBytes = extensible ? 40 : 16;
  const format = Buffer.alloc(formatBytes);
  format.writeUInt16LE(extensible ? 0xfffe : tag, 0);
  format.writeUInt16LE(channels, 2);
  format.writeUInt32LE(rateHz, 4);
  format.writeUInt32LE((rateHz * channels * bits) / 8, 8);
  format.writeUInt16LE((channels * bits) / 8, 12);
  format.writeUInt16LE(bits, 14);
  if (extensible) format.writeUInt16LE(tag, 24);
  const data = Buffer.alloc((values.length * bits) / 8);
  values.forEach((value, i) => {
    const at = (i * bits) / 8;
    if (tag === 3 && bits === 64) data.writeDoubleLE(value, at);
    else if (tag === 3) data.writeFloatLE(value, at);
    else if (tag !== 1) data.writeUInt8(value, at);
    else if (bits === 8) data.writeUInt8(Math.round(value * 127) + 128, at);
    else data.writeIntLE(Math.round(value * (2 ** (bits - 1) - 1)), at, bits / 8);
  });
  const chunk = (id: string, body: Buffer, declared = body.length): Buffer => {
    const head = Buffer.alloc(8);
    head.write(id);
    head.writeUInt32LE(declared, 4);
    return Buffer.concat([head, body, Buffer.alloc(body.length % 2)]);
  };
  const extra = layout.extraChunk ? [chunk('LIST', Buffer.from('odd'))] : [];
  const body = Buffer.concat([
    Buffer.from('WAVE'),
    chunk('fmt ', format),
    ...extra,
    chunk('data', data, layout.declaredBytes),
  ]);
  return Buffer.concat([chunk('RIFF', body, layout.riffBytes).subarray(0, 8), body]);
}

const reasonOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return (error as MeshError).reason;
  }
  return 'nothing was thrown';
};

test('every accepted format yields the same samples', () => {
  const values = [0, 0.5, -0.5, 0.999, -0.999, 0.25];
  for (const rateHz of [8000, 22_050, 96_000])
    for (const channels of [1, 2])
      for (const extensible of [false, true])
        for (const [tag, bits] of [
          [1, 8],
          [1, 16],
          [1, 24],
          [1, 32],
          [3, 32],
          [3, 64],
        ] as const) {
          const name = `${rateHz} Hz x${channels} format ${tag} ${bits} bit ${extensible ? 'extensible' : ''}`;
          const audio = parseWav(wav(values, { tag, bits, channels, rateHz, extensible, extraChunk: true }));
          assert.equal(audio.sampleRateHz, rateHz, name);
          assert.equal(audio.channels, channels, name);
          assert.equal(audio.seconds, values.length / channels / rateHz, name);
          audio.samples.forEach((samples, channel) => {
            samples.forEach((sample, i) => {
              const expected = values[i * channels + channel] ?? Number.NaN;
              assert.ok(
                Math.abs(sample - expected) < (bits === 8 ? 2 ** -6 : 2 ** -14),
                `${name}: ${sample} is not ${expected}`,
              );
            });
          });
        }
});

test('a WAV file is encoded to the expected bytes and parses back exactly', () => {
  const pcm = Int16Array.of(0, 1, -1, 32_767, -32_768);
  const bytes = encodeWav(pcm, 24_000);
  assert.equal(
    Buffer.from(bytes).toString('hex'),
    '524946462e00000057415645666d742010000000010001' +
      '00c05d000080bb00000200100064617461' +
      '0a00000000000100ffffff7f0080',
  );
  assert.deepEqual(
    parseWav(bytes).samples[0],
    Float32Array.from(pcm, (sample) => sample / 32_768),
  );
});

test('invalid files are rejected with the reason', () => {
  const good = wav([0.1, 0.2]);
  const format = 'AUDIO_FORMAT_INVALID';
  assert.equal(
    reasonOf(() => parseWav(new Uint8Array(0))),
    format,
  );
  assert.equal(
    reasonOf(() => parseWav(Buffer.from('OggS and some more bytes'))),
    format,
  );
  assert.equal(
    reasonOf(() => parseWav(good.subarray(0, 30))),
    format,
    'cut inside the format',
  );
  assert.equal(
    reasonOf(() => parseWav(good.subarray(0, good.length - 1))),
    format,
    'cut inside the data',
  );
  for (const layout of [
    { bits: 12 },
    { channels: 3 },
    { rateHz: 7999 },
    { rateHz: 192_001 },
    { tag: 3, bits: 16 },
    { tag: 6, bits: 16 },
    { tag: 85, bits: 16 },
  ])
    assert.equal(
      reasonOf(() => parseWav(wav([], layout))),
      format,
      JSON.stringify(layout),
    );
  assert.equal(
    reasonOf(() => parseWav(wav([]))),
    'AUDIO_EMPTY',
  );
  assert.equal(
    reasonOf(() => parseWav(wav(new Array(8001).fill(0), { rateHz: 8000 }), { maxSeconds: 1 })),
    'AUDIO_TOO_LONG',
  );
});

test('mu-law and A-law samples have the values of ITU-T G.711', () => {
  const codes = [0xff, 0x7f, 0x80, 0x00, 0xf0, 0xaf];
  const muLaw = parseWav(wav(codes, { tag: 7, bits: 8, rateHz: 8000 })).samples[0] ?? new Float32Array(0);
  assert.deepEqual(
    [...muLaw].map((sample) => sample * 32_768),
    [0, -0, 32_124, -32_124, 120, 4092],
  );
  const aLaw = parseWav(wav([0xd5, 0x55, 0xaa, 0x2a, 0x80], { tag: 6, bits: 8, rateHz: 8000 })).samples[0];
  assert.deepEqual(
    [...(aLaw ?? [])].map((sample) => sample * 32_768),
    [8, -8, 32_256, -32_256, 5504],
  );
});

test('a length that cannot be true is a placeholder: the file is read to its end', () => {
  const whole = [0.1, 0.2, 0.3];
  for (const layout of [
    { declaredBytes: 0xffff_ffff },
    { declaredBytes: 0xffff_ffff, riffBytes: 0xffff_ffff },
    { declaredBytes: 0x7fff_ffdb, riffBytes: 0x7fff_ffff },
    { declaredBytes: 0x8000_0000, riffBytes: 0x8000_0024 },
    { declaredBytes: 0, riffBytes: 0 },
    { declaredBytes: 0, riffBytes: 36 },
    { declaredBytes: 1_000_000 },
    { declaredBytes: 1_000_000, riffBytes: 0 },
  ])
    assert.equal(parseWav(wav(whole, layout)).samples[0]?.length, 3, JSON.stringify(layout));
  assert.deepEqual(parseWav(wav([Number.NaN, 0.5], { tag: 3, bits: 32 })).samples[0], Float32Array.of(0, 0.5));
});

test('a file that is cut off is refused, and one without audio before other chunks is empty', () => {
  const good = wav(new Array(1000).fill(0.1));
  for (const present of [good.length - 1, good.length - 2, 500, 46])
    assert.equal(
      reasonOf(() => parseWav(good.subarray(0, present))),
      'AUDIO_FORMAT_INVALID',
      `${present} bytes`,
    );
  const list = Buffer.from('LIST\x04\0\0\0INFO', 'latin1');
  const empty = Buffer.concat([wav([]), list]);
  empty.writeUInt32LE(empty.length - 8, 4);
  assert.equal(
    reasonOf(() => parseWav(empty)),
    'AUDIO_EMPTY',
  );
});

test('RF64 is read by its 64-bit lengths', () => {
  const plain = wav([0.1, 0.2, 0.3], { declaredBytes: 0xffff_ffff });
  const rf64 = (riff: bigint, data: bigint): Buffer => {
    const ds64 = Buffer.alloc(36);
    ds64.write('ds64');
    ds64.writeUInt32LE(28, 4);
    ds64.writeBigUInt64LE(riff, 8);
    ds64.writeBigUInt64LE(data, 16);
    const file = Buffer.concat([plain.subarray(0, 12), ds64, plain.subarray(12)]);
    file.write('RF64');
    file.writeUInt32LE(0xffff_ffff, 4);
    return file;
  };
  const whole = BigInt(plain.length + 36 - 8);
  assert.equal(parseWav(rf64(whole, 6n)).samples[0]?.length, 3);
  assert.equal(parseWav(rf64(whole, 4n)).samples[0]?.length, 2);
  assert.equal(parseWav(rf64(0n, 0n)).samples[0]?.length, 3);
  assert.equal(
    reasonOf(() => parseWav(rf64(5_000_000_000n, 4_999_999_000n))),
    'AUDIO_FORMAT_INVALID',
  );
});
