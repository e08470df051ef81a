import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rms } from './pcm.js';
import { Resampler } from './resampler.js';

const sine = (hz: number, rateHz: number, samples: number, amplitude = 0.5): Float32Array =>
  Float32Array.from({ length: samples }, (_, i) => amplitude * Math.sin((2 * Math.PI * hz * i) / rateHz));

function resample(input: Float32Array, fromHz: number, toHz: number, block = input.length): Float32Array {
  const resampler = new Resampler(fromHz, toHz);
  const parts: Float32Array[] = [];
  for (let at = 0; at < input.length; at += block) parts.push(resampler.push(input.subarray(at, at + block)));
  parts.push(resampler.flush());
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

/** Ignores the edges, where the sine is truncated. */
const middle = (samples: Float32Array): Float32Array =>
  samples.subarray(Math.floor(samples.length / 4), Math.floor((samples.length * 3) / 4));

const RATES = [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000];

test('the output length is exact and a tone keeps its phase and level, from every rate', () => {
  for (const fromHz of RATES) {
    const samples = fromHz + 7;
    const output = resample(sine(997, fromHz, samples), fromHz, 24_000);
    assert.equal(output.length, Math.round((samples * 24_000) / fromHz), `${fromHz} Hz`);
    const expected = middle(sine(997, 24_000, output.length));
    const difference = middle(output).map((sample, i) => sample - (expected[i] ?? 0));
    assert.ok(rms(difference) < 1e-4, `${fromHz} Hz: error ${rms(difference)}`);
  }
});

test('the output does not depend on block sizes', () => {
  const input = sine(440, 44_100, 5000);
  const whole = resample(input, 44_100, 24_000);
  for (const block of [1, 7, 441, 882])
    assert.deepEqual(resample(input, 44_100, 24_000, block), whole, `blocks of ${block}`);
});

test('frequencies above the lower Nyquist frequency are removed, not aliased', () => {
  const tone = middle(resample(sine(15_000, 48_000, 48_000), 48_000, 24_000));
  assert.ok(rms(tone) < 2e-5, `15 kHz leaves ${rms(tone)}`);
  const image = middle(resample(sine(1000, 8000, 8000), 8000, 24_000));
  const expected = middle(sine(1000, 24_000, 24_000));
  assert.ok(Math.abs(rms(image) - rms(expected)) < 1e-5);
});

test('a resampler can be reused after a flush, and equal rates pass samples through', () => {
  const resampler = new Resampler(16_000, 24_000);
  const once = (): number[] => [...resampler.push(sine(300, 16_000, 1600)), ...resampler.flush()];
  assert.deepEqual(once(), once());
  const same = new Resampler(24_000, 24_000);
  assert.deepEqual(same.push(Int16Array.of(16_384, -32_768)), Float32Array.of(0.5, -1));
  assert.equal(same.flush().length, 0);
  assert.throws(() => new Resampler(0, 24_000), RangeError);
  assert.throws(() => new Resampler(44_100.5, 24_000), RangeError);
});

test('silence stays silence and a constant keeps its value', () => {
  assert.ok(resample(new Float32Array(1000), 48_000, 24_000).every((sample) => sample === 0));
  const constant = middle(resample(new Float32Array(4000).fill(0.25), 22_050, 24_000));
  for (const sample of constant) assert.ok(Math.abs(sample - 0.25) < 1e-6);
});
