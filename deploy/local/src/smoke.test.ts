import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecordedFrame } from './render/gateway-client.js';
import { CallCheck, syllables } from './smoke.js';

const SAMPLES_PER_FRAME = 960;

interface Fault {
  /** Number of frames whose picture is that of the frame before. */
  readonly still?: number;
  /** Samples by which the sound is late. */
  readonly late?: number;
  readonly bytes?: number;
}

function check({ still = 0, late = 0, bytes = 24 }: Fault): number {
  const speech = syllables(1);
  const call = new CallCheck(speech);
  for (let index = 0; index < 25; index++) {
    const first = index * SAMPLES_PER_FRAME - late;
    const pcm = Int16Array.from({ length: SAMPLES_PER_FRAME }, (_, sample) => speech.pcm[first + sample] ?? 0);
    const i420 = new Uint8Array(bytes).fill(Math.max(index, still));
    call.take({ index, width: 4, height: 4, i420, pcm: new Uint8Array(pcm.buffer) } as unknown as RecordedFrame);
  }
  return call.finish();
}

test('a call with all of its pictures and sound is good', () => {
  assert.equal(check({}), 24);
  assert.equal(check({ still: 10 }), 14);
});

test('a picture that stands still, a late sound and an incomplete frame are found', () => {
  assert.throws(() => check({ still: 20 }), /the picture stands still: only 4 of 25 frames/);
  assert.throws(() => check({ late: 1 }), /the sound differs from what was sent after 0\.\d+ s/);
  assert.throws(() => check({ late: 24_000 }), /the sound differs/);
  assert.throws(() => check({ bytes: 23 }), /frame 0 has 23 bytes, which is not 4x4/);
});
