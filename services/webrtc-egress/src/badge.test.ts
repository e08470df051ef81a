import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Badge } from './badge.js';

const LUMA = 120;

const grey = (width: number, height: number): Uint8Array => new Uint8Array((width * height * 3) / 2).fill(LUMA);

/** The luma plane as text: letters #, their box +, the picture a dot. */
function drawn(label: string, width: number, height: number): string[] {
  const i420 = grey(width, height);
  new Badge(label, width, height).drawInto(i420);
  const sign = (luma: number): string => (luma === 235 ? '#' : luma === LUMA ? '.' : '+');
  return Array.from({ length: height }, (_, y) => [...i420.subarray(y * width, (y + 1) * width)].map(sign).join(''));
}

test('the label is drawn top right, dark behind the letters', () => {
  assert.deepEqual(drawn('Ai', 26, 18), [
    '..........................',
    '..........................',
    '..........................',
    '..........................',
    '......++++++++++++++++....',
    '......++++++++++++++++....',
    '......+++###+++###++++....',
    '......++#+++#+++#+++++....',
    '......++#+++#+++#+++++....',
    '......++#####+++#+++++....',
    '......++#+++#+++#+++++....',
    '......++#+++#+++#+++++....',
    '......++#+++#++###++++....',
    '......++++++++++++++++....',
    '......++++++++++++++++....',
    '......++++++++++++++++....',
    '..........................',
    '..........................',
  ]);
});

test('the rest of the picture is unchanged, and the chroma behind the label is nearly neutral', () => {
  const [width, height] = [64, 32];
  const i420 = grey(width, height).fill(40, width * height);
  new Badge('A', width, height).drawInto(i420);
  const chroma = i420.subarray(width * height);
  const changed = [...chroma].filter((value) => value !== 40);
  assert.deepEqual(new Set(changed), new Set([102]), '128 and a little of the picture');
  assert.equal(changed.length, 2 * (10 / 2) * (12 / 2), 'both planes, the box of 10 x 12 pixels');
  assert.equal(i420[0], LUMA);
});

test('the label grows with the picture', () => {
  const letters = (side: number): number => drawn('AI-generated', side, side).join('').split('#').length - 1;
  assert.equal(letters(512), 4 * letters(256));
});

test('a label that is too long is cut off, and letters without a glyph are left out', () => {
  for (const label of ['A LABEL THAT IS MUCH LONGER THAN THE PICTURE', 'Ünïcödé', '']) {
    const i420 = grey(32, 24);
    new Badge(label, 32, 24).drawInto(i420);
    assert.equal(i420.length, (32 * 24 * 3) / 2);
    assert.equal(i420[23 * 32 + 31], LUMA);
  }
});
