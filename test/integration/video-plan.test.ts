/**
 * A LiveTalk of small sizes and random weights, served by a mesh whose score workers compute every chunk on four ranks: taken over by another
 * worker, and interrupted. Its latents are those of one device but for rounding.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { loadModel, type VideoModel } from '@talkmesh/inference';
import { createFixtureVideo, FIXTURE_VIDEO_AVATARS, type FixtureVideo } from '@talkmesh/inference/testing';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { rest } from '../support/record-call.js';
import { assertSameVideo } from '../support/same-video.js';
import { firstDifference } from '../support/seams.js';
import { readMetrics, total } from '../support/service-metrics.js';
import { concatenate, speak } from '../support/speech.js';
import { PATIENCE_MS, SpokenCall } from '../support/spoken-call.js';

const [AVATAR] = FIXTURE_VIDEO_AVATARS;
/** The sink is made with it, and a model in one process has one seed. */
const SEED = 0;
/** Ranks add float32 numbers in another order, and a level of a pixel can round to its neighbour. */
const ROUNDING = { latents: 1e-3, levels: 1 };
const speech = speak('One two three four five six seven eight nine ten, and no one who listens will ever know.');

let fixture: FixtureVideo;
let model: VideoModel;
let mesh: Mesh;
before(async () => {
  fixture = await createFixtureVideo('taehv');
  const loaded = await loadModel(fixture.folder);
  assert.ok(loaded.kind === 'video');
  model = loaded;
  const score = {
    ...{ TALKMESH_SEQUENCE_RANKS: '2', TALKMESH_STEP_RANKS: '2' },
    // A busy machine may not replay all that the state depends on within the usual budget, and then the frames differ.
    TALKMESH_REPLAY_BUDGET_MS: '60000',
  };
  const options = { replicas: { 'score-model': 2 }, restartMs: [200], env: { 'score-model': score } };
  mesh = await startMesh({ quiet: true, model: fixture.folder, ...options });
});
after(async () => {
  await mesh?.stop();
  await fixture?.[Symbol.asyncDispose]();
});

test('four ranks are killed with their worker in the middle of speech: those of another worker continue, and an interrupt takes them back', {
  timeout: 240_000,
}, async (t) => {
  // So long that the first worker has not made all of it when it dies.
  const long = concatenate(speech, speech);
  await using spoken = await SpokenCall.start(mesh, long, { avatar: AVATAR, fps: model.manifest.fps, seed: SEED });
  const { call, tap } = spoken;
  await spoken.signal('score-model', 'SIGKILL');
  await until('the move', () => spoken.moves.length === 1, PATIENCE_MS);
  assert.deepEqual(spoken.moves, ['score-model died']);
  const interruptAt = (tap.playhead?.chunk ?? 0) + 2;
  await until('two more chunks', () => (tap.playhead?.chunk ?? 0) >= interruptAt, PATIENCE_MS);
  const answered = await rest(mesh, 'POST', `/v1/sessions/${call.sessionId}/interrupt`, {});
  assert.ok(answered.status < 300, JSON.stringify(answered));
  await until('the flush', () => tap.events.some((event) => event.type === 'flush'), PATIENCE_MS);
  const next = speak('And now something else.');
  call.say(next);
  await spoken.over(2);
  assert.equal(firstDifference(next, tap.heard(2)), undefined);
  assert.equal(new Set(tap.makers.values()).size, 2, 'two workers made the chunks');
  const { body } = await rest<{ placement: Record<string, string> }>(mesh, 'GET', `/v1/sessions/${call.sessionId}`);
  const metrics = await readMetrics(mesh, 'score-model', body.placement['score-model']);
  assert.ok(total(metrics, 'talkmesh_rank_pass_seconds_count') > 0, 'ranks ran');
  const { chunks, apart } = await assertSameVideo(tap, model, { avatar: AVATAR, seed: SEED }, ROUNDING);
  t.diagnostic(`${chunks} chunks; latents differ by ${apart.latents}, frames by ${apart.levels} levels`);
});
