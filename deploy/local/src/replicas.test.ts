import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { startDeadline } from './mesh.js';
import { parseReplicas } from './replicas.js';

test('service names and numbers are parsed, and an empty text sets none', () => {
  assert.deepEqual(parseReplicas(''), {});
  assert.deepEqual(parseReplicas('score-model=2, vae-decode=3'), { 'score-model': 2, 'vae-decode': 3 });
});

test('the error message contains the invalid part', () => {
  for (const text of ['score-model', 'score=2', 'gateway=2', 'score-model=0', 'score-model=17', 'score-model=two'])
    assert.throws(
      () => parseReplicas(`vae-decode=2,${text}`),
      (error: unknown) =>
        error instanceof MeshError && error.reason === 'CONFIG_INVALID' && error.message.includes(text),
    );
});

test('a longer deadline for the start of services is read from the environment, and checked', () => {
  const of = (text: string) => startDeadline({ TALKMESH_START_DEADLINE_MS: text });
  assert.deepEqual([of(''), of('900000')], [{}, { readyDeadlineMs: 900_000 }]);
  for (const text of ['0', '-1', '1.5', 'long', '1e12'])
    assert.throws(() => of(text), /TALKMESH_START_DEADLINE_MS must be/, text);
});
