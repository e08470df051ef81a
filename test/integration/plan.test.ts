/** A whole mesh whose score worker computes every chunk on four ranks records a complete call. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '@talkmesh/service-kit/testing';
import { startMesh } from '../../deploy/local/src/mesh.js';
import { firstAvatar, nano } from '../support/nano.js';
import { startRecordCall } from '../support/record-call.js';
import { talk } from '../support/speech.js';

const SECONDS = 5;

test('a recording made on two steps of two ranks each is complete', { timeout: 240_000 }, async () => {
  const plan = { TALKMESH_SEQUENCE_RANKS: '2', TALKMESH_STEP_RANKS: '2', TALKMESH_SEQUENCE_EXCHANGE: 'ulysses' };
  const mesh = await startMesh({ quiet: true, env: { 'score-model': plan } });
  try {
    const call = await startRecordCall(mesh, firstAvatar.id, talk(SECONDS));
    await until('all frames', () => call.frames() >= SECONDS * nano.fps, 180_000);
    await call.hangUp();
    assert.ok(call.frames() >= SECONDS * nano.fps);
  } finally {
    await mesh.stop();
  }
});
