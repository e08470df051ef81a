import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DelayCounters, pictureDelayMs, pictureTargetMs, soundDelayMs } from './lip-sync.js';

const none: DelayCounters = { bufferedS: 0, bufferedSamples: 0, playoutS: 0, playoutSamples: 0 };

test('the delay of the sound is that of the samples between two reports: packet, jitter buffer and playout', () => {
  const before = { bufferedS: 4800, bufferedSamples: 48_000, playoutS: 1440, playoutSamples: 48_000 };
  const after = { bufferedS: 4800 + 2400, bufferedSamples: 72_000, playoutS: 1440 + 720, playoutSamples: 72_000 };
  assert.equal(Math.round(soundDelayMs(before, after) ?? 0), 140);
  assert.equal(soundDelayMs(after, after), undefined, 'no sample was played');
});

test('without a report of playout the jitter buffer counts alone', () => {
  const after = { ...none, bufferedS: 1920, bufferedSamples: 24_000 };
  assert.equal(soundDelayMs(none, after), 90);
});

test('the delay of the picture is the median of its frames', () => {
  assert.equal(pictureDelayMs([30, 500, 20]), 30);
  assert.equal(pictureDelayMs([]), undefined);
});

test('the picture is asked to be as late as the sound, and small changes are left', () => {
  assert.equal(pictureTargetMs(120, undefined), 130);
  assert.equal(pictureTargetMs(125, 130), 130);
  assert.equal(pictureTargetMs(200, 130), 210);
  assert.equal(pictureTargetMs(60, 210), 70);
  assert.equal(pictureTargetMs(60_000, 130), 1000);
});
