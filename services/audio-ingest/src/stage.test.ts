import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AudioMessage } from '@talkmesh/contracts';
import { MicStage, mixInterleaved } from './stage.js';
import { goertzel, sine } from './testing/tones.js';

const SID = '0'.repeat(20);
const joined = (messages: readonly AudioMessage[]) => Int16Array.from(messages.flatMap((message) => [...message.pcm]));

function assertUnbroken(messages: readonly AudioMessage[]): void {
  let samples = 0;
  messages.forEach((message, i) => {
    assert.equal(message.sequence, i);
    assert.equal(message.mediaTimeUs, Math.round((samples * 1e6) / 24_000));
    samples += message.pcm.length;
  });
}

test('sound becomes messages of 20 ms at 24 kHz, whatever the block size', () => {
  const stage = new MicStage(SID);
  const messages: AudioMessage[] = [];
  for (let i = 0; i < 100; i++) messages.push(...stage.push(sine(48_000, 480, 440, i * 480), 48_000));
  assert.ok(messages.length >= 48 && messages.length <= 50);
  assert.ok(
    messages.every(({ pcm, sampleRateHz, endOfTurn }) => pcm.length === 480 && sampleRateHz === 24_000 && !endOfTurn),
  );
  assertUnbroken(messages);
  const sound = joined(messages).subarray(480);
  assert.ok(goertzel(sound, 24_000, 440) > 0.95);
});

test('a change of the rate in the middle loses and adds nothing', () => {
  const stage = new MicStage(SID);
  const messages: AudioMessage[] = [];
  for (let i = 0; i < 4; i++) messages.push(...stage.push(sine(16_000, 160, 300, i * 160), 16_000));
  const offset = 0.04 * 48_000;
  for (let i = 0; i < 196; i++) messages.push(...stage.push(sine(48_000, 480, 300, offset + i * 480), 48_000));
  messages.push(...stage.endTurn());
  assertUnbroken(messages);
  const sound = joined(messages);
  assert.equal(sound.length, 2 * 24_000);
  assert.ok(goertzel(sound, 24_000, 300) > 0.97, 'one tone, in phase across the change');
});

test('a hand-over brings the rest, and the next worker counts above', () => {
  const stage = new MicStage(SID);
  const all = [...stage.push(new Int16Array(1000).fill(9), 24_000), ...stage.handOver()];
  assert.deepEqual(
    all.map(({ pcm, endOfTurn }) => [pcm.length, endOfTurn]),
    [480, 480, 40].map((samples) => [samples, false]),
  );
  assert.deepEqual(stage.handOver(), []);
  const next = new MicStage(SID, 70_000);
  const [first] = next.push(new Int16Array(480), 24_000);
  assert.equal(first?.sequence, 70_000);
  assert.equal(next.messages, 1);
});

test('the end of a turn brings the rest, marked; the count goes on in the next', () => {
  const stage = new MicStage(SID);
  const first = [...stage.push(new Int16Array(1000).fill(9), 24_000), ...stage.endTurn()];
  assert.deepEqual(
    first.map(({ pcm, endOfTurn }) => [pcm.length, endOfTurn]),
    [
      [480, false],
      [480, false],
      [40, true],
    ],
  );
  const second = [...stage.push(new Int16Array(480), 24_000), ...stage.endTurn()];
  assert.deepEqual(
    second.map(({ sequence, pcm }) => [sequence, pcm.length]),
    [
      [3, 480],
      [4, 0],
    ],
  );
  assertUnbroken([...first, ...second]);
});

test('a pause of the source keeps what does not fill a message for the next source', () => {
  const stage = new MicStage(SID);
  stage.push(new Int16Array(300).fill(1), 24_000);
  assert.deepEqual(stage.pause(), []);
  const [message] = stage.push(new Int16Array(180).fill(2), 24_000);
  assert.deepEqual([message?.pcm[299], message?.pcm[300]], [1, 2]);
});

test('stereo is averaged', () => {
  assert.deepEqual([...mixInterleaved(Int16Array.of(100, 300, -32768, -32768, 1, 2), 2)], [200, -32768, 2]);
  const mono = Int16Array.of(1, 2);
  assert.equal(mixInterleaved(mono, 1), mono);
});
