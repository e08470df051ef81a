import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type QualityReport, QualityReports } from './quality-report.js';
import type { CallStats } from './types.js';

function setUp() {
  const sent: QualityReport[] = [];
  const clock = { ms: 0 };
  const reports = new QualityReports(
    (report) => void sent.push(report),
    () => clock.ms,
  );
  const add = (stats: Partial<CallStats>): void => {
    clock.ms += 1000;
    reports.add(stats as CallStats);
  };
  return { sent, reports, add };
}

test('a report covers ten seconds, with the skew of each and what was added to the counters', () => {
  const { sent, add } = setUp();
  for (let i = 0; i <= 10; i++) add({ avSkewMs: i, freezes: 2, frozenMs: 700, firstFrameMs: 400, jitterMs: 3 });
  assert.equal(sent.length, 1);
  const skews = Array.from({ length: 11 }, (_, i) => i);
  assert.deepEqual(sent[0], {
    watchedMs: 10_000,
    avSkewMs: skews,
    freezes: 2,
    frozenMs: 700,
    jitterMs: 3,
    firstFrameMs: 400,
  });
  for (let i = 0; i <= 10; i++) add({ freezes: 3, frozenMs: 900, firstFrameMs: 400 });
  assert.deepEqual(sent[1], { watchedMs: 10_000, avSkewMs: [], freezes: 1, frozenMs: 200 });
});

test('after a reconnection the counters begin again, and there is a first frame again', () => {
  const { sent, reports, add } = setUp();
  add({ freezes: 4, frozenMs: 900, firstFrameMs: 400 });
  reports.flush();
  add({ freezes: 1, frozenMs: 100, firstFrameMs: 600 });
  reports.flush();
  assert.deepEqual([sent[1]?.freezes, sent[1]?.frozenMs, sent[1]?.firstFrameMs], [1, 100, 600]);
  reports.flush();
  assert.equal(sent.length, 2, 'nothing was measured since');
});
