/** A mesh with chunks of 7 latent frames (1.12 s) of a model whose own have 3: calls, deaths of workers, and services that were started with different lengths. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadGraphModel } from '@talkmesh/inference';
import { createFixtureModel } from '@talkmesh/inference/testing';
import { until } from '@talkmesh/service-kit/testing';
import { startMesh } from '../../deploy/local/src/mesh.js';
import { rest } from '../support/record-call.js';
import { assertSameTalk } from '../support/same-talk.js';
import { firstDifference } from '../support/seams.js';
import { concatenate, speak } from '../support/speech.js';
import { PATIENCE_MS, SpokenCall } from '../support/spoken-call.js';

const SEVEN = { TALKMESH_CHUNK_LATENT_FRAMES: '7' };
const SEED = 11;
const phrase = speak('One two three four five six seven eight nine ten, and no one who listens will ever know.');
/** So long that the first worker has not made all of it when it dies. */
const speech = concatenate(phrase, phrase, phrase);

interface Offer {
  readonly quality: { readonly choices: readonly { readonly size: string }[] };
}

interface Case {
  readonly folder: string;
  readonly avatars: readonly string[];
}

/** The fixture has random weights; the model that ships speaks with a drawn avatar and a rendered person. */
const cases = (fixture: string): readonly Case[] => [
  { folder: fixture, avatars: ['ada'] },
  { folder: 'models/nano', avatars: ['mia', 'george'] },
];

test('a call of 7x2 goes on when score and decoder die in the middle of speech, with the frames of one process', {
  timeout: 600_000,
}, async (t) => {
  await using fixture = await createFixtureModel({ chunkLengths: [7] });
  for (const { folder, avatars } of cases(fixture.folder)) {
    const model = await loadGraphModel(folder, { chunkLatentFrames: 7 });
    // A busy machine may not replay all that the state depends on within the usual budget, and then the frames differ.
    const worker = { ...SEVEN, TALKMESH_REPLAY_BUDGET_MS: '60000' };
    const env = { 'score-model': worker, 'vae-decode': worker, gateway: SEVEN };
    const replicas = { 'score-model': 2, 'vae-decode': 2 };
    const mesh = await startMesh({ quiet: true, model: folder, replicas, restartMs: [200], env });
    try {
      const { quality } = (await rest<Offer>(mesh, 'GET', '/v1/providers')).body;
      assert.equal(quality.choices[0]?.size, '7x2');
      for (const avatar of avatars)
        for (const service of ['score-model', 'vae-decode'] as const) {
          await using spoken = await SpokenCall.start(mesh, speech, { avatar, fps: model.manifest.fps, seed: SEED });
          await spoken.signal(service, 'SIGKILL');
          await until('the move', () => spoken.moves.length === 1, PATIENCE_MS);
          await spoken.over();
          assert.deepEqual([spoken.moves, spoken.finished], [[`${service} died`], [[1, false]]]);
          assert.equal(firstDifference(speech, spoken.tap.heard(1)), undefined);
          const by =
            service === 'score-model' ? spoken.tap.makers.values() : spoken.tap.inOrder().map((seen) => seen.by);
          assert.equal(new Set(by).size, 2, 'both workers made chunks of the call');
          const same = await assertSameTalk(spoken.tap, model, { avatar, seed: SEED });
          assert.ok(same.frames > 2 * model.geometry.framesPerChunk, `${same.frames} frames were compared`);
          t.diagnostic(
            `${model.label}, ${avatar}, ${service}: ${same.chunks} chunks, ${same.frames} frames are the same`,
          );
        }
    } finally {
      await mesh.stop();
    }
  }
});

test('services that were started with different lengths of a chunk do not work together, and say why', {
  timeout: 120_000,
}, async () => {
  await using fixture = await createFixtureModel({ chunkLengths: [7] });
  const env = { 'vae-decode': SEVEN };
  await assert.rejects(startMesh({ quiet: true, model: fixture.folder, env }), {
    reason: 'NO_WORKER',
    message:
      'the gateway did not find vae-decode; none is ready for fixture@1.0.0, while others run fixture@1.0.0+chunk7: give all services the same TALKMESH_MODEL and TALKMESH_CHUNK_LATENT_FRAMES',
  });
});

test('a length that the model does not do stops a service at once, with those that it does', {
  timeout: 120_000,
}, async () => {
  await using fixture = await createFixtureModel({ chunkLengths: [7] });
  const said: string[] = [];
  const env = { 'score-model': { TALKMESH_CHUNK_LATENT_FRAMES: '5' } };
  await assert.rejects(
    startMesh({ say: (line) => void said.push(line), model: fixture.folder, env }),
    (error: Error) => {
      assert.match(
        `${error.message} ${said.join(' ')}`,
        /fixture has no chunks of 5 latent frames; set TALKMESH_CHUNK_LATENT_FRAMES to 3 or 7/,
      );
      return true;
    },
  );
});
