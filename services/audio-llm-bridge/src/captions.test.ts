import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Captions } from './captions.js';

const TEXT = 'Good morning, gentlemen. This sentence comes second, and it has no other clause at all.';

function shownUntil(captions: Captions, ms: number, turnMs: number): string[] {
  const shown: string[] = [];
  for (let at = 40; at <= ms; at += 40)
    shown.push(...captions.heard(at, turnMs, true).map(({ text, fromMs }) => `${text} @${fromMs}`));
  return shown;
}

test('the phrases of a turn appear one after the other, in proportion to their characters', () => {
  const captions = new Captions();
  captions.add(TEXT, true);
  const turnMs = TEXT.length * 50;
  assert.deepEqual(shownUntil(captions, 600, turnMs), ['Good morning, @0']);
  assert.deepEqual(shownUntil(captions, turnMs, turnMs), [
    'gentlemen. This sentence comes second, @650',
    'and it has no other clause at all. @2600',
  ]);
  assert.deepEqual(shownUntil(captions, turnMs * 2, turnMs), [], 'each is shown once');
});

test('a transcript that grows while it is heard is shown without gaps and without repetition', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const captions = new Captions();
    let [known, heardMs] = [0, 0];
    const shown: string[] = [];
    let random = seed;
    while (known < TEXT.length || heardMs < 8000) {
      random = (random * 48_271) % 2_147_483_647;
      if (random % 2 === 0) known = Math.min(TEXT.length, known + (random % 9));
      heardMs += random % 160;
      captions.add(TEXT.slice(0, known), known === TEXT.length);
      if (known === TEXT.length) captions.add('', false);
      shown.push(...captions.heard(heardMs, heardMs + 500, false).map(({ text }) => text));
      if (known === TEXT.length) break;
    }
    shown.push(...captions.heard(60_000, 8000, true).map(({ text }) => text));
    assert.equal(shown.join('').replace(/ /g, ''), TEXT.replace(/ /g, ''), `seed ${seed}`);
  }
});

test('what was heard of a cut turn ends with a whole word', () => {
  const captions = new Captions();
  captions.add('one two three four', true);
  assert.equal(captions.heardText(0, 1800, true), 'one');
  assert.equal(captions.heardText(500, 1800, true), 'one two');
  assert.equal(captions.heardText(1800, 1800, true), 'one two three four');
});

test('after a takeover the captions go on where they stopped', () => {
  const captions = Captions.after(TEXT, 'Good morning,');
  assert.deepEqual(captions.heard(2000, TEXT.length * 50, true)[0]?.text, 'gentlemen. This sentence comes second,');
});

test('text without spaces is cut at its own punctuation, or at the longest phrase', () => {
  const captions = new Captions();
  captions.add(`${'\u4f60'.repeat(14)}\u3002${'\u597d'.repeat(100)}`, true);
  assert.deepEqual(
    captions.heard(10_000, 10_000, true).map(({ text }) => text.length),
    [15, 84, 16],
  );
});
