import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Landmarks } from '@talkmesh/contracts';
import { loadModel } from './model.js';
import { createFixtureModel } from './testing/index.js';
import { encodePng } from './testing/png-writer.js';

const LANDMARKS: Landmarks = [
  [1, 2],
  [3, 4],
  [5, 6],
];
const OWN = 'own-0123456789abcdef';

test("the model's avatars come from its folder, own pictures from where the process says, each time anew", async () => {
  await using fixture = await createFixtureModel();
  const { width, height } = fixture.sizes;
  const rgb = new Uint8Array(width * height * 3).fill(77);
  const asked: string[] = [];
  let png: Uint8Array | undefined = encodePng(rgb, width, height);
  const ownPictures = async (id: string) => {
    asked.push(id);
    return png === undefined ? undefined : { png, landmarks: LANDMARKS };
  };
  const model = await loadModel(fixture.folder, { ownPictures });
  assert.deepEqual((await model.avatars.read('ada')).landmarks, model.avatar('ada').landmarks);
  assert.deepEqual(asked, [], 'a shipped avatar needs no store');
  assert.deepEqual(await model.avatars.read(OWN), { rgb, landmarks: LANDMARKS });
  png = encodePng(rgb.subarray(0, 8 * 8 * 3), 8, 8);
  await assert.rejects(model.avatars.read(OWN), { reason: 'AVATAR_NOT_FOUND', message: /another size \(8x8/ });
  png = undefined;
  await assert.rejects(model.avatars.read(OWN), { reason: 'AVATAR_NOT_FOUND', message: /expired: upload it again/ });
  assert.deepEqual(asked, [OWN, OWN, OWN]);
  await assert.rejects(model.avatars.read('own-nonsense'), { reason: 'AVATAR_NOT_FOUND', message: /has no avatar/ });
});

test('a process without a store has no own pictures', async () => {
  await using fixture = await createFixtureModel();
  const model = await loadModel(fixture.folder);
  await assert.rejects(model.avatars.read(OWN), { reason: 'AVATAR_NOT_FOUND' });
});
