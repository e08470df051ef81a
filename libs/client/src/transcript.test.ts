import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Transcript } from './transcript.js';
import type { CallEvent } from './types.js';

const event = (body: object, turn = 1): CallEvent =>
  ({ v: 2, id: 'test.1', sessionId: 'a-session', epoch: 0, turn, atMs: 0, ...body }) as CallEvent;

test('a line of the avatar appears when it is heard, and keeps only what was heard of it', () => {
  const transcript = new Transcript();
  const shown = () => transcript.lines.map(({ text, cut }) => [text, cut]);
  const said = (text: string, turn: number) => event({ type: 'transcript', role: 'avatar', text, final: true }, turn);
  assert.equal(transcript.apply(said('First line.', 1)), false);
  transcript.apply(said('Second line.', 2));
  transcript.apply(said('Third line.', 3));
  assert.deepEqual(shown(), []);
  assert.equal(transcript.apply(event({ type: 'turn.started', source: 'text' }, 1)), true);
  assert.deepEqual(shown(), [['First line.', false]]);
  const over = { type: 'turn.finished', speechMs: 900, heardMs: 300 };
  transcript.apply(event({ ...over, interrupted: false }, 1));
  transcript.apply(event({ type: 'turn.started', source: 'text' }, 2));
  transcript.apply(event({ ...over, interrupted: true, heardText: 'Second' }, 2));
  transcript.apply(event({ type: 'turn.cancelled' }, 3));
  assert.deepEqual(shown(), [
    ['First line.', false],
    ['Second', true],
  ]);
});

test('a partial transcript is updated in place; interrupted turns are marked', () => {
  const transcript = new Transcript();
  transcript.apply(event({ type: 'transcript', role: 'user', text: 'what is', final: false }));
  transcript.apply(event({ type: 'transcript', role: 'user', text: 'what is this', final: true }));
  transcript.apply(event({ type: 'transcript', role: 'avatar', text: 'this', final: false }));
  transcript.apply(event({ type: 'turn.started', source: 'voice' }));
  transcript.apply(event({ type: 'transcript', role: 'avatar', text: 'this is', final: false }));
  assert.equal(transcript.apply(event({ type: 'turn.finished', interrupted: true, speechMs: 5, heardMs: 3 })), true);
  transcript.apply(event({ type: 'turn.started', source: 'voice' }, 2));
  transcript.apply(event({ type: 'transcript', role: 'avatar', text: 'next', final: true }, 2));
  assert.equal(
    transcript.apply(event({ type: 'turn.finished', interrupted: false, speechMs: 5, heardMs: 5 }, 2)),
    false,
  );
  assert.equal(transcript.apply(event({ type: 'transcript', role: 'user', text: '  ', final: true })), false);
  assert.equal(transcript.apply(event({ type: 'speech.started' })), false);
  assert.deepEqual(
    transcript.lines.map(({ role, text, open, cut }) => [role, text, open, cut]),
    [
      ['user', 'what is this', false, false],
      ['avatar', 'this is', false, true],
      ['avatar', 'next', false, false],
    ],
  );
});

test('the transcript of a long call keeps the last 200 lines', () => {
  const transcript = new Transcript();
  for (let i = 0; i < 500; i += 1) transcript.add('user', `line ${i}`);
  assert.equal(transcript.lines.length, 200);
  assert.equal(transcript.lines.at(-1)?.text, 'line 499');
});
