import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamLimits } from './stream-limits.js';

test('event streams are counted per session, per key and in all, and a closed one makes room once', () => {
  const limits = new StreamLimits({ perSession: 2, perOwner: 3, total: 4 });
  const close = limits.open('s1', 'a');
  limits.open('s1', 'a');
  assert.throws(() => limits.open('s1', 'a'), { reason: 'RATE_LIMITED', message: /the session has 2/ });
  limits.open('s2', 'a');
  assert.throws(() => limits.open('s3', 'a'), { message: /the owner has 3/ });
  limits.open('s4', 'b');
  assert.throws(() => limits.open('s5', 'c'), { message: /this gateway has 4/ });
  close();
  close();
  limits.open('s5', 'c');
  assert.throws(() => limits.open('s5', 'c'), { message: /this gateway/ });
});
