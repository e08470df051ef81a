/**
 * A call outlives its workers: score and VAE processes die by kill -9 in the middle of speech, are drained, lose NATS; another
 * worker takes over, no speech is lost or spoken twice, and the video does not jump.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadModel } from '@talkmesh/inference';
import { type Mesh, modelFolder, startMesh } from '../../deploy/local/src/mesh.js';
import { nano } from '../support/nano.js';
import { assertSameFrames } from '../support/same-frames.js';
import { firstDifference, type Seam, seamsOf } from '../support/seams.js';
import { speak } from '../support/speech.js';
import { SpokenCall } from '../support/spoken-call.js';
import { median, percentile } from '../support/statistics.js';

const KILLS = Number(process.env['TALKMESH_TEST_KILLS'] ?? 6);
/** Longest gap without fresh frames, in frames of media time. */
const MAX_GAP_FRAMES = 1.5 * nano.fps;
/** On a loaded machine the bound is the time to first frame of a fresh call, times this factor. */
const MAX_GAP_OPENINGS = 1.5;
/** Largest difference at a seam, relative to that at the call's other borders of chunks. */
const MAX_SEAM = 2;

const speech = speak('One two three four five six seven eight nine ten, and no one who listens will ever know.');

let mesh: Mesh;
before(async () => {
  mesh = await startMesh({
    quiet: true,
    replicas: { 'score-model': 2, 'vae-decode': 2 },
    restartMs: [200],
    env: Object.fromEntries(
      (['score-model', 'vae-decode'] as const).map((name) => [name, { TALKMESH_DRAIN_DEADLINE_MS: '20000' }]),
    ),
  });
});
after(async () => {
  await mesh?.stop();
});

/** Calls that a failed test leaves open. */
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const spoken of open.splice(0)) await spoken[Symbol.asyncDispose]();
});

function assertSeams(seams: readonly Seam[], what: string): void {
  for (const { chunk, difference, usual } of seams)
    assert.ok(
      difference <= MAX_SEAM * usual,
      `${what}: the picture changes by ${difference.toFixed(2)} at chunk ${chunk}, usually by ${usual.toFixed(2)}`,
    );
}

test(`${KILLS} times kill -9, score and VAE in turn, in the middle of speech: every call continues`, {
  timeout: KILLS * 90_000,
}, async (t) => {
  const [gaps, openings]: [number[], number[]] = [[], []];
  for (let i = 0; i < KILLS; i++) {
    const service = i % 2 === 0 ? 'score-model' : 'vae-decode';
    const spoken = await SpokenCall.start(mesh, speech);
    open.push(spoken);
    const { call, tap } = spoken;
    await sleep(i * 40);
    const [before, killedAt] = [call.longestGapFrom(0), call.ticks];
    await spoken.signal(service, 'SIGKILL');
    await spoken.over();
    assert.deepEqual(spoken.finished, [[1, false]]);
    assert.equal(firstDifference(speech, tap.heard(1)), undefined);
    assert.deepEqual(spoken.moves, [`${service} died`]);
    const gap = call.longestGapFrom(killedAt);
    const seams = seamsOf(tap);
    assert.ok(seams.length >= 1, 'the seam was seen');
    const [worst] = [...seams].sort((a, b) => b.difference - a.difference);
    const { tookMs = 0 } = tap.events.find((event) => event.type === 'stage.moved') ?? {};
    t.diagnostic(
      `${service}: moved in ${tookMs} ms, longest gap ${gap} frames (${before} before), seam ${worst?.difference.toFixed(2)}, usually up to ${worst?.usual.toFixed(2)}`,
    );
    gaps.push(gap - before);
    openings.push(call.opening);
    assertSeams(seams, service);
    for (const done of open.splice(0)) await done[Symbol.asyncDispose]();
  }
  const [p95, opening] = [percentile(gaps, 0.95), median(openings)];
  t.diagnostic(
    `gaps in frames: p50 ${median(gaps)}, p95 ${p95}; a fresh call takes ${opening.toFixed(0)} frames to its first`,
  );
  const bound = Math.max(MAX_GAP_FRAMES, MAX_GAP_OPENINGS * opening);
  assert.ok(p95 <= bound, `p95 of the gaps is ${p95} frames, more than ${bound}: ${gaps.join(' ')}`);
});

// One avatar for each decoder: the graph, and the mesh that animates rendered people and photographs.
for (const avatar of ['mia', 'amina'])
  test(`kill -9 of the VAE process in speech at 512 x 512, ${avatar}: the frames are those without it`, {
    timeout: 90_000,
  }, async (t) => {
    const shown = { avatar, fps: nano.fps, seed: 1, size: 512 };
    const spoken = await SpokenCall.start(mesh, speech, shown);
    open.push(spoken);
    await spoken.signal('vae-decode', 'SIGKILL');
    await spoken.over();
    assert.deepEqual(spoken.moves, ['vae-decode died']);
    assert.equal(firstDifference(speech, spoken.tap.heard(1)), undefined);
    const { frames, workers } = await assertSameFrames(spoken.tap, await loadModel(modelFolder()), shown);
    t.diagnostic(`${frames} frames of 512 x 512 are equal, made by ${workers} workers`);
    assert.equal(workers, 2);
    assert.ok(frames > 2 * nano.fps, `${frames} frames`);
  });
