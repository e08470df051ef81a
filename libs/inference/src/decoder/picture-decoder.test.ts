import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Executor } from '../executor/executor.js';
import { createOrtExecutor } from '../executor/ort-executor.js';
import { type GraphModel, loadGraphModel } from '../model/model.js';
import { NoiseSource } from '../score/noise.js';
import { createFixtureModel, type FixtureModel } from '../testing/index.js';
import { PictureDecoderEngine, type PictureDecoderSession } from './picture-decoder.js';

let fixture: FixtureModel;
let model: GraphModel;
let executor: Executor;
let engine: PictureDecoderEngine;

before(async () => {
  fixture = await createFixtureModel();
  model = await loadGraphModel(fixture.folder);
  executor = createOrtExecutor({ threads: 1 });
  engine = await PictureDecoderEngine.load(model, executor);
});
after(async () => {
  for (const part of [engine, executor, fixture]) await part?.[Symbol.asyncDispose]();
});

const open = (avatar = 'ada', keepChunks = 4): Promise<PictureDecoderSession> =>
  engine.openSession({ avatar, keepChunks });
const latents = (chunk: number): Float32Array => new NoiseSource(99).noise(chunk, 0, model.geometry.latentValues);

async function show(session: PictureDecoderSession, ...chunks: readonly number[]): Promise<string[]> {
  const decodedChunks: string[] = [];
  for (const chunk of chunks) {
    const decoded = await session.decode(chunk, latents(chunk));
    assert.equal(decoded?.frames.length, 12);
    assert.ok(decoded?.frames.every((frame) => frame.length === (64 * 64 * 3) / 2));
    decodedChunks.push(Buffer.concat(decoded?.frames ?? []).toString('base64'));
  }
  return decodedChunks;
}

test('frames depend on the latents, the avatar and the previous chunk', async () => {
  const [ada, bo, later] = [await open(), await open('bo'), await open()];
  const expected = await show(ada, 0, 1, 2);
  assert.equal(new Set(expected).size, 3);
  assert.notDeepEqual(await show(bo, 0), expected.slice(0, 1));
  const decoded = await later.decode(2, latents(2));
  assert.equal(decoded?.missing, 2, 'two chunks are missing before this one');
  assert.notEqual(
    Buffer.concat(decoded?.frames ?? []).toString('base64'),
    expected[2],
    'the chunk was decoded from another state',
  );
  for (const session of [ada, bo, later]) session.dispose();
});

test('after a rollback frames equal those of a session without the rolled-back chunks', async () => {
  const [straight, flushed] = [await open(), await open()];
  const expected = await show(straight, 0, 1, 2, 3);
  await show(flushed, 0, 1);
  await flushed.decode(2, latents(70));
  const doomed = flushed.decode(3, latents(71));
  flushed.rollback(2);
  assert.equal(await doomed, undefined);
  assert.deepEqual(await show(flushed, 2, 3), expected.slice(2));
  flushed.rollback(0);
  assert.deepEqual(await show(flushed, 0), expected.slice(0, 1));
  straight.dispose();
  flushed.dispose();
});

test('a wrong number of latents is an error', async () => {
  const session = await open();
  await assert.rejects(session.decode(0, new Float32Array(5)), { reason: 'MESSAGE_MALFORMED' });
  session.dispose();
});

test('the state has a constant size and is freed completely, also during a chunk', async () => {
  const idle = await executor.stats();
  const session = await open('ada', 2);
  await show(session, 0, 1, 2, 3, 4);
  assert.equal(engine.stateBytes().state, 3 * 32 * 4, 'the initial state and those of two chunks');
  assert.ok(engine.stateBytes().reference > 0);
  const unfinished = session.decode(5, latents(5));
  session.dispose();
  assert.equal(await unfinished, undefined);
  assert.deepEqual(engine.stateBytes(), { state: 0, reference: 0 });
  const end = await executor.stats();
  assert.deepEqual([end.handles, end.bytes], [idle.handles, idle.bytes]);
});
