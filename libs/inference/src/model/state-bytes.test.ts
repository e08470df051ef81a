import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PictureDecoderEngine } from '../decoder/picture-decoder.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { MatchedScoreEngine } from '../score/matched-engine.js';
import { createFixtureModel } from '../testing/index.js';
import { loadGraphModel } from './model.js';
import { decoderStateBytes, sessionStateBytes } from './state-bytes.js';

const KEEP = 3;

/** Measures what a session holds after more chunks than it keeps. */
async function measure(folder: string) {
  const model = await loadGraphModel(folder);
  await using executor = createOrtExecutor({ threads: 1 });
  await using score = await MatchedScoreEngine.load(model, executor);
  await using decoder = await PictureDecoderEngine.load(model, executor);
  const avatar = model.manifest.avatars[0]?.id ?? '';
  const speaking = await score.openSession({ avatar, seed: 1, keepChunks: KEEP });
  const showing = await decoder.openSession({ avatar, keepChunks: KEEP });
  for (let chunk = 0; chunk < KEEP + 2; chunk++) {
    const made = await speaking.generate(chunk, new Int16Array(model.geometry.samplesPerChunk));
    await showing.decode(chunk, made?.values ?? new Float32Array(0));
  }
  return { manifest: model.manifest, score: score.stateBytes(), decoder: decoder.stateBytes() };
}

async function check(folder: string): Promise<void> {
  const { manifest, score, decoder } = await measure(folder);
  const expected = sessionStateBytes(manifest, { keepChunks: KEEP });
  assert.deepEqual([score.kv, score.audio], [expected.kv, expected.audio]);
  assert.equal(expected.total, score.kv + score.audio);
  assert.equal(score.reference, expected.reference);
  const shown = decoderStateBytes(manifest, { keepChunks: KEEP });
  assert.deepEqual([decoder.state, decoder.reference], [shown.total, shown.reference]);
}

test('the computed state size equals the measured one: nano', () =>
  check(fileURLToPath(new URL('../../../../models/nano', import.meta.url))));

test('the computed state size equals the measured one: other sizes', async () => {
  await using fixture = await createFixtureModel({ latentFrames: 7, schedule: [1, 0.7, 0.4], layers: 3, dim: 24 });
  await check(fixture.folder);
});

test('with all-gather every rank keeps all tokens, with Ulysses each rank keeps its own heads', async () => {
  await using fixture = await createFixtureModel();
  const { manifest } = await loadGraphModel(fixture.folder);
  const kv = (exchange: 'all-gather' | 'ulysses', sequence: number): number =>
    sessionStateBytes(manifest, { keepChunks: 2, plan: { exchange, sequence, steps: 2 } }).kv;
  assert.equal(kv('all-gather', 2), 2 * kv('all-gather', 1));
  assert.equal(kv('ulysses', 2), kv('ulysses', 1));
});
