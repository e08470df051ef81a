/** A program with speech of its own, a plain WebSocket client, in front of the real mesh: latency, positions, clear, loss of its connection and of the worker. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '@talkmesh/service-kit/testing';
import { TestPeer } from '@talkmesh/webrtc/testing';
import jpeg from 'jpeg-js';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { AvatarClient } from '../support/avatar-client.js';
import { rest } from '../support/record-call.js';
import { ROOMY } from '../support/roomy.js';
import { firstDifferenceButPauses } from '../support/seams.js';
import { concatenate, silence, speak } from '../support/speech.js';
import { median, percentile } from '../support/statistics.js';

const PATIENCE_MS = 60_000;
const SAMPLES_PER_MS = 24;
const LOUD = 500;

let mesh: Mesh;
before(async () => {
  mesh = await startMesh({ quiet: true, env: ROOMY, replicas: { 'webrtc-egress': 2 } });
});
after(async () => {
  await mesh?.stop();
});

const isLoud = (pcm: Int16Array): boolean => pcm.some((sample) => Math.abs(sample) > LOUD);
const sentence = speak('Hello there, how are you doing on this sunny day?');

/** Where `part` lies in `whole`, samples; -1: it does not. */
function indexOf(whole: Int16Array, part: Int16Array): number {
  const bytes = (pcm: Int16Array) => Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  const at = bytes(whole).indexOf(bytes(part));
  return at < 0 ? at : at / 2;
}

test('20 utterances: the face speaks soon, every sample is heard once, and positions are those that were heard', {
  timeout: 240_000,
}, async () => {
  using client = await AvatarClient.start(mesh, { avatar: 'mia' });
  await until('the first picture', () => client.pictures.length > 0, PATIENCE_MS);
  const words = speak('One, two, three.');
  const firstSpeakingMs: number[] = [];
  for (let n = 1; n <= 20; n += 1) {
    // Not always at the same place of a chunk.
    await sleep(37 * n);
    const startMs = performance.now();
    client.say(words, 1001);
    const { positionMs, interrupted } = await client.next('finished', n);
    assert.deepEqual([positionMs, interrupted], [words.length / SAMPLES_PER_MS, false]);
    const first = client.pictures.find(({ atMs, speaking }) => atMs > startMs && speaking);
    firstSpeakingMs.push((first?.atMs ?? Number.NaN) - startMs);
  }
  const [p50, p95] = [median(firstSpeakingMs), percentile(firstSpeakingMs, 0.95)];
  console.log(`first byte in to first speaking picture out: p50 ${p50.toFixed(0)} ms, p95 ${p95.toFixed(0)} ms`);
  assert.ok(p50 < 1500, `${p50} ms`);
  // On a busy machine a chunk may begin before all of its speech is there; then silence stands between.
  const sent = concatenate(...Array.from({ length: 20 }, () => words));
  assert.equal(firstDifferenceButPauses(sent, client.heard), undefined);
  assert.ok(client.pictures.length > 100 && Math.abs(client.pictures.length - client.sounds.length) <= 1);
  for (const [i, { timestampUs }] of client.sounds.entries()) {
    assert.equal(timestampUs, i * 40_000);
    if (i < client.pictures.length) assert.equal(client.pictures[i]?.timestampUs, timestampUs);
  }
  const { width, height } = jpeg.decode(client.pictures.at(-1)?.bytes ?? assert.fail());
  assert.deepEqual([width, height], [256, 256]);
});

test('pictures have the size that the session asked for', { timeout: 90_000 }, async () => {
  for (const video of ['jpeg', 'i420'] as const) {
    using client = await AvatarClient.start(mesh, { avatar: 'mia', size: 512, video });
    const { width, height } = await client.next('ready');
    assert.deepEqual([width, height], [512, 512]);
    await until('a picture', () => client.pictures.length > 0, PATIENCE_MS);
    const { bytes } = client.pictures[0] ?? assert.fail();
    if (video === 'i420') assert.equal(bytes.length, (512 * 512 * 3) / 2);
    else assert.equal(jpeg.decode(bytes).width, 512);
  }
});

test('a clear is silent at once, at the position that was received; what follows is spoken', {
  timeout: 120_000,
}, async () => {
  using client = await AvatarClient.start(mesh, { video: 'none', rate: 24_000 });
  // No sample is zero, so the last one that was heard can be told.
  const long = concatenate(...Array.from({ length: 5 }, () => sentence)).map((sample) => sample || 1);
  const [answeredMs, silentMs, differences]: number[][] = [[], [], []];
  for (const [i, afterMs] of [300, 730, 1210].entries()) {
    const at = client.heard.length;
    client.say(long);
    await client.next('started', i + 1);
    await sleep(afterMs);
    const clearedAtMs = performance.now();
    client.send({ type: 'clear' });
    const cleared = await client.next('cleared', i + 1);
    const { positionMs, interrupted } = client.of('finished')[i] as never as {
      positionMs: number;
      interrupted: boolean;
    };
    assert.equal(interrupted, true);
    answeredMs?.push(cleared.atMs - clearedAtMs);
    await sleep(800);
    const lastLoud = client.sounds.filter(({ pcm }) => isLoud(pcm)).at(-1);
    silentMs?.push((lastLoud?.atMs ?? 0) - clearedAtMs);
    const received = client.heard.subarray(at);
    const begin = indexOf(received, long.subarray(0, 2400));
    const heardSamples = received.length - begin - [...received].reverse().findIndex((sample) => sample !== 0);
    differences?.push(positionMs - heardSamples / SAMPLES_PER_MS);
  }
  console.log(
    `clear: answered after ${answeredMs?.map(Math.round)} ms, last sound after ${silentMs?.map(Math.round)} ms`,
  );
  console.log(`position reported minus received: ${differences} ms`);
  assert.deepEqual(differences, [0, 0, 0]);
  for (const ms of silentMs ?? []) assert.ok(ms < 300, `${ms} ms`);
  client.send({ type: 'clear' });
  await client.next('cleared', 4);
  client.say(sentence);
  const { positionMs, interrupted } = await client.next('finished', 4);
  assert.deepEqual([positionMs, interrupted], [sentence.length / SAMPLES_PER_MS, false]);
});

test('a socket that is lost in the middle is replaced in time: the utterance continues where it stopped, without a gap', {
  timeout: 120_000,
}, async () => {
  const lost = await AvatarClient.start(mesh, { video: 'none' });
  const { session, token } = await lost.next('ready');
  const half = Math.floor(sentence.length / 2);
  lost.speak(sentence.subarray(0, half));
  await lost.next('started');
  lost.socket.terminate();
  await sleep(1500);
  using client = new AvatarClient(mesh.httpUrl, String(token));
  const ready = await client.begin({ video: 'none' });
  assert.deepEqual([ready['session'], ready['resumed'], ready['unfinished']], [session, true, [1]]);
  const { utterance, receivedBytes } = ready['open'] as { utterance: number; receivedBytes: number };
  assert.deepEqual([utterance, receivedBytes], [1, 2 * half]);
  client.say(sentence.subarray(receivedBytes / 2));
  const { positionMs, interrupted } = await client.next('finished');
  assert.deepEqual([positionMs, interrupted], [sentence.length / SAMPLES_PER_MS, false]);
  const heard = concatenate(lost.heard, client.heard);
  assert.equal(firstDifferenceButPauses(sentence, heard), undefined);
  const { status } = await rest(mesh, 'DELETE', `/v1/sessions/${session}`);
  assert.equal(status, 204);
});

test('a worker that is killed or drained is replaced: what it spoke is finished, and the program speaks on', {
  timeout: 240_000,
}, async () => {
  using client = await AvatarClient.start(mesh, { video: 'none' });
  const { session } = await client.next('ready');
  const worker = async (): Promise<number> => {
    const { body } = await rest<{ placement: Record<string, string> }>(mesh, 'GET', `/v1/sessions/${session}`);
    const found = mesh.services.find(({ instanceId }) => instanceId === body.placement['webrtc-egress']);
    return found?.pid ?? assert.fail('no worker');
  };
  for (const [i, signal] of (['SIGKILL', 'SIGTERM'] as const).entries()) {
    const n = 2 * i + 1;
    const pid = await worker();
    client.say(concatenate(sentence, silence(0.2), sentence));
    await client.next('started', n);
    process.kill(pid, signal);
    const { utterance } = await client.next('finished', n);
    assert.equal(utterance, n);
    client.say(sentence);
    const next = await client.next('finished', n + 1);
    assert.deepEqual(
      [next['utterance'], next['positionMs'], next['interrupted']],
      [n + 1, sentence.length / SAMPLES_PER_MS, false],
    );
    assert.notEqual(await worker(), pid);
    await until(
      'all workers',
      () => mesh.services.filter(({ name }) => name === 'webrtc-egress').length === 2,
      PATIENCE_MS,
    );
  }
  assert.deepEqual(client.of('error'), []);
});

test('with WHEP the viewer sees and hears it, and only messages pass the socket', { timeout: 120_000 }, async () => {
  await using peer = new TestPeer();
  using client = await AvatarClient.start(mesh, { media: 'whep' });
  const { whep, token } = await client.next('ready');
  const answer = await fetch(`${mesh.httpUrl}${whep}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/sdp' },
    body: await peer.offer({ receive: ['video', 'audio'] }),
  });
  assert.equal(answer.status, 201);
  await peer.accept(await answer.text());
  await peer.until(({ frames }) => frames > 10);
  client.say(sentence);
  const { positionMs } = await client.next('finished');
  assert.equal(positionMs, sentence.length / SAMPLES_PER_MS);
  await peer.until(({ loudBlocks }) => loudBlocks > 20);
  assert.deepEqual([client.pictures.length, client.sounds.length], [0, 0]);
});

test('a program that vanishes for good ends its session', { timeout: 60_000 }, async () => {
  const client = await AvatarClient.start(mesh);
  const { session } = await client.next('ready');
  client.socket.terminate();
  const state = async () => (await rest<{ state: string }>(mesh, 'GET', `/v1/sessions/${session}`)).body.state;
  assert.equal(await state(), 'open');
  await until('its end', async () => (await state()) === 'ended', PATIENCE_MS);
});
