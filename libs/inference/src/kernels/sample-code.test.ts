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
