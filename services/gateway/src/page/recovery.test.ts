import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecoveryNotice } from './recovery.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('a takeover that is too short to be seen is not shown', async () => {
  const shown: boolean[] = [];
  const notice = new RecoveryNotice((waiting) => void shown.push(waiting), 50);
  notice.show(['score-model']);
  notice.show([]);
  notice.show([]);
  await pause(120);
  assert.deepEqual(shown, []);
});

test('a takeover that lasts is shown once, and hidden when the last stage has moved or the call has ended', async () => {
  const shown: boolean[] = [];
  const notice = new RecoveryNotice((waiting) => void shown.push(waiting), 20);
  notice.show(['score-model']);
  notice.show(['score-model']);
  notice.show(['score-model', 'vae-decode']);
  await pause(120);
  assert.deepEqual(shown, [true]);
  notice.show(['vae-decode']);
  assert.deepEqual(shown, [true]);
  notice.show([]);
  assert.deepEqual(shown, [true, false]);
  notice.show(['vae-decode']);
  await pause(120);
  notice.clear();
  assert.deepEqual(shown, [true, false, true, false]);
});
