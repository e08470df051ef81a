import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Messages } from './messages.js';

const mild = (title: string) => ({ title, text: '', mild: true });
const error = (title: string) => ({ title, text: '', mild: false });

function setUp() {
  const shown: (string | undefined)[] = [];
  const messages = new Messages((message) => void shown.push(message?.title));
  return { messages, shown };
}

test('an error is shown before hints, and what it covered comes back when it is withdrawn or dismissed', () => {
  const { messages, shown } = setUp();
  messages.put('input', mild('You are hard to hear.'));
  messages.put('call', error('The provider failed.'));
  messages.put('connection', mild('The connection is weak.'));
  messages.put('call', undefined);
  messages.dismiss();
  messages.dismiss();
  assert.deepEqual(shown, [
    'You are hard to hear.',
    'The provider failed.',
    'The connection is weak.',
    'You are hard to hear.',
    undefined,
  ]);
});

test('a source has one message; withdrawing what is not shown, or nothing, changes nothing', () => {
  const { messages, shown } = setUp();
  messages.put('input', undefined);
  messages.put('call', error('First.'));
  messages.put('call', error('Second.'));
  messages.put('input', mild('Hint.'));
  messages.put('input', undefined);
  messages.put('call', undefined);
  assert.deepEqual(shown, ['First.', 'Second.', undefined]);
});
