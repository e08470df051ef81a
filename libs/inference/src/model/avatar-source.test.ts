import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Landmarks } from '@talkmesh/contracts';
import { createFixtureModel } from '../testing/index.js';
import { encodePng } from '../testing/png-writer.js';
import { loadGraphModel } from './model.js';

const LANDMARKS: Landmarks = [
  [1, 2],
  [3, 4],
  [5, 6],
];
const OWN = 'own-0123456789abcdef';

test('avatars of the model come from its folder; own pictures are fetched again at each read', async () => {
  await using fixture = await createFixtureModel();
  const { width, height } = fixture.sizes;
  const rgb = new Uint8Array(width * height * 3).fill(77);
  const asked: string[] = [];
  let png: Uint8Array | undefined = encodePng(rgb, width, height);
  const ownPictures = async (id: string) => {
    asked.push(id);
    return png === undefined ? undefined : { png, landmarks: LANDMARKS };
  };
  const model = await loadGraphModel(fixture.folder, { ownPictures });
  assert.deepEqual((await model.avatars.read('ada')).landmarks, model.avatar('ada').landmarks);
  assert.deepEqual(asked, [], 'an avatar of the model is not fetched');
  assert.deepEqual(await model.avatars.read(OWN), { images: [{ width, height, rgb }], landmarks: LANDMARKS });
  png = encodePng(rgb.subarray(0, 8 * 8 * 3), 8, 8);
  await assert.rejects(model.avatars.read(OWN), { reason: 'AVATAR_NOT_FOUND', message: /another size \(8x8/ });
  png = undefined;
  await assert.rejects(model.avatars.read(OWN), { reason: 'AVATAR_NOT_FOUND', message: /expired: upload it again/ });
  assert.deepEqual(asked, [OWN, OWN, OWN]);
  await assert.rejects(model.avatars.read('own-nonsense'), { reason: 'AVATAR_NOT_FOUND', message: /has no avatar/ });
});

test('without a store for own pictures they are AVATAR_NOT_FOUND', async () => {
  await using fixture = await createFixtureModel();
  const model = await loadGraphModel(fixture.folder);
  await assert.rejects(model.avatars.read(OWN), { reason: 'AVATAR_NOT_FOUND' });
});
