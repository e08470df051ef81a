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
}

/** A WAV file written by hand, so that the reader is not tested against the writer beside it. */
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
    if (tag === 3) data.writeFloatLE(value, at);
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
  return Buffer.concat([chunk('RIFF', body).subarray(0, 8), body]);
}

const reasonOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return (error as MeshError).reason;
  }
  return 'nothing was thrown';
};

test('every accepted format reads the same numbers', () => {
  const values = [0, 0.5, -0.5, 0.999, -0.999, 0.25];
  for (const rateHz of [8000, 22_050, 48_000])
    for (const channels of [1, 2])
      for (const extensible of [false, true])
        for (const [tag, bits] of [
          [1, 16],
          [1, 24],
          [1, 32],
          [3, 32],
        ] as const) {
          const name = `${rateHz} Hz x${channels} format ${tag} ${bits} bit ${extensible ? 'extensible' : ''}`;
          const audio = parseWav(wav(values, { tag, bits, channels, rateHz, extensible, extraChunk: true }));
          assert.equal(audio.sampleRateHz, rateHz, name);
          assert.equal(audio.channels, channels, name);
          assert.equal(audio.seconds, values.length / channels / rateHz, name);
          audio.samples.forEach((samples, channel) => {
            samples.forEach((sample, i) => {
              const expected = values[i * channels + channel] ?? Number.NaN;
              assert.ok(Math.abs(sample - expected) < 2 ** -14, `${name}: ${sample} is not ${expected}`);
            });
          });
        }
});

test('the writer has golden bytes and reads back exactly', () => {
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

test('what cannot be used is refused with the reason', () => {
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
    { bits: 8 },
    { channels: 3 },
    { rateHz: 7999 },
    { rateHz: 96_000 },
    { tag: 3, bits: 64 },
    { tag: 6, bits: 16 },
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

test('a stream whose length was never patched is read to its end; a float that is no number is silence', () => {
  assert.equal(parseWav(wav([0.1, 0.2, 0.3], { declaredBytes: 0xffffffff })).samples[0]?.length, 3);
  assert.deepEqual(parseWav(wav([Number.NaN, 0.5], { tag: 3, bits: 32 })).samples[0], Float32Array.of(0, 0.5));
});
