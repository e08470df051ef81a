/**
 * `npm run monitoring-proof`: a real Prometheus scrapes a real mesh that calls load and an incident shakes; every query of the dashboards and
 * rules is executed and must return data, alerts fire, and a turn is read back from a real collector and Jaeger. Writes pictures of the
 * dashboards and of the turn. It is no part of `npm test`, because Go builds the trace store and the mesh needs minutes.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SERVICES } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../../deploy/local/src/mesh.js';
import { type ReceivedSpan, tracingEnv } from '../../support/otlp-receiver.js';
import { installTools } from '../../support/tools.js';
import { BOARDS, comparedIn, fillIn, ruleQueries } from '../queries.js';
import { answer, drawBoard } from './draw.js';
import { MAY_BE_EMPTY, reasonFor } from './empty-answers.js';
import { Load } from './load.js';
import { takePictures } from './pictures.js';
import { Prometheus, type Scraped, type Span } from './prometheus.js';
import { requireTraceStore, TraceStore } from './trace-store.js';
import { drawWaterfall } from './waterfall.js';

const RULES = 'deploy/helm/talkmesh/files/rules.json';
/** Scrapes that follow a phase before it is looked at, milliseconds. */
const SETTLE_MS = 6000;
const PATIENCE_MS = 60_000;
/** How often Prometheus is told where the processes are, milliseconds. */
const FOLLOW_MS = 1000;
/** Alerts that the incident must fire: those that wait for no longer than it lasts. */
const FIRE = ['TalkmeshWorkersLost'];

const say = (line: string): void => void process.stdout.write(`${line}\n`);
let [passed, failed] = [0, 0];
function check(isRight: boolean, what: string): void {
  if (isRight) passed += 1;
  else {
    failed += 1;
    say(`not ok: ${what}`);
  }
}

/** Addresses of all processes, from the last `ready` lines of their logs: a process that was restarted has another. */
async function scraped(mesh: Mesh): Promise<Scraped[]> {
  const files = (await readdir(mesh.logFolder)).filter((name) => name.endsWith('.log')).sort();
  const found = await Promise.all(
    files.map(async (name): Promise<Scraped[]> => {
      const lines = (await readFile(join(mesh.logFolder, name), 'utf8')).split('\n');
      const ready = lines.findLast((line) => line.includes('"msg":"ready"'));
      if (ready === undefined) return [];
      const { service, adminAddress } = JSON.parse(ready) as { service: string; adminAddress: string };
      return [{ job: service, address: adminAddress }];
    }),
  );
  return found.flat();
}

async function checkQueries(prometheus: Prometheus, span: Span): Promise<void> {
  const used = new Set<string>();
  const look = async (place: string, ask: () => Promise<readonly { readonly values: readonly unknown[] }[]>) => {
    const series = await ask().catch((error: unknown) => String(error));
    const reason = reasonFor(place);
    for (const part of Object.keys(MAY_BE_EMPTY)) if (place.includes(part)) used.add(part);
    if (typeof series === 'string') check(false, `${place}: ${series}`);
    else check(series.length > 0 || reason !== undefined, `${place}: no data`);
  };
  for (const [name, { panels }] of Object.entries(BOARDS))
    for (const { title, targets = [] } of panels)
      for (const target of targets) {
        const place = `dashboard ${name}, ${title}${target.legendFormat ? `: ${target.legendFormat}` : ''}`;
        await look(place, () => answer(prometheus, target, span));
      }
  for (const { place, expr } of ruleQueries())
    for (const operand of comparedIn(expr))
      await look(`${place}: ${operand}`, () =>
        prometheus.queryRange(fillIn(operand, '15s', '5m'), span.fromSeconds, span.toSeconds, 2),
      );
  for (const part of Object.keys(MAY_BE_EMPTY)) check(used.has(part), `no query has the place "${part}" any more`);
}

async function checkAlerts(prometheus: Prometheus, quiet: Span, whole: Span): Promise<void> {
  const before = await prometheus.firing(quiet);
  for (const alert of FIRE) check(!before.has(alert), `${alert} fires before the incident`);
  const fired = await prometheus.firing(whole);
  for (const alert of FIRE) check(fired.has(alert), `${alert} does not fire in the incident`);
  say(`alerts in the incident: ${[...fired].join(', ') || 'none'}`);
}

/** The shortest spoken turn of the session that Jaeger has from all six services. */
async function wholeTurn(store: TraceStore, sessionId: string): Promise<ReceivedSpan[] | undefined> {
  const ids = await store.find('audio-llm-bridge', 'turn', { sessionId, 'talkmesh.source': 'voice' });
  const traces = await Promise.all(ids.map((id) => store.trace(id)));
  return traces
    .filter((spans) => new Set(spans.map(({ service }) => service)).size === SERVICES.length)
    .sort((a, b) => a.length - b.length)[0];
}

async function checkTraces(store: TraceStore, prometheus: Prometheus, sessionId: string, span: Span) {
  let spans: ReceivedSpan[] = [];
  const look = async (): Promise<boolean> => {
    spans = (await wholeTurn(store, sessionId)) ?? [];
    return spans.length > 0;
  };
  await until('a turn in Jaeger', look, PATIENCE_MS);
  const turn = spans.find(({ name }) => name === 'turn');
  check(turn?.links.length === 1, 'the turn has a link to the set-up of its session');
  const setUp = await store.trace(turn?.links[0]?.traceId ?? '');
  check(
    setUp.some(({ name }) => name === 'POST /v1/sessions'),
    'the set-up is a trace',
  );
  const histogram = 'talkmesh_turn_wait_seconds_bucket';
  const [exemplar] = await prometheus.exemplars(histogram, span.fromSeconds, span.toSeconds);
  const linked = await store.trace(exemplar?.['trace_id'] ?? '');
  check(
    linked.some(({ name }) => name === 'turn'),
    `an exemplar of ${histogram} leads to a turn`,
  );
  return spans;
}

async function prove(mesh: Mesh, store: TraceStore, prometheus: Prometheus, folder: string): Promise<void> {
  const now = (): number => Date.now() / 1000;
  const follow = async (): Promise<void> => prometheus.scrape(await scraped(mesh));
  await follow();
  const following = setInterval(() => void follow(), FOLLOW_MS);
  using _ = { [Symbol.dispose]: () => clearInterval(following) };
  const begin = now();
  await using load = await Load.start(mesh);
  await load.quiet();
  await sleep(SETTLE_MS);
  const quiet: Span = { fromSeconds: begin, toSeconds: now() };
  say(`quiet: ${Math.round(quiet.toSeconds - begin)} s`);
  const turn = await checkTraces(store, prometheus, load.parrot.sessionId, quiet);
  const incidentFrom = now();
  await load.incident();
  await sleep(SETTLE_MS);
  const incident: Span = { fromSeconds: incidentFrom, toSeconds: now() };
  const whole: Span = { fromSeconds: begin, toSeconds: incident.toSeconds };
  say(`incident: ${Math.round(incident.toSeconds - incidentFrom)} s`);
  await checkQueries(prometheus, whole);
  await checkAlerts(prometheus, quiet, whole);
  const pages = new Map([['turn', drawWaterfall(turn, 'One spoken turn through the six services')]]);
  for (const [name, board] of Object.entries(BOARDS)) {
    pages.set(`${name}-quiet`, await drawBoard(prometheus, board, quiet));
    pages.set(`${name}-incident`, await drawBoard(prometheus, board, whole));
  }
  await takePictures(pages, folder);
  say(`pictures: ${folder}`);
}

const folder = resolve(process.argv[2] ?? join('node_modules', '.cache', 'monitoring-proof'));
await installTools(say);
await requireTraceStore(say);
await using store = await TraceStore.start();
await using prometheus = await Prometheus.start(RULES);
const replicas = { 'score-model': 2, 'vae-decode': 2 };
const mesh = await startMesh({ quiet: true, replicas, restartMs: [500], env: tracingEnv(store.url) });
try {
  await prove(mesh, store, prometheus, folder);
} catch (error) {
  check(false, error instanceof Error ? (error.stack ?? error.message) : String(error));
} finally {
  await mesh.stop();
  await mesh.removeLogs();
}
say(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
