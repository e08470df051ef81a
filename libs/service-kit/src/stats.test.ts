import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RollingPercentiles } from './stats.js';

test('percentiles are the nearest ranks of the added values', () => {
  const durations = new RollingPercentiles();
  assert.equal(durations.p(0.5), 0);
  for (let ms = 100; ms >= 1; ms--) durations.add(ms);
  assert.equal(durations.p(0.5), 50);
  assert.equal(durations.p(0.95), 95);
  assert.equal(durations.p(1), 100);
  assert.equal(durations.p(0), 1);
});

test('only the last 512 values count', () => {
  const durations = new RollingPercentiles();
  for (let i = 0; i < 600; i++) durations.add(1000);
  for (let i = 0; i < 512; i++) durations.add(2);
  assert.equal(durations.p(1), 2);
});
