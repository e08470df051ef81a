import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConversationHistory, textWithin } from './history.js';

test('a cut keeps the words that began within the share that was heard', () => {
  assert.equal(textWithin('one two three four', 0), '');
  assert.equal(textWithin('one two three four', 0.25), 'one two');
  assert.equal(textWithin('one two three four', 0.99), 'one two three four');
  assert.equal(textWithin('one two three four', 7), 'one two three four');
});

test('an utterance keeps its place, also when its words arrive late', () => {
  const history = new ConversationHistory([{ role: 'user', text: 'before' }]);
  history.reserve('u1', 'user');
  history.say('a1', 'avatar', 'I am well.');
  history.say('u1', 'user', 'How are you?');
  history.cut('a1', 0.3);
  history.reserve('u2', 'user');
  assert.deepEqual(
    history.entries.map((entry) => (entry.kind === 'text' ? entry.text : entry.kind)),
    ['before', 'How are you?', 'I am'],
  );
});

test('the oldest part is dropped, and never a call without its result', () => {
  const history = new ConversationHistory();
  history.call({ id: 'c', name: 'n', arguments: '{}' });
  history.result({ id: 'c', output: 'x' });
  for (let i = 0; i < 5; i++) history.say(`u${i}`, 'user', `${i}`.repeat(9900));
  assert.deepEqual(
    history.entries.map((entry) => (entry.kind === 'text' ? entry.text[0] : entry.kind)),
    ['1', '2', '3', '4'],
  );
});
