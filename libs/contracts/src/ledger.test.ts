import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeLedger, encodeLedger, ledgerSum } from './ledger.js';

test('a ledger survives its header, in the order of the pipeline, to a tenth of a millisecond', () => {
  const ledger = { 'webrtc-egress': 12.34, 'audio-ingest': 420 };
  assert.equal(encodeLedger(ledger), 'audio-ingest=420;webrtc-egress=12.3');
  assert.deepEqual(decodeLedger(encodeLedger(ledger)), { 'audio-ingest': 420, 'webrtc-egress': 12.3 });
  assert.equal(ledgerSum(ledger), 432.34);
  assert.equal(encodeLedger({}), '');
});

test('what is no duration of a stage is left out, and a number that cannot be one is limited', () => {
  for (const text of [
    '',
    'x',
    'gateway',
    'gateway=',
    'gateway=-1',
    'gateway=1e9',
    'gateway=1=2',
    'mars=5',
    'gateway=3600001',
  ])
    assert.deepEqual(decodeLedger(text), {}, text);
  assert.deepEqual(decodeLedger('gateway=1;mars=2;score-model=3.5'), { gateway: 1, 'score-model': 3.5 });
  assert.deepEqual(decodeLedger('gateway=1;'.repeat(100)), {});
  assert.equal(encodeLedger({ gateway: -5, 'score-model': 1e12 }), 'gateway=0;score-model=3600000');
});
