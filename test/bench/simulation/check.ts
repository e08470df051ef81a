/**
 * The simulation against real services: score-model and vae-decode as processes, a real NATS, and calls whose viewers play in
 * real time. Chunks cost time by waiting, not by work, so that what is compared is the queueing and not this machine's other
 * load.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { newSessionId } from '@talkmesh/contracts';
import { loadModel } from '@talkmesh/inference';
import { createFixtureModel } from '@talkmesh/inference/testing';
import { ServiceProcess, startNatsServer } from '@talkmesh/service-kit/testing';
import { Peers } from '../../../services/vae-decode/src/testing/index.js';
import { PlayingViewer, type Seen } from '../../support/playing-viewer.js';
import { seededRandom } from '../../support/seeded-random.js';
import { mean, median, percentile } from '../../support/statistics.js';
import type { Row } from '../table.js';
import { drawTimes, simulateQueues } from './queues.js';

const STEP_MS = 55;
const SECONDS = 24;
const MOST = 4;
const DOWNSTREAM = { score: 80, decode: 20 } as const;
const CHUNK_MS = 480;

/** One row a number of calls: what was measured, and what the simulation says from the times of single chunks. */
export async function checkSimulation(most = MOST): Promise<Row[]> {
  const slow = fileURLToPath(new URL('../../support/slow-score.cjs', import.meta.url));
  await using nats = await startNatsServer();
  await using fixture = await createFixtureModel();
  const model = await loadModel(fixture.folder);
  const door = { TALKMESH_CAPACITY: '64', TALKMESH_UTILISATION_MAX: '10' };
  const common = { ...door, TALKMESH_NATS_URL: nats.url, TALKMESH_MODEL: fixture.folder };
  const slowly = { NODE_OPTIONS: `--require=${slow}`, SLOW_SCORE_MS: String(STEP_MS) };
  await using score = new ServiceProcess(mainOf('score-model'), { ...common, ...slowly });
  await using decode = new ServiceProcess(mainOf('vae-decode'), common);
  await Promise.all([score.ready(), decode.ready()]);
  await using peers = await Peers.connect(nats.url);
  const rows: Row[] = [];
  for (let calls = 1; calls <= most; calls++) {
    const seen: Seen = { latenciesMs: [], late: 0, degraded: 0, toleranceMs: 0 };
    const viewers = Array.from({ length: calls }, () => new PlayingViewer(peers, newSessionId(), seen));
    for (const [i, viewer] of viewers.entries()) {
      viewer.listen();
      await peers.egress.bus.flush();
      await decode.call('open', { sessionId: viewer.sessionId, decode: { avatar: 'ada' } });
      await score.call('open', { sessionId: viewer.sessionId, score: { avatar: 'ada', seed: i, unpaced: false } });
    }
    const untilMs = performance.now() + SECONDS * 1000;
    await Promise.all(
      viewers.map(async (viewer, i) => {
        await sleep((i * CHUNK_MS) / calls);
        await viewer.watch(untilMs);
      }),
    );
    const [scored, decoded] = [await singleChunks(score), await singleChunks(decode)];
    for (const { sessionId } of viewers) {
      await score.call('close', { sessionId, reason: 'ended' });
      await decode.call('close', { sessionId, reason: 'ended' });
    }
    rows.push(compare(calls, seen, scored, decoded, model.manifest.score.schedule.length));
  }
  return rows;
}

interface Times {
  readonly p50Ms: number;
  readonly p95Ms: number;
}

const mainOf = (service: string): URL => new URL(`../../../services/${service}/src/main.ts`, import.meta.url);

/** Medians over the sessions of what whole chunks took, without waiting. */
async function singleChunks(worker: ServiceProcess): Promise<Times> {
  const { sessions } = await worker.call<{ sessions: Times[] }>('stats');
  return { p50Ms: median(sessions.map(({ p50Ms }) => p50Ms)), p95Ms: median(sessions.map(({ p95Ms }) => p95Ms)) };
}

function compare(calls: number, seen: Seen, score: Times, decode: Times, steps: number): Row {
  const random = seededRandom(calls);
  const said = simulateQueues({
    sessions: calls,
    chunkMs: CHUNK_MS,
    steps,
    scoreMs: drawTimes(score.p50Ms, score.p95Ms, random),
    decodeMs: drawTimes(decode.p50Ms, decode.p95Ms, random),
    hopMs: drawTimes(0.5, 2, random),
    scoreDownstreamMs: DOWNSTREAM.score,
    decodeDownstreamMs: DOWNSTREAM.decode,
    seconds: 600,
    random,
  });
  const chunks = Math.max(1, seen.latenciesMs.length);
  return {
    calls,
    chunks,
    'score p50 ms': score.p50Ms,
    'decode p50 ms': decode.p50Ms,
    'measured mean ms': mean(seen.latenciesMs),
    'predicted mean ms': mean(said.latenciesMs),
    'measured p95 ms': percentile(seen.latenciesMs, 0.95),
    'predicted p95 ms': percentile(said.latenciesMs, 0.95),
    'measured late %': (100 * seen.late) / chunks,
    'predicted late %': 100 * said.lateShare,
    'measured degraded %': (100 * seen.degraded) / chunks,
    'predicted degraded %': 100 * said.degradedShare,
  };
}
