import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { encodeWav } from '@talkmesh/media';
import { joinPcm } from '../pcm.js';
import { WavStream } from './wav-stream.js';

const pcm = Int16Array.from({ length: 1000 }, (_, i) => i * 17 - 5000);

test('the samples do not depend on how the bytes are divided', () => {
  const bytes = encodeWav(pcm, 22_050);
  for (const size of [1, 3, 7, 44, 45, 1000, 5000]) {
    const stream = new WavStream();
    const parts: Int16Array[] = [];
    for (let at = 0; at < bytes.length; at += size) parts.push(stream.push(bytes.slice(at, at + size)));
    assert.deepEqual(joinPcm(parts), pcm, `cut into ${size}`);
    assert.equal(stream.rateHz, 22_050);
  }
});

test('other formats, text and overlong headers are refused', () => {
  const stereo = encodeWav(pcm, 22_050);
  stereo[22] = 2;
  const endless = encodeWav(pcm, 22_050);
  endless.set([0x4c, 0x49, 0x53, 0x54, 0xff, 0xff, 0xff, 0x7f], 12);
  for (const bytes of [stereo, endless, new TextEncoder().encode('this is not a wav file')])
    assert.throws(
      () => new WavStream().push(bytes),
      (error) => error instanceof MeshError && error.reason === 'AUDIO_FORMAT_INVALID',
    );
});
