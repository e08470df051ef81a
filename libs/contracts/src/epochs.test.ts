import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EpochFilter } from './epochs.js';

test('a flush drops older chunks from its first chunk on, and keeps the ones before', () => {
  const filter = new EpochFilter(3);
  assert.equal(filter.start(4, 10), true);
  assert.equal(filter.epoch, 4);
  assert.equal(filter.isStale({ epoch: 3, chunk: 9 }), false);
  assert.equal(filter.isStale({ epoch: 3, chunk: 10 }), true);
  assert.equal(filter.isStale({ epoch: 4, chunk: 10 }), false);
});

test('a later flush with a higher fromChunk does not restore what an earlier one dropped', () => {
  const filter = new EpochFilter();
  filter.start(1, 5);
  filter.start(2, 8);
  assert.equal(filter.isStale({ epoch: 0, chunk: 6 }), true);
  assert.equal(filter.isStale({ epoch: 1, chunk: 6 }), false);
});

test('a flush that arrives after a newer one still drops its chunks', () => {
  const filter = new EpochFilter();
  filter.start(2, 8);
  assert.equal(filter.start(1, 5), false);
  assert.equal(filter.epoch, 2);
  assert.equal(filter.isStale({ epoch: 0, chunk: 5 }), true);
});
