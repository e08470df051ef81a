import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chunkLatentFrames, chunkLengths, withChunkLength } from './chunk-lengths.js';
import { chunkGeometry, type GraphManifest, graphManifest, type VideoManifest } from './manifest.js';

const own = {
  name: 'small',
  version: '1.0.0',
  fps: 25,
  chunk: { latentFrames: 3, temporalCompression: 4 },
  latent: { channels: 2, height: 2, width: 2 },
  audio: { sampleRateHz: 24_000 },
  graphs: { audio: 'a.onnx', reference: 'r.onnx', decoder: 'd.onnx', decoderInt8: 'd8.onnx' },
  chunkLengths: [{ latentFrames: 7, graphs: { reference: 'r7.onnx', decoder: 'd7.onnx' } }],
} as unknown as GraphManifest;

test("a model's own length of a chunk leaves its manifest as it is", () => {
  for (const length of [0, 3]) assert.equal(withChunkLength(own, length), own);
  assert.deepEqual(chunkLengths(own), [3, 7]);
});

test('another length has graphs of its own, and a version of its own, which keeps services of different lengths apart', () => {
  const longer = withChunkLength(own, 7);
  assert.deepEqual(longer.graphs, { audio: 'a.onnx', reference: 'r7.onnx', decoder: 'd7.onnx' });
  assert.equal(longer.version, '1.0.0+chunk7');
  assert.equal(withChunkLength({ ...own, version: '1.0.0+abc' }, 7).version, '1.0.0+abc.chunk7');
  const { chunkMs, framesPerChunk, samplesPerChunk } = chunkGeometry(longer);
  assert.deepEqual([chunkMs, framesPerChunk, samplesPerChunk], [1120, 28, 26_880]);
});

test('a length that a model does not do is refused with those that it does', () => {
  assert.throws(() => withChunkLength(own, 5), {
    reason: 'CONFIG_INVALID',
    message: 'small has no chunks of 5 latent frames; set TALKMESH_CHUNK_LATENT_FRAMES to 3 or 7',
  });
  const video = { name: 'large', chunk: { latentFrames: 3 } } as VideoManifest;
  assert.throws(() => withChunkLength(video, 7), { message: /large has no chunks of 7 .* to 3$/ });
  assert.ok(!graphManifest.shape.chunkLengths.safeParse([{ latentFrames: 7, graphs: { reference: 'r' } }]).success);
});

test('the setting is a whole number of latent frames, 0 when it is not set', () => {
  assert.equal(chunkLatentFrames.parse(undefined), 0);
  assert.equal(chunkLatentFrames.parse('7'), 7);
  for (const wrong of ['-1', '2.5', 'seven', '65']) assert.ok(!chunkLatentFrames.safeParse(wrong).success, wrong);
});
