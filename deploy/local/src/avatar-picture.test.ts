import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decodePng } from '@talkmesh/inference';
import { avatarOfPicture } from './avatar-picture.js';

const PHOTOGRAPH = fileURLToPath(new URL('../../../test/fixtures/grace-hopper.jpg', import.meta.url));

test('the middle of a photograph becomes a square picture that the model can read, with the name of the file', async () => {
  const { id, name, png } = await avatarOfPicture(PHOTOGRAPH, 64, () => undefined);
  const { width, height, rgb } = decodePng(png);
  assert.deepEqual([id, name, width, height, rgb.length], ['grace-hopper', 'grace-hopper', 64, 64, 64 * 64 * 3]);
  assert.ok(new Set(rgb).size > 50, 'it shows something');
});

test('a file that is missing or no picture is refused with its name', async () => {
  for (const path of ['/nowhere/a.png', fileURLToPath(import.meta.url)])
    await assert.rejects(
      avatarOfPicture(path, 64, () => undefined),
      { reason: 'PICTURE_INVALID', message: new RegExp(path) },
    );
  await assert.rejects(
    avatarOfPicture('/nowhere/ß.png', 64, () => undefined),
    /rename the file/,
  );
});
