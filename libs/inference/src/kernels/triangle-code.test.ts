import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SourceMap } from '../mesh/source-map.js';

const SIZE = 23;

test('pixels inside of a triangle get the interpolated place of its corners, all others keep theirs', () => {
  const map = new SourceMap(0, 0, SIZE, SIZE);
  const corners = [
    [3.2, 2.1, 20.7, 6.4, 9.3, 19.8],
    [20.7, 6.4, 3.2, 2.1, 9.3, 19.8],
    [-8, 4, 40, 10, 12, 60],
    [1, 1, 1.4, 22, 1.2, 11.5],
    [24, 2, 30, 9, 26, 12],
  ];
  const from = Float32Array.of(100, 10, 60, 200, 150, 90);
  for (const places of corners) {
    map.x.fill(-1);
    map.y.fill(-1);
    map.draw(Float32Array.of(0, 1, 2), from, Float32Array.from(places));
    for (let row = 0; row < SIZE; row++)
      for (let column = 0; column < SIZE; column++) {
        const { u, v, least } = expected(places, from, column + 0.5, row + 0.5);
        const [x, y] = [map.x[row * SIZE + column] as number, map.y[row * SIZE + column] as number];
        if (least > 1e-3) assert.ok(Math.hypot(x - u, y - v) < 0.01, `${column}, ${row}: ${x}, ${y}, not ${u}, ${v}`);
        else if (least < -0.2) assert.deepEqual([x, y], [-1, -1], `${column}, ${row} is outside`);
      }
  }
});

test('two triangles leave no pixel out between them', () => {
  const map = new SourceMap(0, 0, SIZE, SIZE);
  map.x.fill(Number.NaN);
  const places = Float32Array.of(0, 0, SIZE, 0.3, 0.2, SIZE, SIZE, SIZE);
  map.draw(Float32Array.of(0, 1, 2, 1, 2, 3), new Float32Array(8).fill(500), places);
  const missed = map.x.subarray(SIZE, SIZE * (SIZE - 1)).filter((_, i) => i % SIZE > 0 && i % SIZE < SIZE - 1);
  assert.ok(missed.every((value) => value === 500));
});

/** Place and least share of the three corners of a triangle at (x, y), by Cramer's rule. */
function expected(places: readonly number[], from: Float32Array, x: number, y: number) {
  const [ax, ay, bx, by, cx, cy] = places as [number, number, number, number, number, number];
  const area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
  const b = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area;
  const c = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area;
  const a = 1 - b - c;
  const mix = (axis: 0 | 1): number =>
    a * (from[axis] as number) + b * (from[2 + axis] as number) + c * (from[4 + axis] as number);
  return { u: mix(0), v: mix(1), least: Math.min(a, b, c) };
}
