import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeardSamples } from './heard-samples.js';

const of = (...samples: number[]): Int16Array => Int16Array.from(samples);

test('samples are counted without the zeros that pad a chunk, also where the speech has zeros of its own', () => {
  const heard = new HeardSamples();
  heard.sent(of(1, 2, 3));
  heard.sent(of(0, 0, 4, 5));
  assert.equal(heard.played(of(1, 2, 0, 0)), 2);
  assert.equal(heard.played(of(3, 0, 0, 0)), 3);
  assert.equal(heard.played(of(0, 0, 4, 5)), 2);
  assert.equal(heard.played(of(0, 0)), 0);
  heard.sent(of(6));
  assert.equal(heard.played(of(6, 0)), 1);
});

test('samples that were lost on the way are counted one by one', () => {
  const heard = new HeardSamples();
  heard.sent(of(1, 2, 3, 4, 5, 6));
  assert.equal(heard.played(of(1, 4, 5)), 3);
  assert.equal(heard.played(of(6, 0)), 1);
});
