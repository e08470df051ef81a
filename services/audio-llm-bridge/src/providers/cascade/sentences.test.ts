import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SentenceSplitter } from './sentences.js';

function split(...parts: string[]): string[] {
  const splitter = new SentenceSplitter();
  const sentences = parts.flatMap((part) => splitter.push(part));
  const rest = splitter.flush();
  return rest === '' ? sentences : [...sentences, rest];
}

test('a sentence is complete when the next one begins; short ones are joined', () => {
  const splitter = new SentenceSplitter();
  assert.deepEqual(splitter.push('This is the first one.'), []);
  assert.deepEqual(splitter.push(' And'), ['This is the first one.']);
  assert.equal(splitter.flush(), 'And');
  assert.deepEqual(split('Oh. Yes! That is what I meant. Good.'), ['Oh. Yes! That is what I meant.', 'Good.']);
});

test('numbers, addresses and quotes stay whole, whatever the pieces are', () => {
  const text = 'It costs 3.50 at example.com today. She said: "Take it now!" Then she left the shop.';
  const expected = ['It costs 3.50 at example.com today.', 'She said: "Take it now!"', 'Then she left the shop.'];
  assert.deepEqual(split(text), expected);
  assert.deepEqual(split(...text), expected);
});

test('a text without ends is cut between words, other scripts at their own marks', () => {
  const long = split('word '.repeat(200));
  assert.ok(long.length > 3 && long.every((sentence) => sentence.length <= 240 && /^word( word)*$/.test(sentence)));
  assert.deepEqual(split('これはとても長い最初の文章ですよね。つぎ'), ['これはとても長い最初の文章ですよね。', 'つぎ']);
});
