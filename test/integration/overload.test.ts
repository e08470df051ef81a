/** Three times as many calls as fit: admitted calls stay in real time, the others are refused at once. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LADDER_DEFAULTS } from '@talkmesh/chunk-worker';
import { createFixtureModel, type FixtureModel } from '@talkmesh/inference/testing';
import { type NatsServer, startNatsServer } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { Peers } from '../../services/vae-decode/src/testing/index.js';
import { PlayingViewer, type Seen } from '../support/playing-viewer.js';
import { rest } from '../support/record-call.js';
import { readMetrics, total } from '../support/service-metrics.js';
import { median } from '../support/statistics.js';

/** Two steps of 40 ms and what the rest costs: about three calls fit. The steps wait instead of computing, so the machine stays free. */
const SLOW_SCORE_MS = '40';
const SECONDS = 20;
const MOST_CALLS = 8;
const LEAD_CHUNKS = 2;
const CHUNK_MS = 480;
const WANTED = { avatar: 'ada', provider: 'external', output: 'webrtc', seed: 1 };

let nats: NatsServer;
let model: FixtureModel;
let mesh: Mesh;
let peers: Peers;
before(async () => {
  // The test plays the viewers, so it is on the same NATS as the mesh.
  nats = await startNatsServer();
  process.env['TALKMESH_NATS_URL'] = nats.url;
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
      // The viewers of this test are not WebRTC peers of the egress: they play from NATS.
      'webrtc-egress': { ...roomy, TALKMESH_VIEWER_CONNECT_TIMEOUT_MS: '3600000' },
      'score-model': { ...roomy, SLOW_SCORE_MS, NODE_OPTIONS: preload },
    },
  });
  peers = await Peers.connect(nats.url);
});
after(async () => {
  await peers?.[Symbol.asyncDispose]();
  await mesh?.stop();
  await model?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

interface Answer {
  readonly status: number;
  readonly tookMs: number;
  readonly body: {
    readonly session?: { readonly id: string };
    readonly reason?: string;
    readonly detail?: string;
    readonly retryAfterMs?: number;
  };
}

async function ask(): Promise<Answer> {
  const startMs = performance.now();
  const answer = await rest<Answer['body']>(mesh, 'POST', '/v1/sessions', WANTED);
  return { ...answer, tookMs: performance.now() - startMs };
}

function assertRefused({ status, body }: Answer): void {
  assert.equal(status, 429, JSON.stringify(body));
  assert.equal(body.reason, 'SESSION_LIMIT');
  assert.match(body.detail ?? '', /score-model.*sessions at .* ms a chunk.*TALKMESH_UTILISATION_MAX/);
  assert.ok((body.retryAfterMs ?? 0) > 0);
}

/** A chunk counts as on time within two frames of its deadline, because services generate it that late rather than hold it. */
test('at three times the capacity admitted calls meet their deadlines, and the others are refused at once with a reason', {
  timeout: 180_000,
}, async (context) => {
  const seen: Seen = { latenciesMs: [], late: 0, degraded: 0, toleranceMs: LADDER_DEFAULTS.toleranceMs };
  const viewers: PlayingViewer[] = [];
  const refusals: Answer[] = [];
  while (refusals.length < 2 * Math.max(1, viewers.length)) {
    const answer = await ask();
    if (answer.body.session === undefined) refusals.push(answer);
    else viewers.push(new PlayingViewer(peers, answer.body.session.id, seen, LEAD_CHUNKS));
    assert.ok(viewers.length < MOST_CALLS, 'calls of over 80 ms a chunk cannot be that many');
  }
  assert.ok(viewers.length >= 2, `${viewers.length} calls were admitted`);
  for (const refusal of refusals) assertRefused(refusal);
  const score = await readMetrics(mesh, 'score-model');
  assert.ok(total(score, 'talkmesh_admission_refusals_total', 'utilisation') >= refusals.length);
  assert.ok(total(score, 'talkmesh_expected_utilisation_ratio') <= 1);

  for (const viewer of viewers) viewer.listen();
  await peers.egress.bus.flush();
  const admitted = viewers.length;
  const endMs = performance.now() + SECONDS * 1000;
  // People do not begin to speak all at the same moment.
  const playing = viewers.map(async (viewer, i) => {
    await sleep((i * CHUNK_MS) / viewers.length);
    await viewer.watch(endMs, 2 + 4 * (i % 4));
  });
  while (performance.now() < endMs) {
    const answer = await ask();
    if (answer.body.session === undefined) {
      assertRefused(answer);
      refusals.push(answer);
    } else {
      // Chunks may cost less than the first ones did; then one more call fits and must be in time as well.
      const late = new PlayingViewer(peers, answer.body.session.id, seen, LEAD_CHUNKS);
      viewers.push(late);
      assert.ok(viewers.length < MOST_CALLS, 'calls of over 80 ms a chunk cannot be that many');
      late.listen();
      await peers.egress.bus.flush();
      playing.push(late.watch(endMs, 2));
    }
    await sleep(2000);
  }
  await Promise.all(playing);
  const chunks = seen.latenciesMs.length;
  const tookMs = refusals.map((refusal) => refusal.tookMs);
  context.diagnostic(
    `${viewers.length} admitted; ${refusals.length} refused in ${median(tookMs).toFixed(0)} ms, at most ${Math.max(...tookMs).toFixed(0)} ms; ` +
      `${chunks} chunks, ${seen.late} late, ${seen.degraded} degraded`,
  );
  assert.ok(median(tookMs) < 1000, `a refusal took ${median(tookMs)} ms`);
  // Of 2.08 a second: on a busy machine calls begin later.
  assert.ok(chunks >= admitted * SECONDS * 1.6, `${chunks} chunks`);
  assert.ok(seen.late <= 0.01 * chunks, `${seen.late} of ${chunks} chunks were late`);
});
