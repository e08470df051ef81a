/** Workers disappear one after the other during a call: drained, restarted, cut off from NATS, killed at the edges of the pipeline. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Metadata } from '@grpc/grpc-js';
import type { WorkerName } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { callUnary, closeClient, connectClient, SECRET_KEY } from '@talkmesh/service-kit';
import { until } from '@talkmesh/service-kit/testing';
import { firstDifference, firstDifferenceButPauses } from '../support/seams.js';
import { concatenate, speak } from '../support/speech.js';
import type { SpeechStream } from '../support/speech-stream.js';
import { isWhole, PATIENCE_MS, SpokenCall } from '../support/spoken-call.js';
import { DRAIN_DEADLINE_MS, TwinMesh } from '../support/twin-mesh.js';
import type { WatchCall } from '../support/watch-call.js';

const INNER = ['score-model', 'vae-decode', 'audio-llm-bridge'] as const;
const EDGES = ['audio-ingest', 'webrtc-egress'] as const;
/** Without NATS for this long a worker loses its sessions. */
const CUT_OFF_MS = 2500;
/** Longer than a chunk, so that frames and speech of this time reach no subscriber. */
const MOMENT_MS = 1000;
const sentence = speak('One two three four five six seven eight nine ten, and no one who listens will ever know.');
const long = concatenate(sentence, sentence, sentence);
const twice = concatenate(sentence, sentence);

const open: AsyncDisposable[] = [];
let twins: TwinMesh;
before(async () => {
  twins = await TwinMesh.start({ TALKMESH_WORKER_CUT_OFF_MS: String(CUT_OFF_MS), TALKMESH_WATCH_MS: '100' });
});
afterEach(async () => {
  for (const spoken of open.splice(0)) await spoken[Symbol.asyncDispose]();
});
after(async () => {
  await twins?.[Symbol.asyncDispose]();
});

async function start(speech: Int16Array): Promise<SpokenCall> {
  const spoken = await SpokenCall.start(twins.mesh, speech);
  open.push(spoken);
  return spoken;
}

async function watch(speak: (call: WatchCall) => void): Promise<SpokenCall<WatchCall>> {
  const spoken = await SpokenCall.watch(twins.mesh, speak);
  open.push(spoken);
  return spoken;
}

type AnyCall = Pick<SpokenCall, 'tap' | 'moves' | 'signal' | 'workerOf' | 'processOf'>;

/** Acts on a worker of the call and waits for the move that follows. */
async function moved(spoken: AnyCall, act: () => Promise<void>): Promise<void> {
  const before = spoken.moves.length;
  await act();
  await until('the move', () => spoken.moves.length > before, PATIENCE_MS);
}

/** Drains the call's worker, by Drain first or by SIGTERM alone. Its process exits with 0 and its successor starts. */
async function drain(spoken: AnyCall, service: WorkerName, how: 'Drain' | 'SIGTERM'): Promise<void> {
  const before = twins.endings(service).length;
  const { pid, grpcAddress } = await spoken.processOf(service);
  if (how === 'Drain') await moved(spoken, () => askToDrain(grpcAddress));
  const end = async () => void process.kill(pid, 'SIGTERM');
  await (how === 'Drain' ? end() : moved(spoken, end));
  await until('its end', () => twins.endings(service).length > before, DRAIN_DEADLINE_MS);
  assert.equal(twins.endings(service).at(-1), 'ended with code 0');
  await until('the next process', () => isWhole(twins.mesh), PATIENCE_MS);
}

/** Drains as a rollout does: returns when all sessions of the worker have moved. */
async function askToDrain(address: string): Promise<void> {
  const client = connectClient<InstanceType<typeof v1.StageService>>(v1.StageService, address);
  try {
    const metadata = new Metadata();
    metadata.set(SECRET_KEY, readFileSync(twins.mesh.grpcSecretFile, 'utf8'));
    const within = { deadlineMs: DRAIN_DEADLINE_MS };
    const answer = await callUnary<object, { sessionsLeft: number }>(client, 'drain', within, { ...within, metadata });
    assert.equal(answer.sessionsLeft, 0);
  } finally {
    closeClient(client);
  }
}

async function cutOff(spoken: AnyCall, service: WorkerName, during: () => Promise<void>): Promise<void> {
  const worker = await spoken.workerOf(service);
  twins.proxy.cut(worker);
  try {
    await during();
  } finally {
    twins.proxy.heal(worker);
  }
}

/** Resolves when the viewer has seen `chunks` more chunks. */
async function playsOn({ tap }: AnyCall, chunks: number): Promise<void> {
  const before = tap.playhead?.chunk ?? 0;
  await until('the playhead moves', () => (tap.playhead?.chunk ?? 0) >= before + chunks, PATIENCE_MS);
}

test('every score, decoder and bridge worker is drained while one call speaks; nothing is lost', {
  timeout: 600_000,
}, async () => {
  const spoken = await start(long);
  for (const service of INNER) for (let replica = 0; replica < 2; replica++) await drain(spoken, service, 'SIGTERM');
  await spoken.over();
  assert.deepEqual(
    spoken.moves,
    INNER.flatMap((service) => [`${service} drained`, `${service} drained`]),
  );
  assert.deepEqual(spoken.finished, [[1, false]]);
  assert.equal(firstDifference(long, spoken.tap.heard(1)), undefined);
});

for (const service of INNER)
  test(`a ${service} worker without NATS continues after a moment, and is replaced after a long loss`, {
    timeout: 300_000,
  }, async () => {
    const spoken = await start(twice);
    await cutOff(spoken, service, () => sleep(MOMENT_MS));
    await playsOn(spoken, 3);
    assert.deepEqual(spoken.moves, []);
    await cutOff(spoken, service, () => moved(spoken, async () => {}));
    await spoken.over();
    assert.deepEqual(spoken.moves, [`${service} cut-off`]);
    assert.deepEqual(spoken.finished, [[1, false]]);
    assert.equal(firstDifference(twice, spoken.tap.heard(1)), undefined);
  });

for (const service of EDGES)
  test(`${service}: drained twice, without NATS for a moment and for long, while one call is being spoken to`, {
    timeout: 600_000,
  }, async () => {
    let stream: SpeechStream | undefined;
    const spoken = await watch((call) => {
      stream = call.talk(sentence);
    });
    const offersAgain = async (): Promise<void> => {
      if (service === 'webrtc-egress') await spoken.call.watchAgain();
      await playsOn(spoken, 3);
    };
    for (const how of ['Drain', 'SIGTERM'] as const) {
      await drain(spoken, service, how);
      await offersAgain();
    }
    await cutOff(spoken, service, () => sleep(MOMENT_MS));
    await playsOn(spoken, 6);
    await cutOff(spoken, service, () => moved(spoken, async () => {}));
    await offersAgain();
    const said = await stream?.finish();
    await spoken.over();
    assert.deepEqual(spoken.moves, [`${service} drained`, `${service} drained`, `${service} cut-off`]);
    assert.deepEqual(spoken.finished, [[1, false]]);
    assert.equal(firstDifferenceButPauses(said ?? new Int16Array(0), spoken.tap.heard(1)), undefined);
    await assertOneCourse(spoken);
    assert.ok((await spoken.call.report()).frames > 0, 'the viewer sees it');
  });

/** Position, credit, epoch and held frames continue as if one worker had played the turn; each of its frames is played once. */
async function assertOneCourse({ tap }: SpokenCall<WatchCall>): Promise<void> {
  const samples = Math.max(...tap.inOrder().map(({ frame }) => (frame.turn === 1 ? frame.turnSamples : 0)));
  // A turn is over when no more than milliseconds are left; the frame that plays them may still come.
  const ofTurn = () => tap.playheads.map(({ playhead }) => (playhead.turn === 1 ? playhead.turnPlayedMs : 0));
  await until('all of the turn', () => Math.max(...ofTurn()) === Math.round((samples * 1000) / 24_000), PATIENCE_MS);
  const heads = tap.playheads.map(({ playhead }) => playhead);
  for (const [i, head] of heads.entries()) {
    const before = heads[i - 1] ?? head;
    const seen = `playhead ${i} of ${heads.length}: ${JSON.stringify([before, head])}`;
    assert.ok(head.chunk >= before.chunk && head.chunk <= before.chunk + 1, `chunks in a row, ${seen}`);
    assert.ok(head.epoch >= before.epoch && head.heldFrames >= before.heldFrames, `nothing is set back, ${seen}`);
    assert.equal(head.creditChunks, before.creditChunks, seen);
  }
}

test('a gateway that dies between placing a stage and opening it: the sweep of another gateway finishes the move', {
  timeout: 300_000,
}, async () => {
  // This gateway moves no worker that lost NATS, so only its sweep can find an unfinished move.
  const other = { TALKMESH_WORKER_CUT_OFF_MS: '120000', TALKMESH_SWEEP_MS: '300', TALKMESH_OPEN_DEADLINE_MS: '1000' };
  await using sweeping = await twins.secondGateway(other);
  let sent: Promise<void> | undefined;
  const spoken = await watch((call) => {
    sent = call.say(twice);
  });
  await sent;
  const { instanceId: worker, pid: workerPid } = await spoken.processOf('score-model');
  const gatewayPid = twins.mesh.services.find(({ name }) => name === 'gateway')?.pid ?? 0;
  twins.proxy.cut(worker);
  // The gateway knows that the worker lost NATS. The worker is now stopped, so the gateway that moves its session waits for its Close.
  await sleep(MOMENT_MS);
  process.kill(workerPid, 'SIGSTOP');
  try {
    await until('another place', async () => (await spoken.workerOf('score-model')) !== worker, PATIENCE_MS);
    process.kill(gatewayPid, 'SIGKILL');
  } finally {
    process.kill(workerPid, 'SIGCONT');
    twins.proxy.heal(worker);
  }
  await until('the move', () => spoken.moves.length > 0, PATIENCE_MS);
  await until('the gateway', () => isWhole(twins.mesh), PATIENCE_MS);
  await spoken.over();
  assert.deepEqual(spoken.moves, ['score-model missing']);
  assert.match(sweeping.log, /"cause":"missing".*stage moved/);
  assert.deepEqual(spoken.finished, [[1, false]]);
  assert.equal(firstDifferenceButPauses(twice, spoken.tap.heard(1)), undefined);
});

test('when a bridge is killed, speech already sent is played, the turn ends and later turns work', {
  timeout: 300_000,
}, async () => {
  const spoken = await start(sentence);
  await spoken.signal('audio-llm-bridge', 'SIGKILL');
  await until('the move', () => spoken.moves.length > 0, PATIENCE_MS);
  await spoken.over();
  const heard = spoken.tap.heard(1);
  assert.equal(firstDifference(sentence.subarray(0, Math.min(heard.length, sentence.length)), heard), undefined);
  const turns = spoken.finished.length;
  spoken.call.say(sentence);
  await spoken.over(turns + 1);
  const last = spoken.finished.at(-1)?.[0] ?? 0;
  assert.ok(last > 1, 'a new number');
  assert.equal(firstDifference(sentence, spoken.tap.heard(last)), undefined);
});

test('when an egress is killed, the viewer offers again and the call continues where it stopped', {
  timeout: 300_000,
}, async () => {
  const spoken = await watch((call) => void call.say(sentence));
  await moved(spoken, () => spoken.signal('webrtc-egress', 'SIGKILL'));
  await spoken.call.watchAgain();
  await spoken.over();
  assert.deepEqual(spoken.moves, ['webrtc-egress died']);
  assert.deepEqual(spoken.finished, [[1, false]]);
  assert.equal(firstDifferenceButPauses(sentence, spoken.tap.heard(1)), undefined);
  await assertOneCourse(spoken);
  assert.ok((await spoken.call.report()).frames > 0, 'the viewer sees it');
});

test('the microphone offers again after its ingest was drained, then killed, and its audio arrives', {
  timeout: 300_000,
}, async () => {
  const spoken = await watch((call) => void call.hum());
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await moved(spoken, () => spoken.signal('audio-ingest', signal));
    const before = loudOf(spoken);
    await spoken.call.hum();
    await until('the new microphone', () => loudOf(spoken) > before + 24_000, PATIENCE_MS);
    await until('all workers', () => isWhole(twins.mesh), PATIENCE_MS);
  }
  assert.deepEqual(spoken.moves, ['audio-ingest drained', 'audio-ingest died']);
});

const loudOf = ({ tap }: AnyCall): number =>
  tap.inOrder().reduce((sum, { frame }) => sum + frame.pcm.filter((sample) => Math.abs(sample) > 400).length, 0);
