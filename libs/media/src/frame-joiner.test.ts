import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameJoiner } from './frame-joiner.js';

test('samples survive cuts at any byte, also in buffers with an odd offset', () => {
  const samples = Int16Array.from({ length: 60 }, (_, i) => i * 1000 - 30_000);
  const bytes = Buffer.from(samples.buffer);
  for (const channels of [1, 2])
    for (const step of [1, 3, 4, 7, 120]) {
      const joiner = new FrameJoiner(channels);
      const out: number[] = [];
      for (let at = 0; at < bytes.length; at += step) {
        const odd = Buffer.concat([Buffer.alloc(1), bytes.subarray(at, at + step)]).subarray(1);
        const frames = joiner.push(odd);
        assert.equal(frames.length % channels, 0);
        out.push(...frames);
      }
      assert.deepEqual(out, [...samples], `${channels} channels in cuts of ${step} bytes`);
    }
});
