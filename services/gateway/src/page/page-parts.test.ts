import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallEvent } from '@talkmesh/client';
import { type MeshEvent, newSessionId, REASONS } from '@talkmesh/contracts';
import { adviceFor } from './advice.js';
import { forgetKey, takeKey } from './key.js';
import { Transcript } from './transcript.js';

/** The client keeps its own copy of the event types, because it has no dependencies: both ways assignable, or this does not compile. */
export const sameEvents: [(event: MeshEvent) => CallEvent, (event: CallEvent) => MeshEvent] = [(e) => e, (e) => e];

const event = (body: object, turn = 1): CallEvent =>
  ({ v: 1, sid: newSessionId(), epoch: 0, turn, atMs: 0, ...body }) as CallEvent;

test('the key moves from the address bar into the tab', () => {
  const stored = new Map<string, string>();
  const storage = {
    getItem: (name: string) => stored.get(name) ?? null,
    setItem: (name: string, value: string) => void stored.set(name, value),
    removeItem: (name: string) => void stored.delete(name),
  };
  const shown: string[] = [];
  const history = { replaceState: (_: unknown, __: string, url?: string | URL | null) => void shown.push(String(url)) };
  const at = (hash: string) => takeKey({ location: { hash, pathname: '/', search: '?a=1' }, storage, history });
  assert.equal(at(''), undefined);
  assert.equal(at('#key='), undefined);
  assert.equal(at('#key=abc%2Fd'), 'abc/d');
  assert.deepEqual(shown, ['/?a=1']);
  assert.equal(at(''), 'abc/d');
  assert.equal(at('#key=other'), 'other');
  forgetKey(storage);
  assert.equal(at(''), undefined);
});

test('partial transcripts grow in place, interrupted turns are marked', () => {
  const transcript = new Transcript();
  transcript.apply(event({ type: 'transcript', role: 'user', text: 'what is', final: false }));
  transcript.apply(event({ type: 'transcript', role: 'user', text: 'what is this', final: true }));
  transcript.apply(event({ type: 'transcript', role: 'avatar', text: 'this is', final: false }));
  assert.equal(transcript.apply(event({ type: 'turn.finished', interrupted: true, speechMs: 5 })), true);
  transcript.apply(event({ type: 'transcript', role: 'avatar', text: 'next', final: true }, 2));
  assert.equal(transcript.apply(event({ type: 'turn.finished', interrupted: false, speechMs: 5 }, 2)), false);
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

test('a long call does not fill the page', () => {
  const transcript = new Transcript();
  for (let i = 0; i < 500; i += 1) transcript.add('user', `line ${i}`);
  assert.equal(transcript.lines.length, 200);
  assert.equal(transcript.lines.at(-1)?.text, 'line 499');
});

test('every failure is told with what to do', () => {
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
