import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LatentMessage } from '@talkmesh/contracts';
import type { MouthReader } from '@talkmesh/inference';
import { createMetrics } from '@talkmesh/service-kit';
import { MouthMetrics } from './mouth-metrics.js';

/** A chunk whose latents are its number. */
const chunk = (number: number): LatentMessage =>
  ({ chunk: number, values: Float32Array.of(number), pcm: new Int16Array(960) }) as unknown as LatentMessage;

test('a chunk is read after the one before it, also when a flush goes back to an older one', () => {
  const befores: (number | undefined)[] = [];
  const reader = {
    openings: (_latents: Float32Array, before: Float32Array | undefined) => {
      befores.push(before?.[0]);
      return Float32Array.of(0);
    },
    lastFrame: (latents: Float32Array) => latents.slice(-1),
  } as unknown as MouthReader;
  const watch = new MouthMetrics(reader, 25, createMetrics({ defaults: false })).session();
  for (const number of [0, 1, 2, 3, 2, 3, 9]) watch.add(chunk(number));
  assert.deepEqual(befores, [undefined, 0, 1, 2, 1, 2, undefined]);
});
