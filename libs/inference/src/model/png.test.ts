import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import type { MeshError } from '@talkmesh/contracts';
import { encodePng } from '../testing/png-writer.js';
import { decodePng } from './png.js';

const pixels = (count: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, i) => (i * 37 + (i >> 3) * 11) & 255);

test('pixels written with each row filter are decoded unchanged', () => {
  const rgb = pixels(7 * 5 * 3);
  for (const filter of [0, 1, 2, 3, 4] as const)
    assert.deepEqual(decodePng(encodePng(rgb, 7, 5, { filter })), { width: 7, height: 5, rgb: new Uint8Array(rgb) });
});

test('transparent pixels are blended with white', () => {
  const rgba = Uint8Array.of(10, 20, 30, 255, 10, 20, 30, 0, 0, 0, 0, 128);
  assert.deepEqual(
    [...decodePng(encodePng(rgba, 3, 1, { channels: 4, filter: 1 })).rgb],
    [10, 20, 30, 255, 255, 255, 127, 127, 127],
  );
});

test('a file written by another program is decoded correctly', () => {
  // 2x1, red and blue, written by Pillow.
  const file = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAD0lEQVR4nGP4z8DAwPAfAAcAAf9+CLHQAAAAAElFTkSuQmCC',
    'base64',
  );
  assert.deepEqual([...decodePng(file).rgb], [255, 0, 0, 0, 0, 255]);
});

test('damaged files and unsupported kinds of PNG are errors', () => {
  const good = Buffer.from(encodePng(pixels(4 * 4 * 3), 4, 4));
  const changed = (at: number, ...bytes: number[]): Buffer => {
    const copy = Buffer.from(good);
    copy.set(bytes, at);
    return copy;
  };
  const bomb = Buffer.concat([
    good.subarray(0, 33),
    chunk('IDAT', deflateSync(Buffer.alloc(10_000_000))),
    good.subarray(good.length - 12),
  ]);
  for (const [name, bytes] of Object.entries({
    empty: Buffer.alloc(0),
    jpeg: Buffer.from('ffd8ffe000104a4649460001', 'hex'),
    'cut off': good.subarray(0, 50),
    'no pixels': Buffer.concat([good.subarray(0, 33), good.subarray(good.length - 12), Buffer.alloc(40)]),
    'too large': changed(16, 0x7f, 0xff, 0xff, 0xff),
    'no width': changed(16, 0, 0, 0, 0),
    '16 bit': changed(24, 16),
    palette: changed(25, 3),
    interlaced: changed(28, 1),
    'a height that exceeds the pixels': changed(20, 0, 0, 0, 9),
    'not deflate': changed(41, 1, 2, 3, 4),
    'more pixels than its size': bomb,
  }))
    assert.throws(
      () => decodePng(bytes),
      (error: MeshError) => error.reason === 'MODEL_INVALID',
      name,
    );
});

function chunk(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length, 0);
  head.write(type, 4);
  return Buffer.concat([head, body, Buffer.alloc(4)]);
}
