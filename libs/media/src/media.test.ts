import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blackI420, i420Bytes, i420ToRgba, meanLuma } from './i420.js';
import { fromPcm16, rms, toPcm16 } from './pcm.js';
import { PcmRing } from './pcm-ring.js';
import { pitchShift } from './pitch-shift.js';
import { PlayoutClock } from './playout-clock.js';
import { SpeechGate } from './voice-activity.js';

const tone = (hz: number, samples: number): Int16Array =>
  Int16Array.from({ length: samples }, (_, i) => Math.round(12_000 * Math.sin((2 * Math.PI * hz * i) / 24_000)));

test('samples are converted in both directions, rounded and clipped', () => {
  assert.deepEqual(
    toPcm16(Float32Array.of(0, 1, -1, 2, -2, Number.NaN, 0.5)),
    Int16Array.of(0, 32_767, -32_768, 32_767, -32_768, 0, 16_384),
  );
  const pcm = Int16Array.from({ length: 65_536 }, (_, i) => i - 32_768);
  assert.deepEqual(toPcm16(fromPcm16(pcm)), pcm);
  assert.equal(rms(new Int16Array(0)), 0);
  assert.ok(Math.abs(rms(tone(1000, 24_000)) - 12_000 / 32_768 / Math.SQRT2) < 1e-4);
});

test('the ring is a FIFO queue for any sequence of push, take and putBack', () => {
  const ring = new PcmRing();
  const expected: number[] = [];
  let next = 0;
  let state = 7;
  for (let round = 0; round < 500; round++) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    const count = state % 3000;
    if (state % 2 === 0) {
      const block = Int16Array.from({ length: count }, () => next++ % 30_000);
      assert.ok(ring.push(block));
      expected.push(...block);
    } else {
      const taken = ring.take(count);
      const wanted = expected.splice(0, count);
      assert.deepEqual([...taken], [...wanted, ...new Array(count - wanted.length).fill(0)]);
      const back = taken.subarray(0, wanted.length).subarray(wanted.length >> (round % 3));
      ring.putBack(back);
      expected.unshift(...back);
    }
    assert.equal(ring.length, expected.length);
  }
});

test('a full ring refuses a whole block, and clear empties it', () => {
  const ring = new PcmRing(10);
  assert.ok(ring.push(new Int16Array(8).fill(3)));
  assert.equal(ring.push(new Int16Array(3)), false);
  assert.equal(ring.length, 8);
  assert.equal(ring.clear(), 8);
  assert.deepEqual(ring.take(2), Int16Array.of(0, 0));
});

/** Estimates the frequency from upward zero crossings in the middle part. */
function frequency(pcm: Int16Array): number {
  const part = pcm.subarray(pcm.length / 4, (pcm.length * 3) / 4);
  let crossings = 0;
  for (let i = 1; i < part.length; i++) if ((part[i - 1] ?? 0) < 0 && (part[i] ?? 0) >= 0) crossings++;
  return (crossings * 24_000) / part.length;
}

test('the pitch shifts while duration and level stay', () => {
  const voice = tone(220, 48_000);
  for (const semitones of [-5, -2, 3, 7]) {
    const shifted = pitchShift(voice, 24_000, semitones);
    assert.equal(shifted.length, voice.length);
    const ratio = frequency(shifted) / 220;
    assert.ok(Math.abs(12 * Math.log2(ratio) - semitones) < 0.15, `${semitones}: ratio ${ratio}`);
    assert.ok(Math.abs(rms(shifted) / rms(voice) - 1) < 0.1, `${semitones}: level ${rms(shifted) / rms(voice)}`);
  }
  assert.deepEqual(pitchShift(voice, 24_000, 0), voice);
  assert.equal(pitchShift(new Int16Array(0), 24_000, 4).length, 0);
  assert.equal(pitchShift(tone(220, 100), 24_000, 4).length, 100);
});

test('the playout clock does not drift, is held by whole frames, and can be stopped', () => {
  let nowMs = 1000;
  const clock = new PlayoutClock({ fps: 25, now: () => nowMs });
  assert.equal(clock.dueFrame(), -1);
  assert.equal(clock.dueAtMs(0), Number.POSITIVE_INFINITY);
  clock.start();
  assert.equal(clock.dueFrame(), 0);
  nowMs = 1039.9;
  assert.equal(clock.dueFrame(), 0);
  nowMs = 1040;
  assert.equal(clock.dueFrame(), 1);
  nowMs = 1000 + 3_600_000;
  assert.equal(clock.dueFrame(), 90_000);
  clock.hold(3);
  assert.equal(clock.dueFrame(), 89_997);
  assert.equal(clock.untilMs(90_000), 120);
  assert.equal(clock.heldFrames, 3);
  clock.stop();
  assert.equal(clock.dueFrame(), -1);

  const third = new PlayoutClock({ fps: 30, now: () => nowMs });
  third.start(0);
  for (const frame of [0, 1, 2, 29, 30, 1_000_001]) {
    nowMs = third.dueAtMs(frame);
    assert.equal(third.dueFrame(), frame, `frame ${frame} is due exactly at its time`);
  }
});

test('the speech gate ignores clicks and short pauses', () => {
  const gate = new SpeechGate({ startMs: 60, stopMs: 200 });
  const feed = (probability: number, blocks: number): string[] =>
    Array.from({ length: blocks }, () => gate.push(probability, 20)).filter((event) => event !== undefined);
  assert.deepEqual(feed(0.9, 2), [], 'a click');
  assert.deepEqual(feed(0.1, 20), []);
  assert.deepEqual(feed(0.9, 3), ['start']);
  assert.deepEqual(feed(0.1, 9), [], 'a gap between words');
  assert.deepEqual(feed(0.9, 1), []);
  assert.deepEqual(feed(0.4, 50), [], 'between the thresholds nothing changes');
  assert.deepEqual(feed(0.1, 10), ['stop']);
  assert.deepEqual(feed(0.4, 50), []);
  assert.equal(gate.speaking, false);
  assert.throws(() => new SpeechGate({ startThreshold: 0.2 }), RangeError);
});

test('I420 frames: black, conversion of known colours, mean luma of a box', () => {
  assert.equal(i420Bytes(256, 256), 98_304);
  assert.throws(() => i420Bytes(3, 2), RangeError);
  assert.deepEqual([...i420ToRgba(blackI420(2, 2), 2, 2)].slice(0, 4), [0, 0, 0, 255]);
  const colour = (y: number, u: number, v: number): number[] => [
    ...i420ToRgba(Uint8Array.of(y, y, y, y, u, v), 2, 2).subarray(0, 3),
  ];
  assert.deepEqual(colour(235, 128, 128), [255, 255, 255]);
  assert.deepEqual(colour(81, 90, 240), [254, 0, 0], 'BT.601 red');
  assert.deepEqual(colour(145, 54, 34), [0, 255, 1], 'BT.601 green');
  const frame = blackI420(4, 2);
  frame[5] = 216;
  assert.equal(meanLuma(frame, 4, 2, { x: 1, y: 1, width: 1, height: 1 }), 216);
  assert.equal(meanLuma(frame, 4, 2, { x: 0, y: 0, width: 99, height: 99 }), 16 + 200 / 8);
  assert.throws(() => meanLuma(frame, 2, 2, { x: 0, y: 0, width: 1, height: 1 }), RangeError);
});
