import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PushToTalk } from './push-to-talk.js';

const end = { steps: [{ kind: 'end' }] };
const nothing = { steps: [] };

test('an input begins with its command, and ends when its last sounds have arrived', () => {
  const talk = new PushToTalk();
  assert.equal(talk.commit(0), undefined);
  assert.equal(talk.cancel(), undefined);
  assert.deepEqual(talk.start(true, 1000), [{ kind: 'cut' }, { kind: 'begin', preRollMs: 100 }]);
  assert.equal(talk.start(true, 1100), undefined);
  assert.equal(talk.commit(3000), 2000);
  assert.equal(talk.commit(3001), undefined);
  assert.equal(talk.decidesAtMs, 3200);
  assert.deepEqual(talk.check(3199), nothing);
  assert.deepEqual(talk.check(3200), end);
  assert.deepEqual(talk.check(9999), nothing);
});

test('a cancelled input is withdrawn; a new one ends the one before at once', () => {
  const talk = new PushToTalk();
  talk.start(false, 0);
  assert.deepEqual(talk.cancel(), [{ kind: 'withdraw' }]);
  assert.equal(talk.decidesAtMs, undefined);
  talk.start(false, 1000);
  talk.commit(2000);
  assert.deepEqual(talk.start(false, 2100), [{ kind: 'end' }, { kind: 'begin', preRollMs: 100 }]);
});

test('an input that is never committed ends after a minute', () => {
  const talk = new PushToTalk();
  talk.start(false, 0);
  assert.deepEqual(talk.check(59_999), nothing);
  assert.deepEqual(talk.check(60_000), { ...end, committedMs: 60_000 });
});
