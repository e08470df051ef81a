import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOSE_MS, MAX_SEGMENTS, STALL_MS } from './agent-speech.js';
import { FRAMES_PER_CHUNK } from './testing/frames.js';
import { RATE, setUpSpeech as setUp } from './testing/speech.js';

test('a segment is passed on sample for sample, and reported when its last sample was heard, before the end of its padded chunk', () => {
  const { open, audio, close, queued, play, take, pcm } = setUp();
  open('a');
  audio('a', 1000);
  close('a');
  assert.equal(pcm.length, RATE);
  queued(1);
  play(1);
  assert.deepEqual(take(), ['end']);
  play(2, { turn: 1, speaking: true });
  assert.deepEqual(take(), ['started']);
  play(1, { turn: 1, speaking: true, endOfTurn: true }, 1);
  assert.deepEqual(take(), ['finished 1']);
  play(1, { turn: 1, speaking: true, endOfTurn: true });
  assert.deepEqual(take(), []);
});

test('another rate and two channels: the position is the time of the agent', () => {
  const { speech, open, close, queued, play, take } = setUp();
  open('a', 48_000, 2);
  for (let i = 0; i < 50; i += 1)
    speech.receive({
      type: 'audio',
      stream: 'a',
      bytes: new Uint8Array(Int16Array.from({ length: 960 * 2 }, () => 9).buffer),
    });
  close('a');
  queued(1);
  play(2, { turn: 1, speaking: true });
  play(1, { turn: 1, speaking: true, endOfTurn: true });
  assert.deepEqual(take(), ['end', 'started', 'finished 1']);
});

test('a segment of no real rate or number of channels is reported as dropped, in its turn, and harms none after it', () => {
  const { open, audio, close, queued, play, take, pcm } = setUp();
  open('head');
  audio('head', 480);
  close('head');
  queued(1);
  take();
  const forms = [
    ...[Number.NaN, 0, -24_000, 7999, 48_001, 1e9, 24_000.5].map((rateHz) => [rateHz, 1] as const),
    ...[Number.NaN, 0, -1, 1.5, 3].map((channels) => [RATE, channels] as const),
  ];
  for (const [i, [rateHz, channels]] of forms.entries()) {
    open(`bad ${i}`, rateHz, channels);
    audio(`bad ${i}`, 20);
    close(`bad ${i}`);
  }
  open('good');
  audio('good', 480);
  close('good');
  assert.deepEqual(
    take().map((what) => what.slice(0, 19)),
    forms.map(([rateHz, channels]) => `warn the audio has ${rateHz} Hz and ${channels}`.slice(0, 19)),
  );
  play(1, { turn: 1, speaking: true, endOfTurn: true });
  const told = take();
  assert.deepEqual(told.slice(0, 2), ['started', 'finished 0.48']);
  assert.deepEqual(told.filter((what) => what === 'finished 0 cut').length, forms.length);
  queued(2);
  play(1, { turn: 2, speaking: true, endOfTurn: true });
  assert.deepEqual(take(), ['started', 'finished 0.48']);
  assert.equal(pcm.length, 2 * 0.48 * RATE);
});

test('a cut is reported at the last sample before the flush, however late the flush is known', () => {
  for (const flushAfterPlay of [false, true]) {
    const { open, audio, speech, queued, play, playFrame, flush, finished, take, state } = setUp();
    open('a');
    audio('a', 5000);
    queued(1);
    play(2, { turn: 1, speaking: true });
    take();
    speech.receive({ type: 'clear' });
    assert.deepEqual(take(), ['clear', 'end']);
    finished(1, 800, true);
    if (!flushAfterPlay) flush(3);
    play(1, { turn: 1, speaking: true }, FRAMES_PER_CHUNK - 1);
    assert.deepEqual(take(), []);
    state.chunk -= 1;
    playFrame(FRAMES_PER_CHUNK - 1, { turn: 1, speaking: true }, 960);
    if (flushAfterPlay) flush(3);
    assert.deepEqual(take(), ['finished 1.44 cut', 'cleared']);
    audio('a', 1000);
    assert.deepEqual(take(), [], 'what still comes of it is dropped');
  }
});

test('silence in which the mesh waited for speech does not count, nor does a bridge that is early because it counts it', () => {
  const { open, audio, close, queued, finished, play, take } = setUp();
  open('a');
  audio('a', 440);
  close('a');
  queued(1);
  play(1, { turn: 1, speaking: true }, FRAMES_PER_CHUNK, 0);
  finished(1, 440);
  assert.deepEqual(take(), ['end', 'started']);
  const last = { turn: 1, speaking: true, endOfTurn: true };
  play(1, last, 10);
  assert.deepEqual(take(), []);
  play(1, last, 1);
  assert.deepEqual(take(), ['finished 0.44']);
});

test('a last frame that is lost is not waited for long', () => {
  const { open, audio, close, queued, finished, play, take } = setUp();
  open('a');
  audio('a', 480);
  close('a');
  queued(1);
  play(1, { turn: 1, speaking: true });
  finished(1, 480);
  take();
  play(5);
  assert.deepEqual(take(), ['finished 0.48']);
});

test('a clear with nothing playing is answered at once; one before the first sound is reported at 0', () => {
  const { open, audio, speech, queued, play, flush, take } = setUp();
  speech.receive({ type: 'clear' });
  assert.deepEqual(take(), ['cleared']);
  play(1);
  open('a');
  audio('a', 1000);
  speech.receive({ type: 'clear' });
  queued(1);
  flush(2);
  assert.deepEqual(take(), ['clear', 'end']);
  play(1);
  assert.deepEqual(take(), ['finished 0 cut', 'cleared']);
});

test('the next segment waits for the one before, and a clear also drops those that wait', () => {
  const { open, audio, close, speech, queued, play, flush, take, pcm } = setUp();
  for (const stream of ['a', 'b', 'c']) {
    open(stream);
    audio(stream, 480);
    close(stream);
  }
  assert.equal(pcm.length, 0.48 * RATE);
  queued(1);
  play(1, { turn: 1, speaking: true, endOfTurn: true });
  assert.deepEqual(take(), ['end', 'started', 'finished 0.48', 'end']);
  assert.equal(pcm.length, 0.96 * RATE);
  queued(2);
  speech.receive({ type: 'clear' });
  flush(1);
  assert.deepEqual(take(), ['clear', 'end', 'finished 0 cut', 'finished 0 cut', 'cleared']);
});

test('where the sink mutes, a cut is over at once, at the last sample before it; the rest of the chunk is muted', () => {
  const { open, audio, close, speech, queued, play, playFrame, flush, take, state } = setUp({ mutes: true });
  open('a');
  audio('a', 4800);
  queued(1);
  play(1, { turn: 1, speaking: true });
  for (let n = 0; n < 5; n += 1) playFrame(n, { turn: 1, speaking: true }, 960);
  close('a');
  open('b');
  audio('b', 480);
  take();
  assert.equal(speech.isMuted({ turn: 1 }), false);
  speech.receive({ type: 'clear' });
  assert.deepEqual(take(), ['clear', 'end', 'finished 0.68 cut', 'finished 0 cut', 'cleared']);
  assert.deepEqual([speech.isMuted({ turn: 1 }), speech.isMuted({ turn: 0 })], [true, false]);
  open('c');
  audio('c', 480);
  close('c');
  assert.deepEqual(take(), [], 'it waits for the flush');
  for (let n = 5; n < FRAMES_PER_CHUNK; n += 1) playFrame(n, { turn: 1, speaking: true }, 960);
  flush(2);
  assert.deepEqual(take(), ['end']);
  state.chunk += 1;
  queued(2);
  play(1, { turn: 2, speaking: true, endOfTurn: true });
  assert.equal(speech.isMuted({ turn: 2 }), false);
  assert.deepEqual(take(), ['started', 'finished 0.48']);
});

test('an agent that stops in the middle is noticed once all was heard; more of the segment is another turn of it', () => {
  const { open, audio, close, queued, play, take, state } = setUp();
  open('a');
  audio('a', 480);
  queued(1);
  play(1, { turn: 1, speaking: true });
  take();
  while (state.nowMs < STALL_MS) play(1);
  play(1, {}, 1);
  assert.deepEqual(take(), ['end', 'warn the agent stopped in the middle of a segment']);
  play(1, { turn: 1, endOfTurn: true });
  audio('a', 480);
  close('a');
  queued(2);
  play(1, { turn: 2, speaking: true, endOfTurn: true });
  assert.deepEqual(take(), ['end', 'finished 0.96']);
});

test('a stream whose end is lost: the segment is complete when all was heard and nothing more comes, or when the next one begins', () => {
  const { open, audio, queued, play, take, state } = setUp();
  open('a');
  audio('a', 480);
  queued(1);
  play(1, { turn: 1, speaking: true });
  while (state.nowMs < STALL_MS) play(1);
  play(1, {}, 1);
  play(1, { turn: 1, endOfTurn: true });
  take();
  while (state.nowMs < CLOSE_MS) play(1);
  play(1, {}, 1);
  assert.deepEqual(take(), ['finished 0.48']);
  open('b');
  audio('b', 480);
  queued(2);
  play(1, { turn: 2, speaking: true });
  const untilMs = state.nowMs + STALL_MS;
  while (state.nowMs <= untilMs) play(1);
  play(1, { turn: 2, endOfTurn: true });
  take();
  open('c');
  assert.deepEqual(take(), ['finished 0.48']);
});

test('a stream that breaks, or is followed by another one while open, is cut', () => {
  const { open, audio, close, queued, play, flush, take } = setUp();
  open('a');
  audio('a', 4800);
  queued(1);
  play(1, { turn: 1, speaking: true });
  open('b');
  audio('b', 480);
  flush(1);
  assert.deepEqual(take(), ['started', 'clear', 'end', 'finished 0.48 cut']);
  close('b', false);
  queued(2);
  flush(1);
  assert.deepEqual(take(), ['clear', 'end', 'finished 0 cut']);
});

test('an interrupt that the agent did not ask for is reported, and so is a turn that the bridge refuses or loses', () => {
  const { open, audio, queued, play, flush, finished, event, take } = setUp();
  open('a');
  audio('a', 4800);
  queued(1);
  play(1, { turn: 1, speaking: true });
  take();
  finished(1, 480, true);
  flush(1);
  assert.deepEqual(take(), ['end', 'finished 0.48 cut']);
  open('b');
  audio('b', 100);
  event(0, { type: 'error', service: 'audio-llm-bridge', reason: 'SESSION_LIMIT', message: '8 turns wait' });
  assert.deepEqual(take(), ['end', 'finished 0 cut']);
  open('c');
  audio('c', 4800);
  queued(3);
  event(3, { type: 'turn.truncated', speechMs: 960 });
  play(2, { turn: 3, speaking: true });
  finished(3, 960, true);
  assert.deepEqual(take(), ['end', 'started', 'finished 0.96 cut']);
});

test('a worker that takes over ends the stream of the worker before, and reports its segment', () => {
  const { speech, finished, take } = setUp({ takeOver: true });
  assert.deepEqual(take(), ['end']);
  speech.receive({ type: 'clear' });
  finished(4, 1200, true);
  finished(5, 100);
  assert.deepEqual(take(), ['clear', 'cleared', 'finished 1.2 cut']);
});

test('a worker that takes over and plays only silence reports the segment of the worker before after a while', () => {
  const { state, speech, play, take } = setUp({ takeOver: true });
  take();
  play(2, { turn: 4, speaking: true });
  state.nowMs += 9000;
  play(1);
  assert.deepEqual(take(), []);
  play(2);
  assert.deepEqual(take(), ['finished 0.96 cut']);
  state.nowMs += 20_000;
  play(1);
  speech.receive({ type: 'clear' });
  assert.deepEqual(take(), ['clear', 'cleared'], 'the bridge may speak on after all');

  const paused = setUp({ takeOver: true });
  paused.event(4, { type: 'turn.paused', heardMs: 0, cause: 'command' });
  paused.state.nowMs += 60_000;
  paused.play(1);
  assert.deepEqual(paused.take(), ['end'], 'a pause is no end');
});

test('speech that waited is passed on slice by slice with what is played, sample for sample, and then its end', () => {
  const { open, audio, close, queued, play, take, pcm } = setUp();
  open('a');
  audio('a', 480);
  close('a');
  open('b');
  audio('b', 20_000);
  close('b');
  queued(1);
  pcm.length = 0;
  play(1, { turn: 1, speaking: true, endOfTurn: true });
  assert.deepEqual(take(), ['end', 'started', 'finished 0.48']);
  assert.equal(pcm.length, 2 * RATE, 'no other session waits for all of it');
  queued(2);
  for (let frames = 1; pcm.length < 20 * RATE; frames += 1) {
    assert.ok(frames < 10, `${pcm.length / RATE} s after ${frames} frames`);
    play(1, { turn: 2, speaking: true }, 1);
  }
  assert.deepEqual(take(), ['started', 'end']);
  assert.ok(pcm.length === 20 * RATE && pcm.every((sample) => sample === 7));
});

test('a clear drops the speech whose slices were not passed on', () => {
  const { speech, open, audio, close, queued, play, flush, take, pcm } = setUp({ mutes: true });
  open('a');
  audio('a', 480);
  close('a');
  open('b');
  audio('b', 20_000);
  close('b');
  queued(1);
  play(1, { turn: 1, speaking: true, endOfTurn: true });
  queued(2);
  take();
  speech.receive({ type: 'clear' });
  const passed = pcm.length;
  flush(1);
  play(2);
  assert.deepEqual(take(), ['clear', 'end', 'finished 0 cut', 'cleared']);
  assert.equal(pcm.length, passed);
});

test('segments that wait are limited, and a small piece costs about the same however many wait', () => {
  const pieceMs = (segments: number): number => {
    const { speech, open, audio, close } = setUp();
    open('a');
    audio('a', 480);
    close('a');
    for (let i = 2; i <= segments; i += 1) {
      close(String(i - 1));
      open(String(i));
      audio(String(i), 1);
    }
    if (segments === MAX_SEGMENTS)
      assert.throws(() => open('more'), { reason: 'RATE_LIMITED', message: /500 utterances wait/ });
    const bytes = new Uint8Array(2);
    const startMs = performance.now();
    for (let i = 0; i < 20_000; i += 1) speech.receive({ type: 'audio', stream: String(segments), bytes });
    return performance.now() - startMs;
  };
  const ratios = [1, 2, 3].map(() => pieceMs(MAX_SEGMENTS) / pieceMs(2));
  assert.ok(Math.min(...ratios) < 20, `${ratios.map((ratio) => ratio.toFixed(1)).join(', ')} times`);
});
