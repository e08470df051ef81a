import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { ChannelMixer, mixDown } from './channel-mixer.js';
import { rms } from './pcm.js';

const tone = (samples: number, amplitude = 0.3): Float32Array =>
  Float32Array.from({ length: samples }, (_, i) => amplitude * Math.sin(i / 9) * Math.max(0, Math.sin(i / 2500)));
const inverted = (samples: Float32Array): Float32Array => samples.map((sample) => -sample);
const interleave = (left: Float32Array, right: Float32Array): Int16Array =>
  Int16Array.from({ length: 2 * left.length }, (_, i) => ((i % 2 ? right : left)[i >> 1] ?? 0) * 32_767);

test('channels are averaged', () => {
  assert.deepEqual(mixDown([Float32Array.of(1, 0), Float32Array.of(0, -1)]), Float32Array.of(0.5, -0.5));
  assert.deepEqual(mixDown([Float32Array.of(1, 0.5)]), Float32Array.of(1, 0.5));
  const mixer = new ChannelMixer();
  assert.deepEqual([...mixer.pushInterleaved(Int16Array.of(100, 300, -32768, -32768, 1, 2), 2)], [200, -32768, 2]);
  const mono = Int16Array.of(1, 2);
  assert.equal(mixer.pushInterleaved(mono, 1), mono);
  assert.deepEqual(mixDown([]), new Float32Array(0));
  assert.throws(() => mixDown([new Float32Array(2), new Float32Array(1)]), MeshError);
});

test('one silent channel and unrelated channels are averaged as before', () => {
  const left = tone(24_000);
  const noise = Float32Array.from({ length: 24_000 }, (_, i) => 0.2 * Math.sin(i * i));
  for (const right of [new Float32Array(24_000), noise, left])
    assert.deepEqual(
      mixDown([left, right]),
      left.map((sample, i) => (sample + (right[i] ?? 0)) / 2),
    );
});

test('channels of opposite phase are heard: one of them is taken', () => {
  const left = tone(48_000);
  assert.deepEqual(mixDown([left, inverted(left)]), left);
  const nearly = inverted(left).map((sample) => 0.8 * sample);
  assert.deepEqual(mixDown([nearly, left]), left, 'the louder one');
});

test('in a stream the change comes soon and without a click, whatever the size of messages', () => {
  const left = tone(48_000);
  const right = Float32Array.from(left, (sample, i) => (i < 24_000 ? sample : -sample));
  for (const frames of [160, 480, 4800]) {
    const mixer = new ChannelMixer();
    const mixed: number[] = [];
    for (let at = 0; at < left.length; at += frames) {
      const block = interleave(left.subarray(at, at + frames), right.subarray(at, at + frames));
      mixed.push(...mixer.pushInterleaved(block, 2));
    }
    assert.equal(mixed.length, left.length);
    const loud = rms(Int16Array.from(mixed.slice(24_000 + 9600)));
    assert.ok(loud > 0.9 * rms(left.subarray(24_000 + 9600)), `${frames}: ${loud}`);
    const steps = mixed.slice(1).map((sample, i) => Math.abs(sample - (mixed[i] ?? 0)));
    assert.ok(Math.max(...steps) < 32_767 * 0.3 * 0.2, `${frames}: a step of ${Math.max(...steps)}`);
  }
});
