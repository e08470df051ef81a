import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeldInlet } from './held-inlet.js';

test('messages are held back until start, delivered in order of arrival, and pass at once afterwards', () => {
  const delivered: string[] = [];
  const inlet = new HeldInlet();
  const onSpeech = inlet.hold((turn: number) => void delivered.push(`speech ${turn}`));
  const onEvent = inlet.hold((type: string) => void delivered.push(type));
  onSpeech(1);
  onEvent('pause');
  onSpeech(2);
  assert.deepEqual(delivered, []);
  inlet.start();
  onEvent('resume');
  assert.deepEqual(delivered, ['speech 1', 'pause', 'speech 2', 'resume']);
  inlet.start();
  assert.equal(delivered.length, 4, 'nothing is delivered twice');
});
