import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NoiseSource, philox4x32 } from './noise.js';

test('Philox4x32-10 gives the published test vectors', () => {
  const hex = (words: readonly number[]): string => words.map((word) => word.toString(16).padStart(8, '0')).join(' ');
  assert.equal(hex(philox4x32([0, 0, 0, 0], [0, 0])), '6627e8d5 e169c58d bc57ac4c 9b00dbd8');
  const ones = 0xffffffff;
  assert.equal(hex(philox4x32([ones, ones, ones, ones], [ones, ones])), '408f276d 41c83b0e a20bc7c6 6d5451fd');
  assert.equal(
    hex(philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])),
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  );
});

test('noise has mean 0 and variance 1', () => {
  const values = new NoiseSource(1).noise(0, 0, 100_000);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const within = values.filter((value) => Math.abs(value) < 1).length / values.length;
  assert.ok(Math.abs(mean) < 0.01 && Math.abs(variance - 1) < 0.02 && Math.abs(within - 0.6827) < 0.005);
});

test('the numbers never change: frames that were made before must come out again', () => {
  const values = [...new NoiseSource(1).noise(7, 2, 26)].slice(20);
  assert.deepEqual(
    values,
    [
      -0.27751195430755615, -0.2651576101779938, -0.28508061170578003, 0.23990507423877716, -1.6640762090682983,
      -0.43853119015693665,
    ],
  );
});

test('noise depends only on seed, chunk and step', () => {
  const source = new NoiseSource(2 ** 40 + 5);
  const first = source.noise(3, 1, 96);
  source.noise(4, 0, 7);
  assert.deepEqual(source.noise(3, 1, 96), first);
  assert.deepEqual(new NoiseSource(2 ** 40 + 5).noise(3, 1, 96), first);
  assert.deepEqual(source.noise(3, 1, 10), first.slice(0, 10), 'any count is a beginning of the same row');
  for (const other of [
    new NoiseSource(5).noise(3, 1, 96),
    source.noise(2, 1, 96),
    source.noise(3, 0, 96),
    source.noise(-1, 1, 96),
  ])
    assert.ok(other.every((value, i) => value !== first[i]));
  for (const seed of [-1, 0.5, 2 ** 53]) assert.throws(() => new NoiseSource(seed), RangeError);
});
