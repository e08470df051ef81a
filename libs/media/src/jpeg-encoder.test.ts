import assert from 'node:assert/strict';
import { test } from 'node:test';
import jpeg from 'jpeg-js';
import { i420Bytes, i420ToRgba } from './i420.js';
import { JpegEncoder } from './jpeg-encoder.js';

/** Smooth waves of all three planes and a hard edge, within the limited range. */
function picture(width: number, height: number): Uint8Array {
  const i420 = new Uint8Array(i420Bytes(width, height));
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      i420[y * width + x] = (x > width / 2 ? 160 : 90) + 60 * Math.sin(x / 9) * Math.cos(y / 13);
  const [u, v] = [width * height, (width * height * 5) / 4];
  for (let y = 0; y < height / 2; y++)
    for (let x = 0; x < width / 2; x++) {
      i420[u + (y * width) / 2 + x] = 128 + 40 * Math.sin(x / 17);
      i420[v + (y * width) / 2 + x] = 128 + 40 * Math.cos(y / 11);
    }
  return i420;
}

/** Peak signal-to-noise ratio of what another decoder reads, decibels. */
function quality(width: number, height: number, level?: number): { db: number; bytes: number } {
  const i420 = picture(width, height);
  const file = new JpegEncoder(width, height, level).encode(i420);
  const read = jpeg.decode(file, { useTArray: true });
  assert.deepEqual([read.width, read.height], [width, height]);
  const wanted = i420ToRgba(i420, width, height);
  let squares = 0;
  for (const [i, value] of wanted.entries()) squares += (value - (read.data[i] as number)) ** 2;
  return { db: 10 * Math.log10(255 ** 2 / (squares / ((wanted.length * 3) / 4))), bytes: file.length };
}

test('another decoder reads the picture, at sizes that are no multiple of a macroblock too', () => {
  for (const [width, height] of [
    [256, 256],
    [250, 134],
    [2, 2],
  ] as const) {
    const { db } = quality(width, height);
    assert.ok(db > 33, `${width}x${height}: ${db} dB`);
  }
});

test('quality trades size for truth, to the ends of its range', () => {
  const levels = [1, 30, 80, 100].map((level) => quality(256, 256, level));
  for (const [i, { db, bytes }] of levels.slice(1).entries()) {
    assert.ok(db > (levels[i]?.db ?? 0), `${db} dB`);
    assert.ok(bytes > (levels[i]?.bytes ?? 0), `${bytes} bytes`);
  }
});

test('noise, which needs the longest codes, is coded; pictures do not depend on those before', () => {
  const encoder = new JpegEncoder(64, 64, 100);
  const first = encoder.encode(picture(64, 64));
  const noise = Uint8Array.from({ length: i420Bytes(64, 64) }, (_, i) => (i * 2_654_435_761) >>> 24);
  assert.equal(jpeg.decode(encoder.encode(noise)).width, 64);
  assert.deepEqual(encoder.encode(picture(64, 64)), first);
});

test('a picture of another size is refused', () => {
  assert.throws(() => new JpegEncoder(64, 64).encode(new Uint8Array(i420Bytes(32, 64))), RangeError);
  assert.throws(() => new JpegEncoder(63, 64), RangeError);
});
