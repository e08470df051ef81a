import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveTalkSizes } from '../checkpoint/livetalk-manifest.js';
import { FIXTURE_VIDEO_SIZES } from '../testing/fixture-video.js';
import { GPUS, gpuFloors, keyValues, type PartCost, partCosts } from './gpu-floor.js';

const sizes = liveTalkSizes('taehv', FIXTURE_VIDEO_SIZES);

/** The real parts with made-up costs: only the pass over the clean latents and the decoder cost anything. */
function parts(operations: number, values: number): PartCost[] {
  const none = { operations: 0, byOperator: {}, weights: 0, inputs: 0, outputs: 0 };
  return partCosts(sizes).map((part) => {
    if (part.name === 'clean pass') return { ...part, cost: { ...none, operations } };
    return { ...part, cost: part.name === 'small decoder' ? { ...none, inputs: values } : none };
  });
}

test('the least time is that of the arithmetic for one graph and that of the bytes for another, at the assumed shares of the peaks', () => {
  const floors = gpuFloors(sizes, parts(98.9e12, 2.4e9), 'bfloat16').filter(({ gpu }) => gpu === 'H200 SXM');
  assert.deepEqual(
    floors.map(({ quality }) => quality),
    ['fast', 'balanced'],
  );
  for (const { computeMs, bytesMs, floorMs, bytes, operations, callsByTime } of floors) {
    // A tenth of the operations that it does in a second at its peak, half of which is assumed: 200 ms.
    assert.ok(Math.abs(computeMs - 200) < 1e-9);
    // 4.8 GB at 4,800 GB/s are 1 ms, at 80 % of it 1.25 ms.
    assert.ok(Math.abs(bytesMs - 1.25) < 1e-9);
    assert.ok(Math.abs(floorMs - 201.25) < 1e-9);
    assert.deepEqual([bytes, operations], [4.8e9, 98.9e12]);
    // 80 % of 750 ms.
    assert.equal(callsByTime, 2);
  }
});

test('numbers of float32 take twice the memory, and steps are counted by quality', () => {
  const costs = partCosts(sizes);
  const [half, whole] = (['bfloat16', 'float32 (TF32)'] as const).map((numbers) => gpuFloors(sizes, costs, numbers));
  assert.equal(half?.length, 2 * GPUS.length);
  for (const [i, floor] of (half ?? []).entries()) {
    assert.equal(whole?.[i]?.callBytes, 2 * floor.callBytes);
    assert.equal(whole?.[i]?.weightBytes, 2 * floor.weightBytes);
    assert.equal(whole?.[i]?.operations, floor.operations);
  }
  const step = costs.find(({ name }) => name === 'score step')?.cost.operations ?? 0;
  const [fast, balanced] = half ?? [];
  assert.equal((balanced?.operations ?? 0) - (fast?.operations ?? 0), 2 * step);
});

test("a call's state is keys and values of sink, seen and kept chunks, and the decoder's caches after each kept one and the sink", () => {
  // 3 latents of 2 x 2 tokens, width 64, 4 layers.
  assert.equal(keyValues(sizes), 2 * 4 * 12 * 64);
  const decoder = partCosts(sizes).find(({ name }) => name === 'small decoder');
  const caches = (decoder?.cost.inputs ?? 0) - 3 * 16 * 4 * 4;
  assert.equal(
    gpuFloors(sizes, partCosts(sizes), 'bfloat16')[0]?.callBytes,
    2 * ((3 + 1 + 5) * keyValues(sizes) + (1 + 5) * caches),
  );
});
