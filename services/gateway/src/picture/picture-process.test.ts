import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { until } from '@talkmesh/service-kit/testing';
import { jpg, PICTURE, plainPng, png } from '../testing/pictures.js';
import { decodePicture } from './decode-picture.js';
import { PictureProcess } from './picture-process.js';

const MAX = 10_000_000;
const LIMITS = { maxPixels: MAX, memoryMb: 400, cpuSeconds: 30 };
const soon = (): AbortSignal => AbortSignal.timeout(60_000);
const children = async (): Promise<string[]> =>
  (await readFile(`/proc/self/task/${process.pid}/children`, 'utf8')).split(' ').filter((pid) => pid !== '');

test('a picture process decodes, resamples and encodes, and ends with its picture', async () => {
  const others = await children();
  {
    await using picture = await PictureProcess.open(jpg(6), LIMITS, soon());
    assert.deepEqual([picture.width, picture.height], [PICTURE.height, PICTURE.width]);
    const rgb = await picture.square({ left: 0, top: 0, side: 16 }, 16);
    assert.deepEqual(decodePicture(await picture.png(rgb, 16), MAX).rgb, rgb);
  }
  assert.deepEqual(await children(), others);
});

test('a picture process knows no secret and writes no core file', async () => {
  const others = await children();
  process.env['PLANTED_SECRET'] = 'planted';
  await using _picture = await PictureProcess.open(png(), LIMITS, soon());
  const [pid] = (await children()).filter((other) => !others.includes(other));
  assert.doesNotMatch(await readFile(`/proc/${pid}/environ`, 'utf8'), /PLANTED|planted/);
  const limits = await readFile(`/proc/${pid}/limits`, 'utf8');
  assert.match(limits, /Max core file size +0 +0/);
  assert.match(limits, /Max data size +419430400 +419430400/);
  assert.match(limits, /Max cpu time +30 +30/);
});

test('a damaged file is refused with the reason; a refused header costs no process', async () => {
  const others = await children();
  await assert.rejects(PictureProcess.open(png().subarray(0, 60), LIMITS, soon()), {
    reason: 'PICTURE_INVALID',
    message: /damaged|cut off/,
  });
  const strip = assert.rejects(PictureProcess.open(plainPng(1, 900), LIMITS, soon()), {
    reason: 'PICTURE_INVALID',
    message: /1x900/,
  });
  assert.deepEqual(await children(), others);
  await strip;
});

test('a picture that needs too much memory is refused; a deadline ends the process at any time', async () => {
  const others = await children();
  await assert.rejects(PictureProcess.open(plainPng(2500, 2500), { ...LIMITS, memoryMb: 100 }, soon()), {
    reason: 'PICTURE_INVALID',
  });
  const stop = new AbortController();
  const opening = PictureProcess.open(plainPng(900, 900), LIMITS, stop.signal);
  await until('the process runs', async () => (await children()).length > others.length);
  stop.abort(new DOMException('too late', 'TimeoutError'));
  await assert.rejects(opening, { reason: 'DEADLINE_EXCEEDED' });
  await until('the process has ended', async () => (await children()).length === others.length);
});
