/**
 * A call outlives its workers: score and VAE processes die by kill -9 in the middle of speech, are drained, lose NATS; the call
 * goes on with another worker, nothing of the speech is lost or said twice, and the picture does not jump.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { WorkerName } from '@talkmesh/contracts';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { CallTap } from '../support/call-tap.js';
import { firstAvatar, nano } from '../support/nano.js';
import { type PacedCall, startPacedCall } from '../support/paced-call.js';
import { rest } from '../support/record-call.js';
import { firstDifference, type Seam, seamsOf } from '../support/seams.js';
import { speak } from '../support/speech.js';
import { median, percentile } from '../support/statistics.js';
import { sleep, waitUntil } from '../support/waiting.js';

const KILLS = Number(process.env['TALKMESH_TEST_KILLS'] ?? 20);
/** Fresh frames may be missing for this long, as frames of media time. */
const MAX_GAP_FRAMES = 1.5 * nano.fps;
/** On a machine with other things to do, as long as a fresh call takes to its first frame, times this. */
const MAX_GAP_OPENINGS = 1.5;
/** A seam may change the picture by this much of what the call's other borders of chunks change. */
const MAX_SEAM = 2;
const PATIENCE_MS = 60_000;

const speech = speak('One two three four five six seven eight nine ten, and nobody who listens will ever know.');

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

interface Told {
  readonly state: string;
  readonly placement: Readonly<Record<WorkerName, string>>;
}

const look = async (id: string): Promise<Told> => (await rest<Told>(mesh, 'GET', `/v1/sessions/${id}`)).body;

function processOf(instanceId: string): number {
  const found = mesh.services.find((service) => service.instanceId === instanceId);
  assert.ok(found, `no process of ${instanceId}`);
  return found.pid;
}

const isWhole = (): boolean => mesh.services.every(({ instanceId }) => instanceId !== '');

/** Whatever a failed test leaves behind. */
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const spoken of open.splice(0)) await spoken[Symbol.asyncDispose]();
});

interface Spoken extends AsyncDisposable {
  readonly call: PacedCall;
  readonly tap: CallTap;
}

/** A fresh call that has begun to speak its only turn. */
async function startSpeaking(): Promise<Spoken> {
  await waitUntil('all workers', isWhole, PATIENCE_MS);
  const call = await startPacedCall(mesh, firstAvatar.id, nano.fps);
  const tap = await CallTap.open(mesh, call.sessionId);
  const spoken = { call, tap, [Symbol.asyncDispose]: () => end({ call, tap }) };
  open.push(spoken);
  call.say(speech);
  await waitUntil('the voice', () => (tap.playhead?.turnPlayedMs ?? 0) > 1000, PATIENCE_MS);
  return spoken;
}

async function finish({ call, tap }: Pick<Spoken, 'call' | 'tap'>): Promise<void> {
  await waitUntil(
    'the end of the turn',
    () => tap.events.some(({ type }) => type === 'turn.finished' || type === 'session.ended'),
    PATIENCE_MS,
  );
  assert.deepEqual(
    tap.events.flatMap((event) => (event.type === 'turn.finished' ? [event.interrupted] : [])),
    [false],
    JSON.stringify(tap.events.map(({ type }) => type)),
  );
  assert.equal((await look(call.sessionId)).state, 'open');
  assert.equal(firstDifference(speech, tap.heard(1)), undefined);
}

async function end({ call, tap }: Pick<Spoken, 'call' | 'tap'>): Promise<void> {
  await call[Symbol.asyncDispose]();
  await tap[Symbol.asyncDispose]();
}

function assertSeams(seams: readonly Seam[], what: string): void {
  for (const { chunk, difference, usual } of seams)
    assert.ok(
      difference <= MAX_SEAM * usual,
      `${what}: the picture changes by ${difference.toFixed(2)} at chunk ${chunk}, usually by ${usual.toFixed(2)}`,
    );
}

const moved = (tap: CallTap): string[] =>
  tap.events.flatMap((event) => (event.type === 'stage.moved' ? [`${event.service} ${event.cause}`] : []));

test(`${KILLS} times kill -9, score and VAE in turn, in the middle of speech: every call goes on`, {
  timeout: KILLS * 90_000,
}, async (t) => {
  const [gaps, openings]: [number[], number[]] = [[], []];
  for (let i = 0; i < KILLS; i++) {
    const service = i % 2 === 0 ? 'score-model' : 'vae-decode';
    const spoken = await startSpeaking();
    const { call, tap } = spoken;
    await sleep(i * 40);
    const [before, killedAt] = [call.longestGapFrom(0), call.ticks];
    process.kill(processOf((await look(call.sessionId)).placement[service]), 'SIGKILL');
    await finish(spoken);
    assert.deepEqual(moved(tap), [`${service} died`]);
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
  t.diagnostic(`gaps in frames: p50 ${median(gaps)}, p95 ${p95}; a fresh call takes ${opening.toFixed(0)} frames to its first`);
  const bound = Math.max(MAX_GAP_FRAMES, MAX_GAP_OPENINGS * opening);
  assert.ok(p95 <= bound, `p95 of the gaps is ${p95} frames, more than ${bound}: ${gaps.join(' ')}`);
});
