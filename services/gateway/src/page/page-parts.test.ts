import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REASONS } from '@talkmesh/contracts';
import { adviceFor, adviceForInput } from './advice.js';
import { forgetKey, loadKey } from './key.js';

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

test('only a fault of the program is called unexpected; what the user can mend is not', () => {
  const titleOf = (reason: string): string => adviceFor({ reason, message: 'details', retryAfterMs: undefined }).title;
  const unexpected = Object.keys(REASONS).filter((reason) => titleOf(reason).startsWith('An unexpected error'));
  // None of these is an answer to what the page asks for.
  assert.deepEqual(unexpected.toSorted(), [
    ...['AUDIO_EMPTY', 'AUDIO_FORMAT_INVALID', 'AUDIO_TOO_LONG', 'CANCELLED', 'CONFIG_INVALID', 'FACE_NOT_FOUND'],
    ...['ICE_SESSION_CHANGED', 'INTERNAL', 'MESSAGE_MALFORMED', 'MESSAGE_VERSION', 'MODEL_INVALID', 'NOT_FOUND'],
    ...['NOT_RECORDED', 'PICTURE_INVALID', 'ROOM_REFUSED', 'ROOM_UNREACHABLE', 'SESSION_EXISTS'],
    ...['SESSION_ID_INVALID', 'TOKEN_WRONG_SESSION'],
  ]);
});

test('every error reason has a title and a text that says what to do', () => {
  const local = ['NETWORK', 'MIC_DENIED', 'MIC_MISSING', 'SPEAKER_MISSING'];
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

test('what keeps the user from being heard has a title, is mild, and keeps its advice', () => {
  const message = adviceForInput({ code: 'unplugged', text: 'Connect it again.' });
  assert.deepEqual(message, { title: 'You cannot be heard.', text: 'Connect it again.', mild: true });
});
