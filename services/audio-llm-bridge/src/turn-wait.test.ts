import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TurnWait } from './turn-wait.js';

test('the wait for a turn begins with its first speech', () => {
  const wait = new TurnWait();
  wait.event(1, 'turn.queued', 0);
  wait.sent(1, 100);
  wait.sent(1, 300);
  assert.equal(wait.event(1, 'turn.started', 700), 600);
  assert.equal(wait.event(2, 'turn.started', 900), undefined, 'its speech was sent by another bridge');
});

test('the time in which another turn is spoken, or the call is paused, does not count', () => {
  const wait = new TurnWait();
  wait.sent(1, 0);
  wait.sent(2, 10);
  wait.event(1, 'turn.started', 500);
  wait.event(1, 'turn.finished', 4000);
  assert.equal(wait.event(2, 'turn.started', 4040), 40);
  wait.sent(3, 5000);
  wait.event(0, 'pause', 5100);
  assert.equal(wait.event(3, 'turn.started', 5150), undefined);
  wait.sent(4, 5200);
  wait.event(0, 'resume', 9000);
  assert.equal(wait.event(4, 'turn.started', 9400), 400);
});
