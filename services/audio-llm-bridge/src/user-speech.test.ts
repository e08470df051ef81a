import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RunningTurn, type SpeechStep, UserSpeech, type UserSpeechOptions } from './user-speech.js';

const turn: RunningTurn = { playedMs: 2000, isPaused: false };
const user = (options: Partial<UserSpeechOptions> = {}): UserSpeech =>
  new UserSpeech({
    ...{ bargeIn: true, bargeInGuardMs: 300, bargeInSpeechMs: 300, bargeInHoldMs: 1500, isDecided: true },
    ...options,
  });
const kinds = (steps: readonly SpeechStep[]): string[] =>
  steps.map((step) => (step.kind === 'continue' ? step.cause : step.kind));

test('the minimum duration of speech that interrupts is a setting', () => {
  for (const [bargeInSpeechMs, durationMs, expected] of [
    [300, 299, ['too-short']],
    [300, 300, ['cut', 'begin', 'end']],
    [800, 600, ['too-short']],
    [0, 0, ['cut', 'begin', 'end']],
  ] as const) {
    const speech = user({ bargeInSpeechMs });
    assert.deepEqual(kinds(speech.started(turn, 0)), ['hold']);
    assert.deepEqual(kinds(speech.stopped(durationMs, 800)), expected, `${durationMs} of ${bargeInSpeechMs} ms`);
  }
});

test('a second sound after a false alarm is judged anew; a start without a stop in between changes nothing', () => {
  const speech = user();
  speech.started(turn, 0);
  assert.deepEqual(speech.started(turn, 100), []);
  assert.deepEqual(kinds(speech.stopped(150, 750)), ['too-short']);
  assert.deepEqual(kinds(speech.started(turn, 5000)), ['hold']);
  assert.deepEqual(speech.check(turn, 6499), []);
  assert.deepEqual(kinds(speech.check(turn, 6500)), ['cut', 'begin']);
  assert.deepEqual(kinds(speech.stopped(3000, 8600)), ['end']);
  assert.deepEqual(speech.stopped(3000, 8700), []);
});

test('speech without a known duration interrupts; when the turn ends meanwhile, the provider hears it all', () => {
  const speech = user();
  speech.started(turn, 0);
  assert.deepEqual(kinds(speech.stopped(undefined, 100)), ['cut', 'begin', 'end']);
  speech.started(turn, 1000);
  assert.deepEqual(speech.check(undefined, 1400), [{ kind: 'cut' }, { kind: 'begin', preRollMs: 700 }]);
});
