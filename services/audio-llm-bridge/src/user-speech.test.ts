import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RunningTurn, type SpeechStep, UserSpeech, type UserSpeechOptions } from './user-speech.js';

const turn: RunningTurn = { playedMs: 2000, leftMs: 5000, isPaused: false };
const user = (options: Partial<UserSpeechOptions> = {}): UserSpeech =>
  new UserSpeech({
    ...{ bargeIn: true, bargeInGuardMs: 300, bargeInSpeechMs: 300, bargeInHoldMs: 1500, isDecided: true },
    ...{ backChannel: 'ignore', language: 'en', transcribesFirst: false },
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

test('words are asked for before the turn is cut: signs of listening and no words let it continue, others cut it', () => {
  for (const [text, options, left, expected] of [
    ['Mhm, right.', {}, 5000, ['withdraw', 'back-channel']],
    ['Mhm, right.', { backChannel: 'interrupt' }, 5000, ['cut', 'accept']],
    ['Mhm, right.', {}, 900, ['cut', 'accept']],
    ['Genau.', {}, 5000, ['cut', 'accept']],
    ['Genau.', { language: 'de-AT' }, 5000, ['withdraw', 'back-channel']],
    ['', { backChannel: 'interrupt' }, 5000, ['withdraw', 'no-words']],
    ['Wait.', {}, 5000, ['cut', 'accept']],
  ] as const) {
    const speech = user({ ...options, transcribesFirst: true });
    assert.deepEqual(kinds(speech.started(turn, 0)), ['hold']);
    assert.deepEqual(speech.stopped(500, 1100), [{ kind: 'ask', preRollMs: 1400 }]);
    assert.deepEqual(kinds(speech.heard(text, { ...turn, leftMs: left })), expected, `"${text}", ${left} ms left`);
    assert.deepEqual(speech.heard(text, turn), [], 'once');
  }
});

test('words that do not come let the turn continue after a while, and interrupt it when they come later', () => {
  const speech = user({ transcribesFirst: true });
  speech.started(turn, 0);
  speech.stopped(500, 1000);
  assert.equal(speech.decidesAtMs, 4000);
  assert.deepEqual(speech.check(turn, 3999), []);
  assert.deepEqual(kinds(speech.check(turn, 4000)), ['no-words']);
  assert.deepEqual(speech.check(turn, 9000), []);
  assert.deepEqual(kinds(speech.heard('Stop it', turn)), ['cut', 'accept']);

  const noise = user({ transcribesFirst: true });
  noise.started(turn, 0);
  noise.stopped(500, 1000);
  noise.check(turn, 4000);
  assert.deepEqual(kinds(noise.heard('', turn)), ['withdraw']);
});

test('a user who goes on while the words are awaited, and a turn that ends meanwhile, make them a turn', () => {
  const speech = user({ transcribesFirst: true });
  speech.started(turn, 0);
  speech.stopped(500, 1000);
  assert.deepEqual(kinds(speech.started(turn, 1200)), ['cut', 'accept', 'begin']);
  assert.deepEqual(kinds(speech.stopped(900, 3000)), ['end']);
  speech.started(turn, 5000);
  speech.stopped(500, 6000);
  assert.deepEqual(kinds(speech.check(undefined, 6100)), ['cut', 'accept']);
});

test('speech that outlasts the hold is an interruption whatever its words', () => {
  const speech = user({ transcribesFirst: true });
  speech.started(turn, 0);
  assert.deepEqual(kinds(speech.check(turn, 1500)), ['cut', 'begin']);
  assert.deepEqual(kinds(speech.stopped(1900, 2500)), ['end']);
});
