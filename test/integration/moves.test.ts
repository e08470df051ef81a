/** Workers go one after the other while a call is up: drained, rolled, cut off from NATS, killed at the edges of the pipeline. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type NatsServer, startNatsServer } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { CallTap } from '../support/call-tap.js';
import { firstAvatar } from '../support/nano.js';
import { NatsProxy } from '../support/nats-proxy.js';
import { rest } from '../support/record-call.js';
import { firstDifference, firstDifferenceButPauses } from '../support/seams.js';
import { concatenate, speak } from '../support/speech.js';
import { isWhole, PATIENCE_MS, SpokenCall } from '../support/spoken-call.js';
import { sleep, waitUntil } from '../support/waiting.js';
import { watchCall } from '../support/watch-call.js';

const WORKERS = ['score-model', 'vae-decode', 'audio-llm-bridge'] as const;
const sentence = speak('One two three four five six seven eight nine ten, and nobody who listens will ever know.');
const long = concatenate(...Array.from({ length: 3 }, () => sentence));

const open: AsyncDisposable[] = [];
let nats: NatsServer;
let mesh: Mesh;
let proxy: NatsProxy;
before(async () => {
  nats = await startNatsServer();
  proxy = await NatsProxy.start(nats.url);
  process.env['TALKMESH_NATS_URL'] = nats.url;
  const env = { TALKMESH_DRAIN_DEADLINE_MS: '30000' };
  mesh = await startMesh({
    quiet: true,
    replicas: { 'score-model': 2, 'vae-decode': 2, 'audio-llm-bridge': 2, 'audio-ingest': 2, 'webrtc-egress': 2 },
    restartMs: [200],
    env: {
      'vae-decode': env,
      'audio-llm-bridge': env,
      'audio-ingest': env,
      'score-model': { ...env, TALKMESH_NATS_URL: proxy.url },
    },
  });
});
afterEach(async () => {
  for (const spoken of open.splice(0)) await spoken[Symbol.asyncDispose]();
});
after(async () => {
  delete process.env['TALKMESH_NATS_URL'];
  await mesh?.stop();
  await proxy?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

async function start(speech: Int16Array): Promise<SpokenCall> {
  const spoken = await SpokenCall.start(mesh, speech);
  open.push(spoken);
  return spoken;
}

for (const service of WORKERS)
  test(`a ${service} worker that drains in the middle of speech hands over; nothing is lost`, {
    timeout: 300_000,
  }, async () => {
    const spoken = await start(sentence);
    await spoken.signal(service, 'SIGTERM');
    await spoken.over();
    assert.deepEqual(spoken.moves, [`${service} drained`]);
    assert.deepEqual(spoken.finished, [[1, false]]);
    assert.equal(firstDifference(sentence, spoken.tap.heard(1)), undefined);
  });

test('every score, decoder and bridge worker is replaced while one call speaks', { timeout: 600_000 }, async () => {
  const spoken = await start(long);
  for (const service of WORKERS)
    for (let replica = 0; replica < 2; replica++) {
      const before = spoken.moves.length;
      await spoken.signal(service, 'SIGTERM');
      await waitUntil('the move', () => spoken.moves.length > before, PATIENCE_MS);
      await waitUntil('the next process', () => isWhole(mesh), PATIENCE_MS);
    }
  await spoken.over();
  assert.deepEqual(
    [...new Set(spoken.moves)],
    WORKERS.map((service) => `${service} drained`),
  );
  assert.deepEqual(spoken.finished, [[1, false]]);
  assert.equal(firstDifference(long, spoken.tap.heard(1)), undefined);
});

for (const seconds of [1, 10])
  test(`a score worker without NATS for ${seconds} s: the call goes on, no word is lost`, {
    timeout: 300_000,
  }, async () => {
    const spoken = await start(sentence);
    const worker = await spoken.workerOf('score-model');
    proxy.cut(worker);
    await sleep(seconds * 1000);
    proxy.heal(worker);
    await spoken.over();
    assert.deepEqual(spoken.finished, [[1, false]]);
    assert.equal(firstDifference(sentence, spoken.tap.heard(1)), undefined);
  });

test('a bridge that is killed: what was sent is heard, the turn is over, turns go on', {
  timeout: 300_000,
}, async () => {
  const spoken = await start(sentence);
  await spoken.signal('audio-llm-bridge', 'SIGKILL');
  await waitUntil('the move', () => spoken.moves.length > 0, PATIENCE_MS);
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

test('an egress that is killed: the viewer offers again and the call plays on where it stopped', {
  timeout: 300_000,
}, async () => {
  await waitUntil('all workers', () => isWhole(mesh), PATIENCE_MS);
  await using call = await watchCall(mesh, firstAvatar.id);
  await using tap = await CallTap.open(mesh, call.sessionId);
  await waitUntil('the picture', () => (tap.playhead?.chunk ?? 0) >= 2, PATIENCE_MS);
  void call.say(sentence);
  await waitUntil('the voice', () => (tap.playhead?.turnPlayedMs ?? 0) > 1000, PATIENCE_MS);
  const { body } = await rest<{ placement: Record<string, string> }>(mesh, 'GET', `/v1/sessions/${call.sessionId}`);
  const holder = mesh.services.find(({ instanceId }) => instanceId === body.placement['webrtc-egress']);
  process.kill(holder?.pid ?? 0, 'SIGKILL');
  const isMoved = (): boolean => tap.events.some((e) => e.type === 'stage.moved' && e.service === 'webrtc-egress');
  await waitUntil('the move', isMoved, PATIENCE_MS);
  const stoppedAt = tap.playheads.length;
  await call.watchAgain();
  await waitUntil('the end of the turn', () => tap.events.some(({ type }) => type === 'turn.finished'), PATIENCE_MS);
  assert.deepEqual(
    tap.events.flatMap((event) => (event.type === 'turn.finished' ? [event.interrupted] : [])),
    [false],
  );
  assert.equal(firstDifferenceButPauses(sentence, tap.heard(1)), undefined);
  const chunks = tap.playheads.map(({ playhead }) => playhead.chunk);
  assert.ok(
    chunks.every((chunk, i) => i === 0 || (chunk >= (chunks[i - 1] ?? 0) && chunk - (chunks[i - 1] ?? 0) <= 1)),
    `no chunk is left out or played again: ${chunks.slice(stoppedAt - 4, stoppedAt + 8)}`,
  );
  assert.ok((await call.report()).frames > 0, 'the viewer sees it');
});

test('an ingest that is killed: the session stays, a new stream is heard', { timeout: 300_000 }, async () => {
  const spoken = await start(sentence);
  await spoken.over();
  await spoken.signal('audio-ingest', 'SIGKILL');
  await waitUntil('the move', () => spoken.moves.length > 0, PATIENCE_MS);
  assert.deepEqual(spoken.moves, ['audio-ingest died']);
  spoken.call.say(sentence);
  await spoken.over(2);
  assert.equal(firstDifference(sentence, spoken.tap.heard(2)), undefined);
});
