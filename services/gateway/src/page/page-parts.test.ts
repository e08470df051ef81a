import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallEvent } from '@talkmesh/client';
import { newSessionId, REASONS } from '@talkmesh/contracts';
import { adviceFor } from './advice.js';
import { InputHint } from './input-hint.js';
import { forgetKey, loadKey } from './key.js';
import { Transcript } from './transcript.js';

const event = (body: object, turn = 1): CallEvent =>
  ({ v: 2, id: 'test.1', sessionId: newSessionId(), epoch: 0, turn, atMs: 0, ...body }) as CallEvent;

test('the API key is moved from the address bar to the storage of the tab', () => {
  const stored = new Map<string, string>();
  const storage = {
    getItem: (name: string) => stored.get(name) ?? null,
    setItem: (name: string, value: string) => void stored.set(name, value),
    removeItem: (name: string) => void stored.delete(name),
  };
  const shown: string[] = [];
  const history = { replaceState: (_: unknown, __: string, url?: string | URL | null) => void shown.push(String(url)) };
  const at = (hash: string) => loadKey({ location: { hash, pathname: '/', search: '?a=1' }, storage, history });
  assert.equal(at(''), undefined);
  assert.equal(at('#key='), undefined);
  assert.equal(at('#key=abc%2Fd'), 'abc/d');
  assert.deepEqual(shown, ['/?a=1']);
  assert.equal(at(''), 'abc/d');
  assert.equal(at('#key=other'), 'other');
  forgetKey(storage);
  assert.equal(at(''), undefined);
});

test('trouble with the microphone is told once until it is over; silence of a muted one is no trouble', () => {
  const told: string[] = [];
  const hint = new InputHint({ show: ({ title }) => void told.push(title), hide: () => void told.push('hidden') });
  const silent = { code: 'silent', text: 'Check it.' } as const;
  hint.show(silent, true);
  hint.show(silent, false);
  hint.show(silent, false);
  hint.show({ code: 'clipped', text: 'Move away.' }, false);
  hint.show(undefined, false);
  hint.show(undefined, false);
  assert.deepEqual(told, ['You cannot be heard.', 'Your voice is distorted.', 'hidden']);
});

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

test('every error reason has a title and a text that says what to do', () => {
  const local = ['NETWORK', 'MIC_DENIED', 'MIC_MISSING'];
  for (const reason of [...Object.keys(REASONS), ...local]) {
    const { title, text } = adviceFor({ reason, message: 'details', retryAfterMs: 2500 });
    assert.ok(title.length > 5 && text.length > 5, reason);
  }
  assert.match(adviceFor({ reason: 'MIC_DENIED', message: '', retryAfterMs: undefined }).text, /type a line/);
  assert.match(adviceFor({ reason: 'SESSION_LIMIT', message: '', retryAfterMs: 2500 }).text, /3 s/);
  assert.match(
    adviceFor({ reason: 'TTS_UNAVAILABLE', message: 'install espeak-ng', retryAfterMs: undefined }).text,
    /espeak-ng/,
  );
});
