import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionWatch } from './connection-watch.js';
import type { CallStats } from './types.js';

const told = (watch: ConnectionWatch, rows: readonly Partial<CallStats>[]): (string | undefined)[] =>
  rows.map((row) => watch.onStats(row as CallStats)?.title);
const rows = (count: number, row: Partial<CallStats>): Partial<CallStats>[] => Array.from({ length: count }, () => row);

test('lost packets and a long way are a weak connection, and it is over when the last seconds were good', () => {
  const watch = new ConnectionWatch();
  assert.deepEqual(told(watch, rows(3, { packetsLost: 500 })), [undefined, undefined, undefined], 'lost long ago');
  assert.deepEqual(told(watch, [{ packetsLost: 560 }]), ['The connection is weak.']);
  assert.equal(told(watch, rows(6, { packetsLost: 560 })).at(-1), undefined);
  watch.onState('reconnecting');
  watch.onState('listening');
  const far = told(watch, rows(6, { roundTripMs: 900 }));
  assert.deepEqual(far, [...rows(5, {}).map(() => undefined), 'The connection is weak.']);
});

test('a picture that stands still is told; one short freeze, and a browser that reports nothing, are not', () => {
  const watch = new ConnectionWatch();
  assert.deepEqual(told(watch, [{ frozenMs: 0 }, { frozenMs: 700 }, { frozenMs: 1300 }]), [
    undefined,
    undefined,
    'The picture stutters.',
  ]);
  assert.deepEqual(
    told(new ConnectionWatch(), rows(8, {})),
    rows(8, {}).map(() => undefined),
  );
});

test('a lost connection is told until it is back, and what was counted before does not matter then', () => {
  const watch = new ConnectionWatch();
  watch.onStats({ packetsLost: 0 } as CallStats);
  assert.equal(watch.onStats({ packetsLost: 90 } as CallStats)?.title, 'The connection is weak.');
  assert.equal(watch.onState('speaking')?.title, 'The connection is weak.', 'it is still weak');
  assert.equal(watch.onState('reconnecting')?.title, 'The connection was lost.');
  assert.equal(watch.onStats({ packetsLost: 95 } as CallStats)?.title, 'The connection was lost.');
  assert.equal(watch.onState('listening'), undefined);
  assert.equal(watch.onStats({ packetsLost: 0 } as CallStats), undefined);
});
