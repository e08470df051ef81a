import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lidClosure, RIG, RIG_NUMBERS, SHAPES, type Shape, shapeWeights } from './face-shapes.js';

function weight(shape: Shape, rig: Partial<Record<keyof typeof RIG, number>>): number {
  const row = new Float32Array(RIG_NUMBERS);
  for (const [name, value] of Object.entries({ width: 0.5, smile: 0.25, ...rig }))
    row[RIG[name as keyof typeof RIG]] = value;
  return shapeWeights(row)[SHAPES.indexOf(shape)] as number;
}

test('the lower lip rolls in for f and v, and for no sound beside them', () => {
  const f = { open: 0.1, width: 0.5, teeth: 1 };
  assert.equal(weight('tuck', f), 1);
  const sounds = {
    m: { open: 0, width: 0.45, teeth: 0 },
    s: { open: 0.16, width: 0.68, teeth: 0.95 },
    sh: { open: 0.22, width: 0.3, round: 0.65, teeth: 0.9 },
    t: { open: 0.24, width: 0.6, teeth: 0.72 },
    ee: { open: 0.4, width: 0.95, teeth: 0.8 },
    ah: { open: 0.95, width: 0.6, teeth: 0.3 },
  };
  for (const [name, rig] of Object.entries(sounds)) assert.ok(weight('tuck', rig) < 0.15, name);
});

test('closed lips stay closed whatever the teeth do', () => {
  for (const teeth of [0, 0.5, 1]) {
    assert.equal(weight('jaw', { open: 0.02, teeth }), 0);
    assert.equal(weight('upperLip', { open: 0.02, teeth }), 0);
  }
});

test('a blink that stops short closes the lids, and nothing below two fifths changes', () => {
  for (const blink of [0, 0.2, 0.4]) assert.equal(lidClosure(blink), blink);
  for (const blink of [0.8, 0.85, 1]) assert.equal(lidClosure(blink), 1);
  const rising = Array.from({ length: 101 }, (_, i) => lidClosure(i / 100));
  for (const [i, value] of rising.entries()) assert.ok(i === 0 || value >= (rising[i - 1] as number), `${i}`);
  assert.equal(weight('blink', { blink: 0.85 }), 1);
  assert.equal(weight('blink', { gazeY: 1 }), 0);
});
