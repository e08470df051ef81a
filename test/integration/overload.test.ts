/** Three times as many calls as fit: those that are let in stay in real time, the others are told so at once. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createFixtureModel, type FixtureModel } from '@talkmesh/inference/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { rest } from '../support/record-call.js';
import { readMetrics, type Samples, total } from '../support/service-metrics.js';
import { speak } from '../support/speech.js';
import { median } from '../support/statistics.js';
import { sleep } from '../support/waiting.js';
import { type Refusal, tryWatchCall, type WatchCall } from '../support/watch-call.js';

/** Two steps of 40 ms and what the rest costs: about three calls fit. */
const SLOW_SCORE_MS = '40';
const SECONDS = 20;
const MOST_CALLS = 8;

let model: FixtureModel;
let mesh: Mesh;
before(async () => {
  model = await createFixtureModel();
  const roomy = { TALKMESH_CAPACITY: '64' };
  const preload = `--require=${fileURLToPath(new URL('../support/slow-score.cjs', import.meta.url))}`;
  mesh = await startMesh({
    quiet: true,
    model: model.folder,
    env: {
      'audio-ingest': roomy,
      'audio-llm-bridge': roomy,
      'vae-decode': roomy,
      'webrtc-egress': roomy,
      'score-model': { ...roomy, SLOW_SCORE_MS, NODE_OPTIONS: preload },
    },
  });
});
after(async () => {
  await mesh?.stop();
  await model?.[Symbol.asyncDispose]();
});

const isRefusal = (call: WatchCall | Refusal): call is Refusal => 'status' in call;
const outcome = (samples: Samples, name: string): number =>
  total(samples, 'talkmesh_chunks_total', `outcome="${name}"`);

async function ask(): Promise<{ call: WatchCall | Refusal; tookMs: number }> {
  const startMs = performance.now();
  const call = await tryWatchCall(mesh, 'ada');
  return { call, tookMs: performance.now() - startMs };
}

test('at three times the capacity admitted calls keep time, the others are refused clearly and at once', {
  timeout: 180_000,
}, async (context) => {
  const admitted: WatchCall[] = [];
  const refusals: { refusal: Refusal; tookMs: number }[] = [];
  try {
    while (refusals.length < 2 * Math.max(1, admitted.length)) {
      const { call, tookMs } = await ask();
      if (isRefusal(call)) refusals.push({ refusal: call, tookMs });
      else admitted.push(call);
      assert.ok(admitted.length < MOST_CALLS, 'calls of over 80 ms a chunk cannot be that many');
    }
    assert.ok(admitted.length >= 2, `${admitted.length} calls were let in`);
    for (const { refusal } of refusals) {
      assert.equal(refusal.status, 429, JSON.stringify(refusal.body));
      assert.equal(refusal.body.reason, 'SESSION_LIMIT');
      assert.match(refusal.body.detail ?? '', /score-model.*sessions at .* ms a chunk.*TALKMESH_UTILISATION_MAX/);
      assert.ok((refusal.body.retryAfterMs ?? 0) > 0);
    }
    const tookMs = median(refusals.map((each) => each.tookMs));
    assert.ok(tookMs < 1000, `a refusal took ${tookMs} ms`);
    const before = await readMetrics(mesh, 'score-model');
    assert.ok(total(before, 'talkmesh_admission_refusals_total', 'utilisation') >= refusals.length);
    assert.ok(total(before, 'talkmesh_expected_utilisation_ratio') <= 1);

    const words = speak('The admitted calls keep time, whatever comes to the door.');
    const heldBefore = await Promise.all(admitted.map((call) => played(call)));
    const decodedBefore = await readMetrics(mesh, 'vae-decode');
    const startMs = performance.now();
    const talks = admitted.map(async (call) => {
      while (performance.now() - startMs < SECONDS * 1000) {
        await call.say(words);
        await sleep(1000);
      }
    });
    while (performance.now() - startMs < SECONDS * 1000) {
      const { call } = await ask();
      assert.ok(isRefusal(call), 'the door stays closed');
      await sleep(2000);
    }
    const decoded = await readMetrics(mesh, 'vae-decode');
    const [chunks, late] = ['', 'late'].map((name) =>
      name === ''
        ? ['ok', 'late', 'held'].reduce((sum, each) => sum + outcome(decoded, each) - outcome(decodedBefore, each), 0)
        : outcome(decoded, name) - outcome(decodedBefore, name),
    ) as [number, number];
    const held = await Promise.all(admitted.map((call) => played(call)));
    const frames = held.reduce((sum, { itemsOut }, i) => sum + itemsOut - (heldBefore[i]?.itemsOut ?? 0), 0);
    const waits = held.reduce((sum, { late: now }, i) => sum + now - (heldBefore[i]?.late ?? 0), 0);
    const made = await readMetrics(mesh, 'score-model');
    context.diagnostic(
      `${admitted.length} admitted, ${refusals.length} refused in at most ${Math.max(...refusals.map(({ tookMs }) => tookMs)).toFixed(0)} ms, ` +
        `${chunks} chunks, ${late} late, ${frames} frames, ${waits} waited for, ` +
        `${total(made, 'talkmesh_degraded_chunks_total')} degraded at score, ${total(decoded, 'talkmesh_degraded_chunks_total')} held at the decoder`,
    );
    assert.ok(chunks >= admitted.length * SECONDS * 1.8, `${chunks} chunks`);
    assert.ok(late <= 0.01 * chunks, `${late} of ${chunks} chunks were late`);
    await Promise.all(talks);
  } finally {
    await Promise.all(admitted.map((call) => call[Symbol.asyncDispose]()));
  }
});

async function played(call: WatchCall): Promise<{ itemsOut: number; late: number }> {
  const answer = await rest<{ stages: Record<string, { itemsOut: number; late: number }> }>(
    mesh,
    'GET',
    `/v1/sessions/${call.sessionId}/stats`,
  );
  return answer.body.stages['webrtc-egress'] ?? { itemsOut: 0, late: 0 };
}
