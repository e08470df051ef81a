import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallEvent } from '@talkmesh/client';
import { RecoveryNotice } from './recovery.js';

const head = { v: 1, sid: 's', epoch: 0, turn: 0, atMs: 1 } as const;
const recovering = (service: 'score-model' | 'vae-decode'): CallEvent => ({
  ...head,
  ...{ type: 'stage.recovering', service, cause: 'died' },
});
const moved = (service: 'score-model' | 'vae-decode'): CallEvent => ({
  ...head,
  ...{ type: 'stage.moved', service, cause: 'died', tookMs: 10 },
});
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('a gap that nobody sees is not told', async () => {
  const said: boolean[] = [];
  const notice = new RecoveryNotice((waiting) => void said.push(waiting), 50);
  notice.apply(recovering('score-model'));
  notice.apply(moved('score-model'));
  notice.apply(moved('vae-decode'));
  await pause(120);
  assert.deepEqual(said, []);
});

test('a gap that lasts is told once, and taken back when the last stage is there or the call is over', async () => {
  const said: boolean[] = [];
  const notice = new RecoveryNotice((waiting) => void said.push(waiting), 20);
  notice.apply(recovering('score-model'));
  notice.apply(recovering('score-model'));
  notice.apply(recovering('vae-decode'));
  await pause(120);
  assert.deepEqual(said, [true]);
  notice.apply(moved('score-model'));
  assert.deepEqual(said, [true]);
  notice.apply(moved('vae-decode'));
  assert.deepEqual(said, [true, false]);
  notice.apply(recovering('vae-decode'));
  await pause(120);
  notice.clear();
  assert.deepEqual(said, [true, false, true, false]);
});
