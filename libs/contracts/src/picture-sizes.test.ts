import assert from 'node:assert/strict';
import { test } from 'node:test';
import { largerSizes, pictureSize, pictureSizes } from './picture-sizes.js';

const plain = { name: 'small', width: 256, height: 192 };
const model = { ...plain, sizes: [{ scale: 2 as const, cost: 2.1 }] };

test('a model makes its own size, and the multiples that it states, the smallest first', () => {
  const own = { size: 256, width: 256, height: 192, scale: 1, cost: 1 };
  assert.deepEqual(pictureSizes(plain), [own]);
  assert.deepEqual(pictureSizes(model), [own, { size: 512, width: 512, height: 384, scale: 2, cost: 2.1 }]);
});

test('a size is named by its width; another is refused with what the model makes', () => {
  assert.equal(pictureSize(model).size, 256);
  assert.equal(pictureSize(model, 0).size, 256);
  assert.equal(pictureSize(model, 512).height, 384);
  for (const wanted of [1, 255, 384, 1024])
    assert.throws(() => pictureSize(model, wanted), {
      reason: 'ARGUMENT_INVALID',
      message: `small makes no video of size ${wanted}; possible: 256, 512`,
    });
});

test('a manifest states larger sizes as ascending multiples with their cost', () => {
  const cost = 2;
  assert.ok(largerSizes.safeParse([{ scale: 2, cost }]).success);
  for (const wrong of [
    [{ scale: 1, cost }],
    [{ scale: 3, cost }],
    [{ scale: 2 }],
    [{ scale: 2, cost: 0 }],
    [{ scale: 2, cost, width: 512 }],
    [
      { scale: 4, cost },
      { scale: 2, cost },
    ],
  ])
    assert.ok(!largerSizes.safeParse(wrong).success, JSON.stringify(wrong));
});
