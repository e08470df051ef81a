import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sample } from '../mesh/source-map.js';
import { sampleCode } from './sample-code.js';

test('the compiled loop samples as the function does, also beyond the border', () => {
  for (const size of [16, 22]) {
    const count = 400;
    const plane = Float32Array.from({ length: size * size }, (_, i) => 128 + 100 * Math.sin(i * i));
    const x = Float32Array.from({ length: count }, (_, i) => -4 + ((size + 8) * ((i * 37) % count)) / count);
    const y = Float32Array.from({ length: count }, (_, i) => -4 + ((size + 8) * i) / count);
    const memory = new WebAssembly.Memory({ initial: 1 });
    const floats = new Float32Array(memory.buffer);
    const [atX, atY, out] = [2000, 2400, 2800];
    floats.set(plane);
    floats.set(x, atX);
    floats.set(y, atY);
    sampleCode(memory).sample(0, size, 4 * atX, 4 * atY, count, 4 * out);
    for (let i = 0; i < count; i++) {
      const expected = sample(plane, size, x[i] as number, y[i] as number);
      const got = floats[out + i] as number;
      assert.ok(Math.abs(got - expected) < 0.01, `${size}: (${x[i]}, ${y[i]}) is ${got}, not ${expected}`);
    }
  }
});

test('a map of places is halved: the lower left place of four, moved to their middle', () => {
  const [columns, rows] = [5, 3];
  const memory = new WebAssembly.Memory({ initial: 1 });
  const floats = new Float32Array(memory.buffer);
  const [atY, outX, outY] = [200, 400, 600];
  const place = (i: number): number => i * i * 0.25;
  for (let i = 0; i < 4 * columns * rows; i++) floats.set([place(i)], i);
  for (let i = 0; i < 4 * columns * rows; i++) floats.set([-place(i)], atY + i);
  sampleCode(memory).halve(0, 4 * atY, columns, rows, 4 * outX, 4 * outY);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const from = place((2 * row + 1) * 2 * columns + 2 * column);
      assert.equal(floats[outX + row * columns + column], (from + 0.5) / 2, `${column}, ${row}`);
      assert.equal(floats[outY + row * columns + column], (-from - 0.5) / 2, `${column}, ${row}`);
    }
});
