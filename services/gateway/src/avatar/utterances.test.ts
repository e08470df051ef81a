import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type UtteranceReport, Utterances } from './utterances.js';

const FRESH = { resumed: false, utterances: 0, isOpen: false, unfinished: [] };

function setUp() {
  const reports: string[] = [];
  const utterances = new Utterances((report: UtteranceReport) => {
    if (report.type === 'started') reports.push(`started ${report.utterance}`);
    else reports.push(`finished ${report.utterance} ${report.positionMs}${report.interrupted ? ' cut' : ''}`);
  });
  const say = (): void => {
    utterances.audio();
    utterances.close();
  };
  return { utterances, say, take: () => reports.splice(0) };
}

test('reports pass, and utterances are counted', () => {
  const { utterances, say, take } = setUp();
  assert.equal(utterances.attached(FRESH), false);
  say();
  say();
  assert.equal(utterances.count, 2);
  utterances.started(1);
  utterances.finished(1, 480, false);
  utterances.finished(2, 0, true);
  assert.deepEqual(take(), ['started 1', 'finished 1 480', 'finished 2 0 cut']);
});

test('another worker speaks on what the bridge has: its report is that of the first utterance, the others are lost', () => {
  const { utterances, say, take } = setUp();
  utterances.attached(FRESH);
  say();
  utterances.started(1);
  say();
  utterances.audio();
  assert.equal(utterances.attached({ ...FRESH, utterances: 3 }), false);
  assert.equal(utterances.audio(), false, 'the rest of the open one is dropped');
  utterances.finished(0, 900, false);
  assert.deepEqual(take(), ['started 1', 'finished 1 900', 'finished 2 null cut', 'finished 3 null cut']);
  utterances.close();
  assert.equal(utterances.audio(), true);
  utterances.finished(0, 5, false);
  assert.deepEqual(take(), [], 'nothing more is inherited');
  utterances.started(4);
  assert.deepEqual(take(), ['started 4']);
});

test('an utterance whose report does not come is given up when a newer one is heard', () => {
  const { utterances, say, take } = setUp();
  utterances.attached(FRESH);
  say();
  utterances.attached({ ...FRESH, utterances: 1 });
  say();
  utterances.started(2);
  utterances.finished(2, 100, false);
  assert.deepEqual(take(), ['finished 1 null cut', 'started 2', 'finished 2 100']);
});

test('after a stream that broke in the middle the worker clears, because what it has is unknown', () => {
  const { utterances, say, take } = setUp();
  utterances.attached(FRESH);
  say();
  assert.equal(utterances.attached({ resumed: true, utterances: 1, isOpen: false, unfinished: [1] }), false);
  utterances.finished(1, 300, false);
  utterances.audio();
  assert.equal(utterances.attached({ resumed: true, utterances: 2, isOpen: true, unfinished: [2] }), true);
  assert.equal(utterances.audio(), false);
  utterances.finished(2, 40, true);
  utterances.close();
  assert.equal(utterances.audio(), true);
  assert.deepEqual([utterances.count, take()], [3, ['finished 1 300', 'finished 2 40 cut']]);
});

test('utterances that never reached the worker, because the stream broke, are given up in their order', () => {
  const { utterances, say, take } = setUp();
  utterances.attached(FRESH);
  for (let i = 0; i < 4; i++) say();
  assert.equal(utterances.attached({ resumed: true, utterances: 4, isOpen: false, unfinished: [1, 3] }), false);
  assert.deepEqual(take(), []);
  utterances.finished(1, 100, false);
  assert.deepEqual(take(), ['finished 1 100', 'finished 2 null cut']);
  utterances.finished(3, 100, false);
  assert.deepEqual(take(), ['finished 3 100', 'finished 4 null cut']);
});

test('a program that comes back goes on where the worker is', () => {
  const { utterances, take } = setUp();
  assert.equal(utterances.attached({ resumed: true, utterances: 5, isOpen: true, unfinished: [4, 5] }), false);
  assert.equal(utterances.audio(), true);
  assert.equal(utterances.count, 5);
  utterances.finished(3, 7, true);
  utterances.finished(4, 1, false);
  utterances.finished(5, 2, false);
  assert.equal(utterances.audio(), true);
  assert.deepEqual([utterances.count, take()], [6, ['finished 3 7 cut', 'finished 4 1', 'finished 5 2']]);
});
